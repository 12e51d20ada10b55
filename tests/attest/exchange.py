"""A simulated exchange with keys of every kind, and the settings with which `attest` asks about one of them."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from typing import Any

import httpx

from attest.settings import Settings
from exchange_sim.exchange import Exchange
from exchange_sim.rules import default_row, read_rules
from exchange_sim.server import SimServer
from kernel.attestation import Role
from kernel.secret import Secret
from standalone.secret_files import KeyFiles, kept_key, write_secret

ELSEWHERE = "192.0.2.1"
"""An address that is never ours (RFC 5737)."""

DECLARATION = """\
apiVersion: interlock/v1
kind: KeyDeclaration
key_fingerprint: {fingerprint}
cannot: withdraw
declared_by: Ada Lovelace
declared_on: {declared_on}
valid_until: {valid_until}
"""


@dataclass(frozen=True)
class Key:
    """A kind of key: its rights, how it was made, and whether its operator declares that it cannot withdraw."""

    name: str
    rights: tuple[str, ...]
    declared: bool = True
    made: dict[str, Any] = field(default_factory=dict)


KEYS = (
    Key("view", ("view",)),
    Key("view, nothing declared", ("view",), declared=False),
    Key("trade", ("trade",)),
    Key("view+trade", ("view", "trade")),
    Key("view+trade, nothing declared", ("view", "trade"), declared=False),
    Key("withdraw", ("withdraw",), declared=False),
    Key("view+withdraw", ("view", "withdraw"), declared=False),
    Key("view+trade+withdraw", ("view", "trade", "withdraw"), declared=False),
    Key("view+withdraw, falsely declared", ("view", "withdraw")),
    Key("unconfirmed (306)", ("view", "trade"), made={"confirmed": False}),
    Key("wrong address (307)", ("view", "trade"), made={"addresses": [ELSEWHERE]}),
)


class Bench:
    """One exchange, and a folder for what belongs to its keys."""

    def __init__(self, server: SimServer, url: str, folder: Path) -> None:
        self.server = server
        self.url = url
        self.folder = folder

    @property
    def requests(self) -> list[tuple[str, str]]:
        """Method and path of every request that came."""
        rows = self.server.exchange.ledger.request_rows(None, 0)
        return [(str(row["method"]), str(row["path"]).partition("?")[0]) for row in rows]

    async def admin(self, path: str, **wish: object) -> Any:  # noqa: ANN401 - JSON
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.post(f"{self.url}/_sim/{path}", json=wish)
        answer.raise_for_status()
        return answer.json()

    async def make(self, key: Key) -> KeyFiles:
        """Make a key of this kind at the exchange, and its files."""
        files = kept_key(self.folder / token_hex(8))
        rights, made = list(key.rights), key.made
        await self.admin("accounts", key=files.key, secret=files.secret, account="interlock", rights=rights, **made)
        return files

    def settings(self, role: Role, files: KeyFiles, *, declared: bool = True, patience: float = 0.0) -> Settings:
        """Return what asks about that key."""
        folder = files.key_file.parent
        declaration = declare(folder / "declaration.yaml", Secret(files.key).fingerprint()) if declared else None
        written = folder / "attestations"
        written.mkdir(exist_ok=True)
        url = f"{self.url}/v2"
        return Settings(role, files.key_file, files.secret_file, declaration, written, url, None, "BTC-EUR", patience)

    def environment(self, settings: Settings, **more: str) -> dict[str, str]:
        """Return the variables that say the same."""
        name = "READONLY" if settings.role is Role.MARKET else "TRADE"
        declaration = {"ATTEST_DECLARATION_FILE": str(settings.declaration_file)} if settings.declaration_file else {}
        return {
            f"BITVAVO_{name}_KEY_FILE": str(settings.key_file),
            f"BITVAVO_{name}_SECRET_FILE": str(settings.secret_file),
            "BITVAVO_REST_URL": settings.rest_url,
            "ATTESTATION_DIR": str(settings.directory),
            "ATTEST_PATIENCE": f"{settings.patience_seconds:g}s",
            **declaration,
            **more,
        }


@asynccontextmanager
async def open_bench(folder: Path, markets: Iterable[str] = ("BTC-EUR",)) -> AsyncIterator[Bench]:
    """Run an exchange inside this loop."""
    exchange = Exchange()
    for market in markets:
        exchange.open_market(read_rules(default_row(market)))
    server = SimServer(exchange)
    port = await server.start("127.0.0.1", 0)
    try:
        yield Bench(server, f"http://127.0.0.1:{port}", folder)
    finally:
        await server.stop()


def declare(path: Path, fingerprint: str, since: date | None = None, days: int = 90) -> Path:
    """Write a declaration about a key."""
    since = since or datetime.now(UTC).date()
    until = since + timedelta(days=days)
    path.write_text(DECLARATION.format(fingerprint=fingerprint, declared_on=since, valid_until=until))
    return path


def replace_key(files: KeyFiles, other: KeyFiles) -> None:
    """Put another key in the place of this one, as a rotation does."""
    write_secret(files.secret_file, other.secret)
    write_secret(files.key_file, other.key)
