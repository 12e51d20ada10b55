"""Each way in which the exchange can fail has one kind, one reason and a time to come back."""

import time
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from aiohttp import web

from bitvavo.clock import ExchangeClock
from bitvavo.endpoints import MARKET_ENDPOINTS, ForbiddenEndpointError
from bitvavo.market_client import MarketClient
from bitvavo.signing import Credentials
from bitvavo.transport import open_client
from kernel.errors import Exhausted, NotNow, Unavailable
from kernel.rpc.actor import LOCAL, NOBODY, Actor, act_as
from kernel.secret import Secret
from market_service.exchange import BitvavoExchange, Points
from market_service.live.assembly import MESSAGE

KEY = Credentials(Secret("k" * 64), Secret("s" * 128))
RATE = {"bitvavo-ratelimit-limit": "1000", "bitvavo-ratelimit-remaining": "900"}


class Canned:
    """An HTTP server that gives one answer to everything, and remembers what it was sent."""

    def __init__(self) -> None:
        self.status, self.body, self.content_type = 200, "{}", "application/json"
        self.seen: list[tuple[str, set[str]]] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.seen.append((request.path_qs, {name.lower() for name in request.headers}))
        return web.Response(status=self.status, text=self.body, content_type=self.content_type, headers=RATE)


@pytest.fixture
async def canned() -> AsyncIterator[Canned]:
    yield_to = Canned()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", yield_to.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield_to.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v2"
    yield yield_to
    await runner.cleanup()


@pytest.fixture
async def http(canned: Canned) -> AsyncIterator[httpx.AsyncClient]:
    async with open_client(canned.url, MARKET_ENDPOINTS) as client:
        yield client


def exchange_on(
    http: httpx.AsyncClient, credentials: Credentials | None = KEY, attested: Callable[[], bool] = lambda: True
) -> BitvavoExchange:
    points = Points()
    client = MarketClient(http, credentials, observe=points.observe)
    return BitvavoExchange(
        client, points, ExchangeClock(time.monotonic), has_key=credentials is not None, attested=attested
    )


HTML = "<html><body>Just a moment...</body></html>"


@pytest.mark.parametrize(
    ("status", "content_type", "body", "reason", "metadata"),
    [
        (409, "application/json", '{"errorCode":431,"error":"in state HALTED"}', "MARKET_DATA_UNAVAILABLE", "431"),
        (503, "application/json", '{"errorCode":430,"error":"no event"}', "MARKET_DATA_UNAVAILABLE", "430"),
        (503, "application/json", '{"errorCode":111,"error":"engine"}', "EXCHANGE_UNAVAILABLE", "111"),
        (502, "text/html", HTML, "EXCHANGE_UNAVAILABLE", None),
        (404, "text/html", HTML, "EXCHANGE_UNREADABLE", None),
        (200, "text/html", HTML, "EXCHANGE_UNREADABLE", None),
        (200, "application/json", '{"market":"ETH-EUR","nonce":1,"bids":[],"asks":[]}', "EXCHANGE_UNREADABLE", None),
        (302, "text/html", HTML, "EXCHANGE_UNREADABLE", None),
        (400, "application/json", '{"errorCode":205,"error":"market"}', "EXCHANGE_REFUSED", "205"),
    ],
)
async def test_a_failed_read_says_why_and_when_to_come_back(
    canned: Canned,
    http: httpx.AsyncClient,
    status: int,
    content_type: str,
    body: str,
    reason: str,
    metadata: str | None,
) -> None:
    canned.status, canned.content_type, canned.body = status, content_type, body
    with pytest.raises(Unavailable) as failed:
        await exchange_on(http).book("BTC-EUR", 50)
    assert failed.value.reason == reason
    assert failed.value.metadata.get("exchange_code") == metadata
    assert failed.value.retry_after_seconds >= 1.0


async def test_a_server_that_is_gone_is_the_exchange_being_down(canned: Canned, http: httpx.AsyncClient) -> None:
    dead = open_client("http://127.0.0.1:9/v2", MARKET_ENDPOINTS)
    async with dead:
        with pytest.raises(Unavailable) as failed:
            await exchange_on(dead).markets()
    assert failed.value.reason == "EXCHANGE_UNAVAILABLE"


async def test_during_a_ban_nothing_is_sent(canned: Canned, http: httpx.AsyncClient) -> None:
    ends_ms = time.time_ns() // 1_000_000 + 90_000
    canned.status = 429
    canned.body = f'{{"errorCode":105,"error":"The ban expires at {ends_ms}."}}'
    exchange = exchange_on(http)
    for _ in range(3):
        with pytest.raises(Exhausted) as banned:
            await exchange.markets()
        assert banned.value.reason == "EXCHANGE_BAN"
        assert 60 < banned.value.retry_after_seconds <= 91
    assert len(canned.seen) == 1


async def test_a_ban_of_the_address_does_not_stop_the_accounts_reads(canned: Canned, http: httpx.AsyncClient) -> None:
    canned.status = 429
    canned.body = f'{{"errorCode":105,"error":"The ban expires at {time.time_ns() // 1_000_000 + 90_000}."}}'
    exchange = exchange_on(http)
    with pytest.raises(Exhausted):
        await exchange.markets()
    canned.status, canned.body = 200, "[]"
    assert await exchange.balances() == ()


async def test_the_accounts_reads_stop_at_our_share_of_its_points(canned: Canned, http: httpx.AsyncClient) -> None:
    canned.body = "[]"
    exchange = exchange_on(http)
    for _ in range(30):
        await exchange.balances()
    with pytest.raises(Exhausted) as spent:
        await exchange.balances()
    assert (spent.value.reason, spent.value.metadata) == ("RATE_BUDGET", {"budget": "account"})
    assert 0 < spent.value.retry_after_seconds <= 60
    assert len(canned.seen) == 30


@pytest.mark.parametrize("code", [305, 309, 311])
async def test_a_key_that_is_not_accepted_is_a_state_to_mend(
    canned: Canned, http: httpx.AsyncClient, code: int
) -> None:
    canned.status, canned.body = 403, f'{{"errorCode":{code},"error":"no"}}'
    with pytest.raises(NotNow) as refused:
        await exchange_on(http).balances()
    assert refused.value.reason == "READONLY_KEY_REFUSED"
    assert refused.value.metadata == {"exchange_code": str(code)}


async def test_without_a_key_the_account_is_not_asked(canned: Canned, http: httpx.AsyncClient) -> None:
    exchange = exchange_on(http, credentials=None)
    for ask in (exchange.balances, lambda: exchange.fees("BTC-EUR")):
        with pytest.raises(NotNow) as missing:
            await ask()
        assert missing.value.reason == "READONLY_KEY_MISSING"
    assert canned.seen == []


async def test_without_an_attestation_the_account_is_not_read_and_prices_are(
    canned: Canned, http: httpx.AsyncClient
) -> None:
    attested = False
    exchange = exchange_on(http, attested=lambda: attested)
    for ask in (exchange.balances, lambda: exchange.fees("BTC-EUR")):
        with pytest.raises(Unavailable) as lost:
            await ask()
        assert (lost.value.reason, lost.value.retry_after_seconds) == ("KEY_NOT_ATTESTED", 30.0)
    assert canned.seen == []
    canned.body = "[]"
    assert await exchange.markets() == ()
    attested = True
    assert await exchange.balances() == ()


async def test_only_the_accounts_reads_are_signed(canned: Canned, http: httpx.AsyncClient) -> None:
    exchange = exchange_on(http)
    canned.body = "[]"
    await exchange.markets()
    await exchange.balances()
    (public, public_headers), (private, private_headers) = canned.seen
    assert (public, private) == ("/v2/markets", "/v2/balance")
    assert not {name for name in public_headers if name.startswith("bitvavo-access")}
    assert "bitvavo-access-signature" in private_headers


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/order"),
        ("PUT", "/order"),
        ("DELETE", "/order"),
        ("DELETE", "/orders"),
        ("GET", "/order"),
        ("GET", "/orders"),
        ("GET", "/ordersOpen"),
        ("GET", "/trades"),
        ("POST", "/withdrawal"),
        ("GET", "/deposit"),
        ("POST", "/cancelOrdersAfter"),
    ],
)
async def test_g3_the_market_side_cannot_reach_an_endpoint_that_trades(
    canned: Canned, http: httpx.AsyncClient, method: str, path: str
) -> None:
    with pytest.raises(ForbiddenEndpointError):
        await http.request(method, path)
    assert canned.seen == []


async def test_streams_and_readers_leave_trades_a_part_of_the_addresss_points(
    canned: Canned, http: httpx.AsyncClient
) -> None:
    canned.body = '{"market":"BTC-EUR","nonce":1,"bids":[],"asks":[]}'
    exchange = exchange_on(http)
    for _ in range(600):
        exchange.pay(MESSAGE)
    for actor in (NOBODY, Actor("alice-bot", authenticated=True, rights=frozenset({"read"}))):
        act_as(actor)
        with pytest.raises(Exhausted):
            await exchange.book("BTC-EUR", 50)
    act_as(Actor("trade_service", authenticated=True, rights=frozenset({"read"})))
    await exchange.book("BTC-EUR", 50)
    act_as(LOCAL)
    await exchange.book("BTC-EUR", 50)
    act_as(NOBODY)
    canned.body = "[]"
    assert await exchange.markets() == ()
