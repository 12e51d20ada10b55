"""A running simulator on a free port, and a client that signs in its own words."""

import hmac
from typing import Any

import orjson
from aiohttp import ClientSession
from yarl import URL

from exchange_sim.exchange import Exchange
from exchange_sim.rules import default_row, read_rules
from exchange_sim.server import SimServer
from exchange_sim.switches import Switches, changed
from tests.exchange_sim.hand_clock import NOON_MS, HandClock

KEY, SECRET = "k" * 64, "s" * 128
OTHER_KEY = "o" * 64
PROMPT = {
    "order_read_lag_ms": 0,
    "orders_read_lag_ms": 0,
    "trades_read_lag_ms": 0,
    "cancel_read_lag_ms": 0,
    "closed_order_retention_ms": None,
    "update_busy_ms": 0,
}
BIDS = [["49990", "1"], ["49980", "2"]]
ASKS = [["50000", "1"], ["50010", "2"]]


class Reply:
    """Status, headers and decoded body of one answer."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self) -> Any:  # noqa: ANN401  whatever the exchange answered
        return orjson.loads(self.body)

    @property
    def code(self) -> int | None:
        found = self.json
        return found.get("errorCode") if isinstance(found, dict) else None


class World:
    """One exchange with BTC-EUR at 50,000 and an account of 10,000 EUR and 1 BTC."""

    def __init__(self, switches: dict[str, Any]) -> None:
        self.clock = HandClock()
        self.exchange = Exchange(clock=self.clock, switches=changed(Switches(), switches))
        self.server = SimServer(self.exchange)
        self.url = ""
        self.session: ClientSession

    async def start(self) -> None:
        self.url = f"http://127.0.0.1:{await self.server.start('127.0.0.1', 0)}"
        self.session = ClientSession()
        self.exchange.open_market(read_rules(default_row("BTC-EUR")))
        await self.admin("POST", "book", {"market": "BTC-EUR", "bids": BIDS, "asks": ASKS})
        await self.account(KEY, ["view", "trade"], {"EUR": "10000", "BTC": "1"}, "alice")

    async def stop(self) -> None:
        await self.session.close()
        await self.server.stop()

    async def account(self, key: str, rights: list[str], balances: dict[str, str], name: str) -> Reply:
        wish = {"key": key, "secret": SECRET, "rights": rights, "balances": balances, "account": name}
        return await self.admin("POST", "accounts", wish)

    async def admin(self, method: str, name: str, wish: dict[str, Any] | None = None) -> Reply:
        reply = await self._send(method, f"/_sim/{name}", orjson.dumps(wish) if wish is not None else b"", {})
        assert reply.status == 200, reply.body
        return reply

    async def public(self, target: str) -> Reply:
        return await self._send("GET", f"/v2{target}", b"", {})

    async def call(
        self,
        method: str,
        target: str,
        body: dict[str, Any] | None = None,
        *,
        key: str = KEY,
        age_ms: int = 0,
        window: str | None = "5000",
    ) -> Reply:
        """Send a signed request that was signed `age_ms` ago."""
        text = orjson.dumps(body) if body is not None else b""
        timestamp = str(NOON_MS + self.clock.passed_ms - age_ms)
        signed = f"{timestamp}{method}/v2{target}".encode() + text
        headers = {
            "Bitvavo-Access-Key": key,
            "Bitvavo-Access-Signature": hmac.new(SECRET.encode(), signed, "sha256").hexdigest(),
            "Bitvavo-Access-Timestamp": timestamp,
        }
        if window is not None:
            headers["Bitvavo-Access-Window"] = window
        return await self._send(method, f"/v2{target}", text, headers)

    async def order(self, *, key: str = KEY, **fields: object) -> Reply:
        """Place an order: a limit buy of 0.01 BTC at 40,000 unless the fields say otherwise; None leaves one out."""
        body = {"market": "BTC-EUR", "side": "buy", "orderType": "limit", "operatorId": 7}
        body |= {"amount": "0.01", "price": "40000"} | fields
        return await self.call(
            "POST", "/order", {name: each for name, each in body.items() if each is not None}, key=key
        )

    async def balances(self, key: str = KEY) -> dict[str, tuple[str, str]]:
        rows = (await self.call("GET", "/balance", key=key)).json
        return {row["symbol"]: (row["available"], row["inOrder"]) for row in rows}

    async def _send(self, method: str, target: str, body: bytes, headers: dict[str, str]) -> Reply:
        url = URL(self.url + target, encoded=True)
        async with self.session.request(
            method, url, data=body or None, headers=headers, allow_redirects=False
        ) as found:
            return Reply(found.status, dict(found.headers), await found.read())
