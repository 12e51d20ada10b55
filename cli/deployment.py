"""What each container of docker-compose.yml finds in /run/secrets: made for development, or looked for.

    python -m cli.deployment prepare          INTERLOCK_SECRETS=development: make what lacks; =given: name what lacks
    python -m cli.deployment export NAME      a caller's certificate, key and authority, as a tar on standard output

Each volume lies under /volumes by its program's name. Keys, passwords and the authority are made once and kept in a
volume of their own that only this program sees; what the others get is written from there at every run.
"""

import io
import json
import os
import secrets
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Final

from cli.authority import CLIENT, SERVER, Authority, Leaf
from cli.certs import LOOPBACK
from cli.private_file import Owner, defects, write_private
from kernel.secret import Secret

VOLUMES: Final = Path("/volumes")
KEPT: Final = "development"
CALLERS: Final = ("operator", "approver")
EXIT_LACKING: Final = 2
KEY_BYTES: Final = 32
SECRET_BYTES: Final = 64
"""The exchange's keys have 64 hex digits, its secrets 128."""
DECLARED_FOR: Final = timedelta(days=90)
BALANCES: Final = MappingProxyType({"EUR": "1000000", "BTC": "50", "ETH": "500", "ADA": "500000", "SOL": "5000"})

ROLES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "market": ("market_owner", "market_service"),
        "trade": ("trade_owner", "trade_service", "trade_reconciler", "auditor"),
    }
)
"""The database's roles; `migrations.roles` makes them with these passwords."""

OWNERS: Final[Mapping[str, Owner]] = MappingProxyType(
    {
        "market_db": Owner(999),
        "trade_db": Owner(999),
        "market_service": Owner(10001),
        "trade_service": Owner(10002),
        "attest_market": Owner(10003),
        "attest_trade": Owner(10003),
        "simulator": Owner(10004),
        "migrate": Owner(10005),
    }
)
WRITTEN_BY_ATTEST: Final = ("attestation_market", "attestation_trade")
TLS: Final = ("ca.pem", "cert.pem", "key.pem")
FILES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "market_db": (*TLS, "superuser.password"),
        "trade_db": (*TLS, "superuser.password"),
        "market_service": (*TLS, "key", "secret", "database.url"),
        "trade_service": (*TLS, "key", "secret", "database.url", "reconciler_database.url"),
        "attest_market": ("ca.pem", "key", "secret", "declaration.yaml"),
        "attest_trade": ("ca.pem", "key", "secret", "declaration.yaml"),
        "migrate": (
            "ca.pem",
            *(f"{tree}_superuser.url" for tree in ROLES),
            *(f"{role}.password" for roles in ROLES.values() for role in roles),
        ),
        "simulator": (*TLS, "accounts.json"),
    }
)
"""Every file that a container needs, by volume. A real exchange needs no simulator, and no `ca.pem` in attest's."""
NOT_FOR_THE_REAL_ONE: Final = frozenset({("attest_market", "ca.pem"), ("attest_trade", "ca.pem")})


def main() -> int:
    """Run the command line; returns the exit code."""
    match sys.argv[1:]:
        case ["export", name] if name in CALLERS:
            sys.stdout.buffer.write(export(VOLUMES / KEPT / "callers" / name))
            return 0
        case ["prepare"] if os.environ.get("INTERLOCK_SECRETS") == "development":
            prepare(VOLUMES)
            print("secrets for development are in place; never use them where money is")
            return 0
        case ["prepare"] if os.environ.get("INTERLOCK_SECRETS") == "given":
            found = lacking(VOLUMES)
            print("\n".join(found) or "every secret is in place")
            return EXIT_LACKING if found else 0
    print(
        "usage: INTERLOCK_SECRETS=development|given cli.deployment prepare | export operator|approver", file=sys.stderr
    )
    return EXIT_LACKING


def prepare(volumes: Path) -> None:
    """Make what lacks and write every program's files.

    Raises:
        OSError: a volume is not there, or this process may not give files away.
    """
    kept = Kept(volumes / KEPT)
    for volume, files in _contents(kept).items():
        for name, content in files.items():
            write_private(volumes / volume / name, content, OWNERS[volume])
        OWNERS[volume].take(volumes / volume, mode=0o500)
    for volume in WRITTEN_BY_ATTEST:
        OWNERS["attest_market"].take(volumes / volume, mode=0o755)
    for name in CALLERS:
        for file, content in _tls(kept, name, ()).items():
            write_private(volumes / KEPT / "callers" / name / file, content, Owner(0))


def lacking(volumes: Path) -> list[str]:
    """Name every file that a container of the real deployment needs and that is not there as it must be."""
    found = []
    for volume, names in FILES.items():
        for name in names:
            if volume != "simulator" and (volume, name) not in NOT_FOR_THE_REAL_ONE:
                found += [f"{volume}/{name}: {defect}" for defect in defects(volumes / volume / name, OWNERS[volume])]
    return found


def export(folder: Path) -> bytes:
    """Return a caller's files as a tar, readable by whoever unpacks it and by nobody else."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        for name in TLS:
            content = (folder / name).read_bytes()
            member = tarfile.TarInfo(f"{folder.name}/{name}")
            member.size, member.mode = len(content), 0o400
            archive.addfile(member, io.BytesIO(content))
    return whole.getvalue()


@dataclass(frozen=True, slots=True)
class Kept:
    """Random values and the authority, made at the first use and the same ever after."""

    folder: Path

    def value(self, name: str, size: int = KEY_BYTES) -> str:
        """Return a secret of `size` random bytes in hexadecimal."""
        path = self.folder / name
        if not path.exists():
            write_private(path, secrets.token_hex(size).encode(), Owner(0))
        return path.read_text()

    def authority(self) -> Authority:
        """Return the authority."""
        certificate, key = self.folder / "ca.pem", self.folder / "ca.key"
        if not (certificate.exists() and key.exists()):
            authority = Authority.new("interlock development CA")
            write_private(key, authority.key, Owner(0))
            write_private(certificate, authority.certificate, Owner(0))
        return Authority.read(certificate.read_bytes(), key.read_bytes())


def _contents(kept: Kept) -> Mapping[str, Mapping[str, bytes]]:
    """Return what belongs into each volume, by file name."""
    ca = kept.authority().certificate
    market, trade = _key(kept, "market"), _key(kept, "trade")
    return {
        **{f"{tree}_db": _database(kept, tree) for tree in ROLES},
        "market_service": {
            **_tls(kept, "market_service", ("market_service", *LOOPBACK)),
            **market,
            "database.url": _url(kept, "market", "market_service"),
        },
        "trade_service": {
            **_tls(kept, "trade_service", ("trade_service", *LOOPBACK)),
            **trade,
            "database.url": _url(kept, "trade", "trade_service"),
            "reconciler_database.url": _url(kept, "trade", "trade_reconciler"),
        },
        "attest_market": {"ca.pem": ca, **market, "declaration.yaml": _declaration(market["key"])},
        "attest_trade": {"ca.pem": ca, **trade, "declaration.yaml": _declaration(trade["key"])},
        "migrate": {"ca.pem": ca, **_roles(kept)},
        "simulator": {
            **_tls(kept, "exchange_sim", ("simulator", *LOOPBACK)),
            "accounts.json": _accounts(market, trade),
        },
    }


def _tls(kept: Kept, name: str, hosts: tuple[str, ...]) -> dict[str, bytes]:
    authority = kept.authority()
    leaf: Leaf = authority.leaf(name, purposes=(SERVER, CLIENT) if hosts else (CLIENT,), hosts=hosts)
    return {"ca.pem": authority.certificate, "cert.pem": leaf.certificate, "key.pem": leaf.key}


def _key(kept: Kept, role: str) -> dict[str, bytes]:
    key, secret = kept.value(f"{role}.key"), kept.value(f"{role}.secret", SECRET_BYTES)
    return {"key": key.encode(), "secret": secret.encode()}


def _database(kept: Kept, tree: str) -> dict[str, bytes]:
    password = kept.value(f"{tree}_superuser.password").encode()
    return {**_tls(kept, f"{tree}_db", (f"{tree}_db",)), "superuser.password": password}


def _roles(kept: Kept) -> dict[str, bytes]:
    passwords = {
        f"{role}.password": kept.value(f"{role}.password").encode() for each in ROLES.values() for role in each
    }
    return {**{f"{tree}_superuser.url": _url(kept, tree, "postgres") for tree in ROLES}, **passwords}


def _url(kept: Kept, tree: str, role: str) -> bytes:
    superuser = role == "postgres"
    password = kept.value(f"{tree}_superuser.password" if superuser else f"{role}.password")
    database = "postgres" if superuser else f"interlock_{tree}"
    proof = "sslmode=verify-full&sslrootcert=/run/secrets/ca.pem"
    return f"postgresql://{role}:{password}@{tree}_db:5432/{database}?{proof}".encode()


def _declaration(key: bytes) -> bytes:
    today = datetime.now(UTC).date()
    lines = {
        "apiVersion": "interlock/v1",
        "kind": "KeyDeclaration",
        "key_fingerprint": f'"{Secret(key.decode()).fingerprint()}"',
        "cannot": "withdraw",
        "declared_by": "development",
        "declared_on": today.isoformat(),
        "valid_until": (today + DECLARED_FOR).isoformat(),
    }
    return "".join(f"{name}: {value}\n" for name, value in lines.items()).encode()


def _accounts(market: Mapping[str, bytes], trade: Mapping[str, bytes]) -> bytes:
    """One account with two keys, as the exchange has it: one that may look, one that may look and trade."""
    rights: tuple[tuple[Mapping[str, bytes], list[str], dict[str, str]], ...] = (
        (market, ["view"], dict(BALANCES)),
        (trade, ["view", "trade"], {}),
    )
    accounts = [
        {
            "account": "interlock",
            "key": key["key"].decode(),
            "secret": key["secret"].decode(),
            "rights": may,
            "balances": balances,
        }
        for key, may, balances in rights
    ]
    return json.dumps(accounts).encode()


if __name__ == "__main__":
    sys.exit(main())
