"""The certificate a process serves and calls with: read from files, proved to fit, replaced while running.

    certificates = Certificates(files, name="trade_service")     # raises TlsRefusal
    loops.start("certificates", certificates.keep_fresh)
    server = RpcServer(…, credentials=certificates.server_credentials())

The same certificate is the server's and the identity towards the other service. What was read is taken only after it
has shaken hands with itself: key and certificate fit, the authority signed it, it is valid now, for both ends, and it
carries the one name it should. Files that do not pass change nothing and are alarmed.
"""

import asyncio
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc

from kernel import logs, tls_floor
from kernel.alarms import raise_alarm
from kernel.environment import Environment, is_loopback
from kernel.rpc.handshake import HandshakeError, prove
from kernel.secret import SecretFileError, read_private_file

IDENTITY_PREFIX: Final = "spiffe://interlock/"
POLL_SECONDS: Final = 1.0
MAX_FILE_BYTES: Final = 64 * 1024
EXPIRES_SOON: Final = 0.25
"""Of its life: a certificate that should have been replaced by now."""
TLS_FILES_BAD: Final = "TLS_FILES_BAD"
CERTIFICATE_EXPIRES: Final = "CERTIFICATE_EXPIRES"

Signature = tuple[tuple[int, int, int, int], ...]


class TlsRefusal(Exception):  # noqa: N818 - it refuses to be used
    """The files are not a certificate that can be served; the message says which, what was found and expected."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where a process finds its certificate with its chain, its key, the authority it trusts, and who may call."""

    certificate: Path
    key: Path
    authority: Path
    access: Path


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate with its key and the authority, in PEM, proved to fit; `number` grows with each one taken."""

    certificate: bytes
    key: bytes
    authority: bytes
    number: int
    identity: str
    valid_from: float
    valid_until: float
    server_context: ssl.SSLContext


def read_tls_files(env: Environment, prefix: str, *listening: str) -> TlsFiles | None:
    """Read `prefix`_TLS_CERT_FILE, _TLS_KEY_FILE, _TLS_CA_FILE and `prefix`_ACCESS_FILE: all, or none.

    None is a problem too as soon as one of the addresses listened on is not a loopback one.
    """
    names = [f"{prefix}_{end}_FILE" for end in ("TLS_CERT", "TLS_KEY", "TLS_CA", "ACCESS")]
    given = [env.optional(name) for name in names]
    if not any(given) and all(map(is_loopback, listening)):
        return None
    because = "together with the other three, or none of them" if any(given) else "required off loopback"
    for name, value in zip(names, given, strict=True):
        if not value:
            env.problem(name, f"a file, {because}")
        elif not Path(value).is_file():
            env.problem(name, "the path of a file that exists")
    return TlsFiles(*(Path(value or "") for value in given))


def require_loopback_peer(env: Environment, name: str, address: str, files: TlsFiles | None) -> None:
    """Note a problem when the other service would be called in plaintext over a network."""
    if files is None and not is_loopback(address):
        env.problem(name, "a loopback address (127.0.0.1, [::1]): without TLS files the call would be in plaintext")


class Certificates:
    """The pair in use and how it is replaced. Reading happens in threads; what is read here is always whole."""

    def __init__(self, files: TlsFiles, name: str | None = None) -> None:
        """Read the files now. `name`: whose certificate it must be, "trade_service"; None for anyone's.

        Raises:
            TlsRefusal: they are missing, readable by others, do not fit, are expired, or name somebody else.
        """
        self._files = files
        self._name = name
        self._seen = self._changing = _signature(files)
        self.pair = self._read(number=1)

    def server_credentials(self) -> grpc.ServerCredentials:
        """Return credentials that demand a client certificate and serve the pair in use to every new handshake.

        Raises:
            TlsRefusal: grpc was loaded before TLS 1.2 could be switched off.
        """
        if not tls_floor.IN_TIME:
            raise TlsRefusal(
                f"grpc was imported before kernel, so {tls_floor.VARIABLE} came too late to refuse TLS 1.2"
            )
        return grpc.dynamic_ssl_server_credentials(
            _configuration(self.pair),
            self._newer_than(self.pair.number),  # type: ignore[arg-type]  # None is how it says that nothing changed
            require_client_authentication=True,
        )

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """Return credentials for a channel opened now, with the pair in use as its identity."""
        return grpc.ssl_channel_credentials(self.pair.authority, self.pair.key, self.pair.certificate)

    async def keep_fresh(self) -> None:
        """Look at the files every second, for ever."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            await asyncio.to_thread(self.refresh)

    def refresh(self) -> None:
        """Take what the files say now if it is another pair and proves to be one; alarm otherwise.

        Files that changed since the last look are left alone until the next one: three files are not replaced at once.
        """
        self._tell_expiry()
        seen = _signature(self._files)
        if seen == self._seen or seen != self._changing:
            self._changing = seen
            return
        try:
            pair = self._read(number=self.pair.number + 1)
        except TlsRefusal as refusal:
            raise_alarm(TLS_FILES_BAD, f"{refusal}; the certificate in use stays", subject=str(self._files.certificate))
        else:
            self.pair = pair
            logs.log("certificate_taken", identity=pair.identity, days_left=_days(pair.valid_until - time.time()))
        self._seen = seen

    def _newer_than(self, number: int) -> Callable[[], grpc.ServerCertificateConfiguration | None]:
        """Return what gRPC asks, in threads of its own, at every handshake: the pair, if another was taken."""
        told = number

        def newer() -> grpc.ServerCertificateConfiguration | None:
            nonlocal told
            pair = self.pair
            if pair.number == told:
                return None
            told = pair.number
            return _configuration(pair)

        return newer

    def _read(self, number: int) -> Pair:
        files = self._files
        before = _contents(files)
        try:
            proof = prove(files.certificate, files.key, files.authority)
        except HandshakeError as error:
            raise TlsRefusal(str(error)) from None
        if before != _contents(files):
            raise TlsRefusal(f"{files.certificate} or what belongs to it changed while it was read")
        self._require_name(proof.uris)
        return Pair(
            *before,
            number=number,
            identity=proof.uris[0],
            valid_from=proof.valid_from,
            valid_until=proof.valid_until,
            server_context=proof.server_context,
        )

    def _require_name(self, uris: tuple[str, ...]) -> None:
        wanted = f"{IDENTITY_PREFIX}{self._name or '…'}"
        if len(uris) != 1 or not uris[0].startswith(IDENTITY_PREFIX) or (self._name and uris[0] != wanted):
            found = ", ".join(uris) or "none"
            raise TlsRefusal(f"{self._files.certificate}: URI names found: {found}; expected exactly one, {wanted}")

    def _tell_expiry(self) -> None:
        pair = self.pair
        left = pair.valid_until - time.time()
        if left < EXPIRES_SOON * (pair.valid_until - pair.valid_from):
            message = f"the certificate of {pair.identity} is valid for {_days(left)} more days; put a new one in place"
            raise_alarm(CERTIFICATE_EXPIRES, message, subject=pair.identity)


def _configuration(pair: Pair) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(pair.key, pair.certificate)], root_certificates=pair.authority)


def _signature(files: TlsFiles) -> Signature:
    """Return what changes when a file is replaced or rewritten; zeros for one that is not there."""
    return tuple(_signature_of(path) for path in (files.certificate, files.key, files.authority))


def _signature_of(path: Path) -> tuple[int, int, int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0, 0, 0
    return status.st_ino, status.st_mtime_ns, status.st_size, status.st_ctime_ns


def _contents(files: TlsFiles) -> tuple[bytes, bytes, bytes]:
    try:
        key = read_private_file(files.key, MAX_FILE_BYTES)
    except SecretFileError as error:
        raise TlsRefusal(str(error)) from None
    return _bytes(files.certificate), key, _bytes(files.authority)


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise TlsRefusal(f"{path}: cannot be read ({error.strerror})") from None
    if not raw.strip() or len(raw) > MAX_FILE_BYTES:
        raise TlsRefusal(f"{path}: {len(raw)} bytes found; expected 1 to {MAX_FILE_BYTES} of PEM")
    return raw


def _days(seconds: float) -> float:
    return round(seconds / 86_400, 1)
