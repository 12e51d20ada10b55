"""`interlock certs dev`: a folder of certificates for development, made once and renewed by running it again.

DIR/ca.pem  DIR/ca.key                     the CA; kept for ever once made
DIR/<name>/cert.pem  key.pem  ca.pem       what one program is given; replaced at each run
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509

from cli.authority import CLIENT, SERVER, Authority, Leaf

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}", re.ASCII)


class CertsRefusal(Exception):  # noqa: N818 - it refuses to write
    """Nothing, or not everything, was written; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Who gets a certificate: a name, the ends it may be of, and where it is reached."""

    name: str
    purposes: tuple[x509.ObjectIdentifier, ...] = (CLIENT,)
    hosts: tuple[str, ...] = ()


PROGRAMS: Final = (
    Subject("market_service", (SERVER, CLIENT), ("market_service", "market-service", *LOOPBACK)),
    Subject("trade_service", (SERVER, CLIENT), ("trade_service", "trade-service", *LOOPBACK)),
    Subject("exchange_sim", (SERVER,), ("exchange_sim", "exchange-sim", "simulator", *LOOPBACK)),
)
"""Each service is a server, and a client of the other one; by the names they have in a container network."""
TAKEN: Final = (*(one.name for one in PROGRAMS), "local", "nobody")
"""Names of programs, and those that records give to callers without a certificate."""


def make_development_certificates(folder: Path, clients: Sequence[str] = (), hosts: Sequence[str] = ()) -> str:
    """Make or renew everything in `folder`; returns a text for a person: what was made, and how to call with it.

    Raises:
        CertsRefusal: a name that cannot be one, half a CA, one that expires soon, or files that cannot be written.
    """
    programs = [Subject(one.name, one.purposes, (*one.hosts, *hosts)) for one in PROGRAMS]
    subjects = [*programs, *map(_client, dict.fromkeys([*clients, *_clients_before(folder)]))]
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        authority, made = _authority(folder)
        leaves = [(one, _write_leaf(folder / one.name, authority, one)) for one in subjects]
    except OSError as error:
        raise CertsRefusal(f"{error.filename}: {error.strerror}; nothing more was written") from None
    except ValueError as error:
        raise CertsRefusal(f"{error}; nothing more was written") from None
    return _told(folder, made, leaves)


def _client(name: str) -> Subject:
    if not NAME.fullmatch(name) or name in TAKEN:
        raise CertsRefusal(f"--client {name!r}: expected a-z, 0-9, '.', '_', '-', at most 63; not {', '.join(TAKEN)}")
    return Subject(name)


def _clients_before(folder: Path) -> list[str]:
    """Return the clients that got a certificate in an earlier run: theirs is renewed too."""
    names = sorted(path.parent.name for path in folder.glob("*/cert.pem"))
    return [name for name in names if name not in {one.name for one in PROGRAMS}]


def _authority(folder: Path) -> tuple[Authority, bool]:
    """Return the folder's CA, and whether it was made now. One that is there is never overwritten."""
    certificate, key = folder / "ca.pem", folder / "ca.key"
    there = [path.exists() for path in (certificate, key)]
    if not any(there):
        authority = Authority.new("interlock development CA")
        _write(key, authority.key)
        _write(certificate, authority.certificate)
        return authority, True
    if not all(there):
        missing = key if there[0] else certificate
        raise CertsRefusal(
            f"{missing} is missing beside the other half of the CA; put it back, or choose another --out"
        )
    try:
        return Authority.read(certificate.read_bytes(), key.read_bytes()), False
    except ValueError as error:
        raise CertsRefusal(f"{certificate}: {error}; it is not overwritten: choose another --out") from None


def _write_leaf(folder: Path, authority: Authority, subject: Subject) -> Leaf:
    leaf = authority.leaf(subject.name, purposes=subject.purposes, hosts=tuple(dict.fromkeys(subject.hosts)))
    folder.mkdir(mode=0o700, exist_ok=True)
    _write(folder / "ca.pem", authority.certificate)
    _write(folder / "key.pem", leaf.key)
    _write(folder / "cert.pem", leaf.certificate)
    return leaf


def _write(path: Path, content: bytes) -> None:
    """Write a file of mode 0400, whole or not at all."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o400)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
    unfinished.replace(path)


def _told(folder: Path, made: bool, leaves: Sequence[tuple[Subject, Leaf]]) -> str:  # noqa: FBT001 - a fact to tell
    width = max(len(one.name) for one, _ in leaves)
    lines = [f"{folder}/ca.pem: {'made' if made else 'kept'}; its key stays with you, for development only", ""]
    for subject, leaf in leaves:
        role = " and ".join(word for end, word in ((SERVER, "server"), (CLIENT, "client")) if end in subject.purposes)
        lines.append(
            f"  {subject.name:<{width}}  {role:<17}  until {leaf.valid_until:%Y-%m-%d}  {folder}/{subject.name}/"
        )
    caller = next((one.name for one, _ in leaves if one.purposes == (CLIENT,)), "NAME")
    lines += [
        "",
        f"grpcurl -cacert {folder}/ca.pem -cert {folder}/{caller}/cert.pem -key {folder}/{caller}/key.pem \\",
        "    127.0.0.1:50052 list",
    ]
    if caller == "NAME":
        lines.append("(a client's certificate is made by --client NAME)")
    return "\n".join(lines)
