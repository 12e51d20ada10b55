"""The two clients over a server of raw bytes: what they put on the wire, and what they make of answers."""

import hashlib
import hmac
import json
from decimal import Decimal

import pytest

from bitvavo import endpoints
from bitvavo.client import TradeClient
from bitvavo.endpoints import MARKET_ENDPOINTS, TRADE_ENDPOINTS, Endpoint, ForbiddenEndpointError
from bitvavo.market_client import MarketClient
from bitvavo.rate import RateReport
from bitvavo.reply import Accepted, CancelAccepted, Found, NotThere, Rejected
from bitvavo.session import ExchangeUnavailableError, ReadFailure, Session
from bitvavo.signing import Credentials
from bitvavo.transport import Fault, open_client
from kernel.secret import Secret
from tests.bitvavo.orders import CLIENT_ORDER_ID, LIMIT_ORDER, MARKET, ORDER_ID, written
from tests.bitvavo.raw_server import FAULTS, RawServer, answering, running

KEYS = Credentials(Secret("k" * 64), Secret("s" * 128))
NOW_MS = 1_795_500_000_000
BODY = b'{"market":"BTC-EUR","amount":"0.00100"}'


def http_answer(status: int, body: bytes, *headers: bytes) -> bytes:
    head = [b"HTTP/1.1 %d X" % status, b"Content-Type: application/json", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(head) + b"\r\nConnection: close\r\n\r\n" + body


def error(code: int) -> bytes:
    return json.dumps({"errorCode": code, "error": "x"}).encode()


def header(head: bytes, name: bytes) -> str:
    lines = [line.split(b": ", 1)[1] for line in head.split(b"\r\n") if line.lower().startswith(name + b":")]
    assert len(lines) == 1
    return lines[0].decode()


def assert_signed(server: RawServer, timestamp_ms: int) -> None:
    """Check the signature over what arrived: method, path and body of the wire."""
    head, body = server.heads[-1], server.bodies[-1]
    method, path = head.split(b" ")[:2]
    message = str(timestamp_ms).encode() + method + path + body
    assert header(head, b"bitvavo-access-signature") == hmac.new(b"s" * 128, message, hashlib.sha256).hexdigest()
    assert header(head, b"bitvavo-access-timestamp") == str(timestamp_ms)
    assert header(head, b"bitvavo-access-key") == "k" * 64


async def create(client: TradeClient) -> object:
    return await client.create_order(
        BODY,
        timestamp_ms=NOW_MS + 7,
        window_ms=2_000,
        timeout_seconds=1.0,
        client_order_id=CLIENT_ORDER_ID,
        market=MARKET,
    )


async def test_a_create_sends_exactly_its_bytes_signed_for_its_own_time() -> None:
    server = RawServer(answering(http_answer(200, written(LIMIT_ORDER))))
    async with running(server) as url, open_client(url, TRADE_ENDPOINTS) as http:
        reply = await create(TradeClient(http, KEYS, now_ms=lambda: NOW_MS))
    assert isinstance(reply, Accepted)
    assert server.bodies == [BODY]
    assert server.heads[0].startswith(b"POST /v2/order HTTP/1.1\r\n")
    assert header(server.heads[0], b"content-type") == "application/json"
    assert header(server.heads[0], b"bitvavo-access-window") == "2000"
    assert_signed(server, NOW_MS + 7)


async def test_a_refused_create_is_rejected() -> None:
    server = RawServer(answering(http_answer(400, error(216))))
    async with running(server) as url, open_client(url, TRADE_ENDPOINTS) as http:
        assert await create(TradeClient(http, KEYS)) == Rejected(216, "x", 400)


async def test_a_look_up_names_market_and_client_order_id() -> None:
    server = RawServer(answering(http_answer(200, written(LIMIT_ORDER))))
    async with running(server) as url, open_client(url, TRADE_ENDPOINTS) as http:
        client = TradeClient(http, KEYS, now_ms=lambda: NOW_MS)
        assert isinstance(await client.get_order(MARKET, CLIENT_ORDER_ID), Found)
        assert server.heads[-1].startswith(f"GET /v2/order?market=BTC-EUR&clientOrderId={CLIENT_ORDER_ID} ".encode())
        assert_signed(server, NOW_MS)
        assert isinstance(await client.get_order(MARKET, order_id=ORDER_ID), Found)
        assert server.heads[-1].startswith(f"GET /v2/order?market=BTC-EUR&orderId={ORDER_ID} ".encode())


async def test_a_cancel_names_the_operator_and_proves_no_more_than_its_answer() -> None:
    server = RawServer(answering(http_answer(200, json.dumps({"orderId": ORDER_ID}).encode())))
    async with running(server) as url, open_client(url, TRADE_ENDPOINTS) as http:
        client = TradeClient(http, KEYS, now_ms=lambda: NOW_MS)
        assert await client.cancel_order(MARKET, CLIENT_ORDER_ID, 1001) == CancelAccepted(ORDER_ID)
        assert server.heads[-1].startswith(
            f"DELETE /v2/order?market=BTC-EUR&clientOrderId={CLIENT_ORDER_ID}&operatorId=1001 ".encode()
        )
        assert_signed(server, NOW_MS)
        server.fault = answering(http_answer(404, error(240)))
        assert await client.cancel_order(MARKET, CLIENT_ORDER_ID, 1001) == NotThere()


async def test_list_reads_name_their_market_and_window() -> None:
    server = RawServer(answering(http_answer(200, written([LIMIT_ORDER]))))
    async with running(server) as url, open_client(url, TRADE_ENDPOINTS) as http:
        client = TradeClient(http, KEYS, now_ms=lambda: NOW_MS)
        assert len(await client.open_orders()) == len(await client.open_orders(MARKET)) == 1
        assert len(await client.orders(MARKET, start_ms=1, end_ms=2, limit=3)) == 1
        server.fault = answering(http_answer(200, b"[]"))
        assert await client.trades(MARKET, start_ms=1) == ()
    assert [head.split(b" ")[1] for head in server.heads] == [
        b"/v2/ordersOpen",
        b"/v2/ordersOpen?market=BTC-EUR",
        b"/v2/orders?market=BTC-EUR&limit=3&start=1&end=2",
        b"/v2/trades?market=BTC-EUR&limit=1000&start=1",
    ]


async def test_the_exchanges_clock_is_asked_unsigned() -> None:
    server = RawServer(answering(http_answer(200, b'{"time":1795500000123,"timeNs":1795500000123000000}')))
    async with running(server) as url, open_client(url, TRADE_ENDPOINTS) as http:
        told = await TradeClient(http, KEYS).time()
    assert told.server_ms == 1795500000123
    assert 0 < told.round_trip_seconds < 5
    assert b"bitvavo-access" not in server.heads[0].lower()


FAILURES = [
    (http_answer(429, error(105)), ReadFailure.RATE_LIMITED, 429, 105),
    (http_answer(403, error(311)), ReadFailure.REFUSED, 403, 311),
    (http_answer(503, error(430)), ReadFailure.SERVER_ERROR, 503, 430),
    (http_answer(502, b"<html>"), ReadFailure.SERVER_ERROR, 502, None),
    (http_answer(404, b"<html>"), ReadFailure.UNREADABLE, 404, None),
    (http_answer(302, b"[]"), ReadFailure.UNREADABLE, 302, None),
    (http_answer(200, b"<html>"), ReadFailure.UNREADABLE, 200, None),
    (http_answer(200, b'[{"orderId":1}]'), ReadFailure.UNREADABLE, 200, None),
]


@pytest.mark.parametrize(("raw", "kind", "status", "code"), FAILURES)
async def test_a_list_that_cannot_be_read_is_never_an_empty_list(
    raw: bytes, kind: ReadFailure, status: int, code: int | None
) -> None:
    server = RawServer(answering(raw))
    async with running(server) as url, open_client(url, TRADE_ENDPOINTS) as http:
        with pytest.raises(ExchangeUnavailableError) as caught:
            await TradeClient(http, KEYS).orders(MARKET)
    assert (caught.value.kind, caught.value.status, caught.value.code) == (kind, status, code)


async def test_a_read_without_an_answer_says_so_and_no_more() -> None:
    server = RawServer(FAULTS["reset"])
    async with running(server) as url, open_client(url, TRADE_ENDPOINTS) as http:
        with pytest.raises(ExchangeUnavailableError) as caught:
            await TradeClient(http, KEYS).trades(MARKET)
    assert (str(caught.value), caught.value.fault) == ("no_answer", Fault.DISCONNECTED)


async def test_the_rate_headers_of_every_answer_are_reported_also_of_errors() -> None:
    rate = (b"Bitvavo-Ratelimit-Limit: 1000", b"bitvavo-ratelimit-remaining: 7", b"bitvavo-ratelimit-resetat: 60000")
    server = RawServer(answering(http_answer(400, error(205), *rate)))
    reports: list[RateReport] = []
    async with running(server) as url, open_client(url, TRADE_ENDPOINTS) as http:
        await create(TradeClient(http, KEYS, observe=reports.append))
    assert reports == [RateReport(True, 1000, 7, 60000, False, None)]  # noqa: FBT003


class CountingSecret(Secret):
    """A secret that counts how often it was opened."""

    opened = 0

    def reveal(self) -> str:
        CountingSecret.opened += 1
        return super().reveal()


@pytest.mark.parametrize(
    "endpoint",
    [
        Endpoint("POST", "/withdrawal", 1, signed=True),
        Endpoint("PUT", "/order", 1, signed=True),
        Endpoint("DELETE", "/orders", 25, signed=True),
        endpoints.BALANCE,
        Endpoint("POST", "/order/../withdrawal", 1, signed=True),
    ],
)
async def test_a_forbidden_endpoint_raises_before_anything_is_signed_or_sent(endpoint: Endpoint) -> None:
    server = RawServer(FAULTS["ok"])
    CountingSecret.opened = 0
    keys = Credentials(CountingSecret("k" * 64), CountingSecret("s" * 128))
    async with running(server) as url, open_client(url, TRADE_ENDPOINTS) as http:
        session = Session(http, TRADE_ENDPOINTS, keys, lambda: NOW_MS, None)
        with pytest.raises(ForbiddenEndpointError):
            await session.send(endpoint, body=b"{}")
    assert (CountingSecret.opened, server.connections) == (0, 0)


async def test_the_second_check_holds_when_the_first_knows_another_list() -> None:
    server = RawServer(FAULTS["ok"])
    async with running(server) as url, open_client(url, MARKET_ENDPOINTS) as http:
        with pytest.raises(ForbiddenEndpointError):
            await create(TradeClient(http, KEYS))
    assert server.connections == 0


@pytest.mark.parametrize(
    "name", ["BTC-EUR/../../withdrawal", "btc-eur", "BTC-EUR?x=1", "BTC", "", "BTC-EUR/x", "{market}"]
)
async def test_a_market_that_is_no_market_cannot_bend_the_path(name: str) -> None:
    server = RawServer(FAULTS["ok"])
    async with running(server) as url, open_client(url, MARKET_ENDPOINTS) as http:
        with pytest.raises(ForbiddenEndpointError):
            await MarketClient(http, None).book(name)
    assert server.connections == 0


@pytest.mark.parametrize("name", ["BTC-EUR&amount=5", "a b", "\u00e4", "x\r\nHost: y", "a+b", "a%20b"])
async def test_a_value_in_the_query_stays_one_value(name: str) -> None:
    server = RawServer(answering(http_answer(404, error(240))))
    async with running(server) as url, open_client(url, TRADE_ENDPOINTS) as http:
        await TradeClient(http, KEYS, now_ms=lambda: NOW_MS).get_order(name, CLIENT_ORDER_ID)
    path = server.heads[0].split(b" ")[1]
    assert path.count(b"&") == 1
    assert_signed(server, NOW_MS)


async def test_market_data_goes_unsigned_and_the_account_signed() -> None:
    server = RawServer(answering(http_answer(200, b'{"market":"BTC-EUR","nonce":1,"bids":[["1","2"]],"asks":[]}')))
    async with running(server) as url, open_client(url, MARKET_ENDPOINTS) as http:
        client = MarketClient(http, KEYS, now_ms=lambda: NOW_MS)
        book = await client.book(MARKET, depth=5)
        assert (book.bids[0].price, book.bids[0].size, book.asks) == (Decimal(1), Decimal(2), ())
        assert server.heads[-1].startswith(b"GET /v2/BTC-EUR/book?depth=5 ")
        assert b"bitvavo-access" not in server.heads[-1].lower()
        server.fault = answering(http_answer(200, b'[{"symbol":"EUR","available":"16.48","inOrder":"0"}]'))
        (balance,) = await client.balances()
        assert (balance.symbol, balance.available) == ("EUR", Decimal("16.48"))
        assert_signed(server, NOW_MS)


async def test_without_credentials_nothing_signed_is_sent() -> None:
    server = RawServer(FAULTS["ok"])
    async with running(server) as url, open_client(url, MARKET_ENDPOINTS) as http:
        with pytest.raises(ValueError, match="without credentials"):
            await MarketClient(http, None).balances()
    assert server.connections == 0
