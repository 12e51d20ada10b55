"""Proves a certificate by a handshake with itself, in memory, by the rules of TLS 1.3; `kernel.rpc.tls` asks for it.

No library here reads certificates; OpenSSL does, and only in a handshake does it look at everything that a peer will
look at: chain, dates, purpose at either end, and that the key belongs to the certificate.
"""

import ssl
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

ROUNDS_MAX: Final = 6
"""A handshake with client certificates takes two from each side."""


class HandshakeError(Exception):
    """The certificate does not work; the message says why, without anything of the key."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What the handshake showed: every URI name, the dates in seconds since 1970, and a context to serve with."""

    uris: tuple[str, ...]
    valid_from: float
    valid_until: float
    server_context: ssl.SSLContext


def prove(certificate: Path, key: Path, authority: Path) -> Proof:
    """Shake hands with the certificate at both ends.

    Raises:
        HandshakeError: a file is no PEM, the key is another's, or one end would refuse the other.
    """
    try:
        server = _context(ssl.PROTOCOL_TLS_SERVER, certificate, key, authority)
        seen = _shake_hands(server, _context(ssl.PROTOCOL_TLS_CLIENT, certificate, key, authority))
    except ssl.SSLCertVerificationError as error:
        raise HandshakeError(f"{certificate}: does not hold against {authority}: {error.verify_message}") from None
    except (ssl.SSLError, OSError) as error:
        why = getattr(error, "reason", None) or error.strerror or type(error).__name__
        raise HandshakeError(
            f"{certificate}, {key}, {authority}: {why}; expected a PEM chain, its key, its CA"
        ) from None
    names = cast("tuple[tuple[str, str], ...]", seen.get("subjectAltName", ()))
    return Proof(
        uris=tuple(value for kind, value in names if kind == "URI"),
        valid_from=ssl.cert_time_to_seconds(str(seen["notBefore"])),
        valid_until=ssl.cert_time_to_seconds(str(seen["notAfter"])),
        server_context=server,
    )


def _context(end: "ssl._SSLMethod", certificate: Path, key: Path, authority: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(end)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # which names it is reached by, the caller of a service checks
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cafile=str(authority))
    context.load_cert_chain(str(certificate), str(key), password=_no_password)
    return context


def _no_password() -> str:
    """Stand for the prompt on a terminal that OpenSSL would open for a key under a password."""
    return ""


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> dict[str, object]:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (client.wrap_bio(to_client, to_server), server.wrap_bio(to_server, to_client, server_side=True))
    for _ in range(ROUNDS_MAX):
        for end in ends:
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
    return dict(ends[0].getpeercert() or {})
