"""Both clients against the simulated exchange in a process of its own, whose ledger says what really happened."""

import asyncio
import json
import secrets
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from bitvavo.budget import Purpose, RateBudget
from bitvavo.client import TradeClient, wall_clock_ms
from bitvavo.clock import ExchangeClock
from bitvavo.endpoints import MARKET_ENDPOINTS, TRADE_ENDPOINTS
from bitvavo.market_client import MarketClient
from bitvavo.order import order_body
from bitvavo.reply import Accepted, CancelAccepted, Found, NotThere, OrderReply, Rejected, Unclear
from bitvavo.session import ExchangeUnavailableError, ReadFailure
from bitvavo.signing import Credentials
from bitvavo.transport import open_client
from kernel.secret import Secret

OPERATOR_ID = 1001
MARKET = "BTC-EUR"
RESTING = {"order_type": "limit", "amount": "0.002", "price": "40000"}
NO_LAG = ("order_read_lag_ms", "orders_read_lag_ms", "trades_read_lag_ms", "cancel_read_lag_ms")


@dataclass(frozen=True)
class Sim:
    url: str
    admin: aiohttp.ClientSession
    trade_keys: Credentials
    view_keys: Credentials

    async def open_account(self, keys: Credentials, rights: list[str], balances: dict[str, str]) -> None:
        key, secret, account = keys.key.reveal(), keys.secret.reveal(), self.trade_keys.key.fingerprint()
        await self.tell("accounts", account=account, key=key, secret=secret, rights=rights, balances=balances)

    async def tell(self, what: str, **wish: object) -> None:
        async with self.admin.post(f"{self.url}/_sim/{what}", json=wish) as answer:
            assert answer.status == 200, await answer.text()

    async def ledger(self, client_order_id: str) -> tuple[list[Any], list[Any]]:
        query = {"client_order_id": client_order_id}
        async with self.admin.get(f"{self.url}/_sim/ledger", params=query) as answer:
            told = await answer.json()
        return [each for each in told["requests"] if each["method"] == "POST"], told["orders"]


@pytest.fixture(scope="module")
def simulator() -> Iterator[str]:
    command = [sys.executable, "-m", "exchange_sim", "--port", "0", "--still", "--markets", "3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()


@pytest.fixture
async def sim(simulator: str) -> AsyncIterator[Sim]:
    """Give the one simulator with an account of this test's own and everything else as at the start."""
    async with aiohttp.ClientSession() as admin:
        sim = Sim(simulator, admin, trade_keys=_new_keys(), view_keys=_new_keys())
        await sim.tell("switches", **dict.fromkeys(NO_LAG, 0))
        await sim.tell("clock", offset_ms=0)
        await sim.tell("limits", points_per_minute=1_000)
        await sim.tell("book", market=MARKET, bids=[["49990", "1"]], asks=[["50010", "0.001"], ["50020", "1"]])
        await sim.open_account(sim.trade_keys, ["trade", "view"], {"EUR": "10000", "BTC": "1"})
        await sim.open_account(sim.view_keys, ["view"], {})
        yield sim


def _new_keys() -> Credentials:
    return Credentials(Secret(secrets.token_hex(32)), Secret(secrets.token_hex(64)))


@pytest.fixture
async def trade(sim: Sim) -> AsyncIterator[TradeClient]:
    async with open_client(f"{sim.url}/v2", TRADE_ENDPOINTS) as http:
        yield TradeClient(http, sim.trade_keys)


async def create(
    trade: TradeClient, client_order_id: str, fields: dict[str, Any], *, timestamp_ms: int | None = None
) -> OrderReply:
    body = order_body(market=MARKET, side="buy", operator_id=OPERATOR_ID, client_order_id=client_order_id, **fields)
    return await trade.create_order(
        body,
        timestamp_ms=wall_clock_ms() if timestamp_ms is None else timestamp_ms,
        window_ms=3_000,
        timeout_seconds=3.0,
        client_order_id=client_order_id,
        market=MARKET,
    )


async def test_a_resting_order_is_made_found_listed_and_cancelled(sim: Sim, trade: TradeClient) -> None:
    client_order_id = str(uuid.uuid4())
    reply = await create(trade, client_order_id, {"order_type": "limit", "amount": "0.00200", "price": "40000"})
    assert isinstance(reply, Accepted)
    assert (reply.order.status, reply.order.operator_id) == ("new", OPERATOR_ID)
    found = await trade.get_order(MARKET, client_order_id)
    assert isinstance(found, Found)
    assert isinstance(await trade.get_order(MARKET, order_id=reply.order.order_id), Found)
    assert [order.client_order_id for order in await trade.open_orders(MARKET)] == [client_order_id]
    assert [order.client_order_id for order in await trade.open_orders()] == [client_order_id]
    assert await trade.cancel_order(MARKET, client_order_id, OPERATOR_ID) == CancelAccepted(reply.order.order_id)
    assert await trade.cancel_order(MARKET, client_order_id, OPERATOR_ID) == NotThere()
    (listed,) = await trade.orders(MARKET)
    assert (listed.status, listed.final) == ("canceled", True)
    assert await trade.open_orders() == ()
    posts, orders = await sim.ledger(client_order_id)
    assert (len(posts), len(orders)) == (1, 1)
    assert json.loads(posts[0]["body"])["amount"] == "0.00200"


async def test_a_market_order_comes_back_with_its_fills(trade: TradeClient) -> None:
    client_order_id = str(uuid.uuid4())
    reply = await create(trade, client_order_id, {"order_type": "market", "amount_quote": "100.00"})
    assert isinstance(reply, Accepted)
    assert reply.order.status == "filled"
    assert len(reply.order.fills) == 2  # it walked through the first level
    assert sum(fill.amount for fill in reply.order.fills) == reply.order.filled_amount
    trades = await trade.trades(MARKET)
    assert {each.fill.id for each in trades} == {fill.id for fill in reply.order.fills}
    assert {each.client_order_id for each in trades} == {client_order_id}


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"order_type": "limit", "amount": "0.001", "price": "40000.5"}, 422),
        ({"order_type": "limit", "amount": "0.0000000001", "price": "40000"}, 429),
        ({"order_type": "limit", "amount": "0.9", "price": "40000"}, 216),
        ({"order_type": "market", "amount_quote": "1.00"}, 217),
        ({"order_type": "limit", "amount": "0.001"}, 203),
    ],
)
async def test_what_the_exchange_refuses_is_rejected_and_no_order_exists(
    sim: Sim, trade: TradeClient, fields: dict[str, str], code: int
) -> None:
    client_order_id = str(uuid.uuid4())
    reply = await create(trade, client_order_id, fields)
    assert isinstance(reply, Rejected)
    assert (reply.code, reply.status) == (code, 400)
    posts, orders = await sim.ledger(client_order_id)
    assert (len(posts), orders) == (1, [])


async def test_a_request_too_late_for_its_window_is_rejected(sim: Sim, trade: TradeClient) -> None:
    client_order_id = str(uuid.uuid4())
    late = wall_clock_ms() - 3_500
    reply = await create(trade, client_order_id, RESTING, timestamp_ms=late)
    assert isinstance(reply, Rejected)
    assert (reply.code, reply.status) == (304, 403)
    assert (await sim.ledger(client_order_id))[1] == []


FAULTS: list[dict[str, object]] = [
    {"fault": "drop_request"},
    {"fault": "drop_response"},
    {"fault": "reset_mid_body"},
    {"fault": "html"},
    {"fault": "truncated_json"},
    {"fault": "oversized_body"},
    {"fault": "error_5xx_before"},
    {"fault": "error_5xx_after_executing"},
    {"fault": "redirect"},
]
FAULTS += [{"fault": "error_code", "code": code} for code in (101, 107, 108, 109, 111, 220, 240, 400, 419, 430)]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: "-".join(map(str, fault.values())))
async def test_a_fault_leaves_the_outcome_unclear_and_one_post(
    sim: Sim, trade: TradeClient, fault: dict[str, object]
) -> None:
    await sim.tell("faults", match={"method": "POST", "path": "/v2/order"}, **fault)
    client_order_id = str(uuid.uuid4())
    reply = await create(trade, client_order_id, RESTING)
    assert isinstance(reply, Unclear)
    assert not reply.not_sent
    posts, orders = await sim.ledger(client_order_id)
    assert len(posts) == 1
    assert isinstance(await trade.get_order(MARKET, client_order_id), Found if orders else NotThere)


async def test_a_view_key_may_read_and_not_trade(sim: Sim) -> None:
    async with open_client(f"{sim.url}/v2", TRADE_ENDPOINTS) as http:
        reply = await TradeClient(http, sim.view_keys).cancel_order(MARKET, str(uuid.uuid4()), 1)
    assert isinstance(reply, Rejected | NotThere)
    async with open_client(f"{sim.url}/v2", MARKET_ENDPOINTS) as http:
        client = MarketClient(http, sim.view_keys)
        assert {each.symbol for each in await client.balances()} >= {"EUR"}
        assert (await client.fees(MARKET)).taker > 0
        assert (await client.account_fees()).maker > 0


async def test_every_public_read_is_understood(sim: Sim) -> None:
    async with open_client(f"{sim.url}/v2", MARKET_ENDPOINTS) as http:
        client = MarketClient(http, None)
        assert len(await client.markets()) == 3
        (rules,) = await client.markets(MARKET)
        assert rules.trading
        assert {each.symbol for each in await client.assets()} >= {"BTC", "EUR"}
        book = await client.book(MARKET, depth=1)
        assert book.bids[0].price < book.asks[0].price
        assert len(await client.ticker_prices()) == len(await client.ticker_books()) == 3
        (ticker,) = await client.tickers_24h(MARKET)
        assert ticker.market == MARKET
        assert await client.candles(MARKET, "1m", limit=5) is not None
        assert await client.trades(MARKET, limit=5) is not None
        with pytest.raises(ExchangeUnavailableError) as caught:
            await client.book("NOPE-EUR")
        assert (caught.value.kind, caught.value.code) == (ReadFailure.REFUSED, 205)


async def test_the_clock_and_the_budget_follow_the_exchange(sim: Sim) -> None:
    await sim.tell("clock", offset_ms=-20_000)
    await sim.tell("limits", points_per_minute=5_000)
    clock, budget = ExchangeClock(asyncio.get_running_loop().time), RateBudget(wall_clock_ms)
    async with open_client(f"{sim.url}/v2", TRADE_ENDPOINTS) as http:
        trade = TradeClient(http, sim.trade_keys, now_ms=clock.signed_timestamp_ms, observe=budget.observe)
        told = await trade.time()
        clock.observe(told.server_ms, told.sent_at, told.received_at)
        reply = await create(trade, str(uuid.uuid4()), RESTING, timestamp_ms=clock.signed_timestamp_ms())
        assert isinstance(reply, Accepted)
        assert await trade.open_orders(MARKET)
    assert budget.share(Purpose.CLAIM) == 3_000


async def test_a_ban_is_rejected_and_stops_the_budget(sim: Sim) -> None:
    await sim.tell("faults", match={"method": "POST", "path": "/v2/order"}, fault="ban")
    budget = RateBudget(wall_clock_ms)
    async with open_client(f"{sim.url}/v2", TRADE_ENDPOINTS) as http:
        trade = TradeClient(http, sim.trade_keys, observe=budget.observe)
        reply = await create(trade, str(uuid.uuid4()), RESTING)
    assert isinstance(reply, Rejected)
    assert (reply.code, reply.status) == (105, 429)
    assert budget.take(Purpose.CLAIM, 1) is None
    assert 0 < budget.retry_after_seconds(Purpose.RECONCILE) <= 121
