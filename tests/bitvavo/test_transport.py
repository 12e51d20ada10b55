"""What the guarded client refuses, and what it puts on the wire."""

import asyncio
import gzip

import httpx
import pytest

from bitvavo.endpoints import MARKET_ENDPOINTS, TRADE_ENDPOINTS, ForbiddenEndpointError
from bitvavo.transport import CAP_EXTENSION, ExchangeTransportError, Fault, open_client
from tests.bitvavo.raw_server import FAULTS, OK, RawServer, answering, running

FORBIDDEN_REQUESTS = [
    *(("PUT", "/order"), ("DELETE", "/orders"), ("POST", "/withdrawal"), ("GET", "/deposit"), ("post", "/orders")),
    *(("POST", "/order/../withdrawal"), ("POST", "/order/%2e%2e/withdrawal"), ("POST", "//order")),
    *(("POST", "/order%2f..%2fwithdrawal"), ("POST", "/order/"), ("GET", "/../v2/balance"), ("GET", "/balance")),
]


@pytest.mark.parametrize(("method", "path"), FORBIDDEN_REQUESTS)
async def test_a_forbidden_request_never_leaves_the_client(method: str, path: str) -> None:
    server = RawServer(FAULTS["ok"])
    async with running(server) as url, open_client(url, TRADE_ENDPOINTS) as client:
        with pytest.raises(ForbiddenEndpointError):
            await client.request(method, path)
        with pytest.raises(ForbiddenEndpointError):
            await client.request(method, url + path)
    assert server.connections == 0


async def test_another_origin_is_refused_whatever_the_path() -> None:
    server = RawServer(FAULTS["ok"])
    async with running(server) as url, open_client(url, TRADE_ENDPOINTS) as client:
        for elsewhere in (
            f"http://localhost:{server.port}/v2/order",
            f"http://127.0.0.1:{server.port + 1}/v2/order",
            f"https://127.0.0.1:{server.port}/v2/order",
            f"http://user:word@127.0.0.1:{server.port}/v2/order",
            "http://example.com/v2/order",
        ):
            with pytest.raises(ForbiddenEndpointError):
                await client.post(elsewhere, content=b"{}")
    assert server.connections == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "example.com"},
        {"X-HTTP-Method-Override": "PUT"},
        {"x-http-method": "PUT"},
        {"X-Method-Override": "PUT"},
    ],
)
async def test_a_header_that_would_change_host_or_method_is_refused(headers: dict[str, str]) -> None:
    server = RawServer(FAULTS["ok"])
    async with running(server) as url, open_client(url, TRADE_ENDPOINTS) as client:
        with pytest.raises(ForbiddenEndpointError):
            await client.post("/order", content=b"{}", headers=headers)
    assert server.connections == 0


async def test_an_extension_cannot_change_the_target() -> None:
    server = RawServer(FAULTS["ok"])
    async with running(server) as url, open_client(url, TRADE_ENDPOINTS) as client:
        await client.get("/time", extensions={"target": b"/v2/withdrawal"})
    assert server.heads[0].startswith(b"GET /v2/time HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "base_url",
    [
        *("http://example.com/v2", "http://10.0.0.1/v2", "http://0.0.0.0/v2", "https://api.bitvavo.com"),
        *("https://api.bitvavo.com/v3", "https://a:b@api.bitvavo.com/v2", "https://api.bitvavo.com/v2?x=1"),
        *("ftp://127.0.0.1/v2", "http://127.0.0.1.example.com/v2", "api.bitvavo.com/v2", ""),
    ],
)
def test_a_base_url_that_is_not_https_or_loopback_is_refused(base_url: str) -> None:
    with pytest.raises(ValueError, match="exchange URL"):
        open_client(base_url, TRADE_ENDPOINTS)


@pytest.mark.parametrize(
    "base_url",
    ["https://api.bitvavo.com/v2", "https://api.bitvavo.com/v2/", "http://localhost:1/v2", "http://[::1]:1/v2"],
)
async def test_https_and_loopback_are_accepted(base_url: str) -> None:
    await open_client(base_url, TRADE_ENDPOINTS).aclose()


@pytest.mark.parametrize("used", [False, True])
async def test_a_closed_client_sends_nothing(*, used: bool) -> None:
    server = RawServer(answering(OK))
    async with running(server) as url:
        client = open_client(url, TRADE_ENDPOINTS)
        if used:
            await client.get("/order")
        await client.aclose()
        with pytest.raises(RuntimeError, match="closed"):
            await client.get("/order")
    assert len(server.heads) == int(used)


async def test_the_wire_carries_path_and_query_as_given_and_no_cookie(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    cookie = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\nSet-Cookie: a=b; Path=/\r\n\r\n")
    server = RawServer(answering(cookie))
    async with running(server) as url, open_client(url, TRADE_ENDPOINTS) as client:
        for _ in range(2):
            response = await client.get("/order?market=BTC-EUR&clientOrderId=a%2Cb")
            assert "set-cookie" not in response.headers
    for head in server.heads:
        assert head.startswith(b"GET /v2/order?market=BTC-EUR&clientOrderId=a%2Cb HTTP/1.1\r\n")
        assert b"cookie" not in head.lower()
        assert b"accept-encoding: identity" in head.lower()


def sized(body: bytes, *, chunked: bool, extra: bytes = b"") -> bytes:
    if chunked:
        return (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
            + extra
            + b"\r\n"
            + b"%x\r\n" % len(body)
            + body
            + b"\r\n0\r\n\r\n"
        )
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n" % len(body) + extra + b"\r\n" + body


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(("size", "fits"), [(1000, True), (1001, False), (3_000_000, False)])
async def test_a_body_is_read_up_to_its_cap_and_no_further(size: int, *, fits: bool, chunked: bool) -> None:
    server = RawServer(answering(sized(b"x" * size, chunked=chunked)))
    async with running(server) as url, open_client(url, MARKET_ENDPOINTS) as client:
        request = client.build_request("GET", "/markets", extensions={CAP_EXTENSION: 1000})
        if fits:
            assert len((await client.send(request)).content) == size
        else:
            with pytest.raises(ExchangeTransportError) as caught:
                await client.send(request)
            assert (caught.value.fault, caught.value.not_sent) == (Fault.BODY_TOO_LARGE, False)


async def test_a_compressed_answer_is_not_unpacked() -> None:
    bomb = gzip.compress(b"x" * 10_000_000)
    server = RawServer(answering(sized(bomb, chunked=False, extra=b"Content-Encoding: gzip\r\n")))
    async with running(server) as url, open_client(url, MARKET_ENDPOINTS) as client:
        with pytest.raises(ExchangeTransportError) as caught:
            await client.get("/markets")
    assert caught.value.fault is Fault.COMPRESSED


async def test_a_slow_drip_ends_at_the_total_time() -> None:
    server = RawServer(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"))
    server.fault = FAULTS["silence"]
    async with running(server) as url, open_client(url, MARKET_ENDPOINTS) as client:
        with pytest.raises(ExchangeTransportError) as caught:
            await client.get("/time", extensions={"total_timeout_seconds": 0.05})
    assert caught.value.fault is Fault.TIMEOUT


async def test_waiting_for_a_free_connection_is_proven_not_sent() -> None:
    server = RawServer(FAULTS["silence"])
    async with running(server) as url, open_client(url, MARKET_ENDPOINTS, max_connections=1) as client:
        quick = httpx.Timeout(connect=0.05, read=1, write=None, pool=0.05)

        first = asyncio.create_task(client.get("/time"))
        await asyncio.sleep(0.05)
        with pytest.raises(ExchangeTransportError) as caught:
            await client.get("/time", timeout=quick)
        await asyncio.gather(first, return_exceptions=True)
    assert (caught.value.fault, caught.value.not_sent) == (Fault.CONNECT_TIMEOUT, True)
    assert len(server.requests) == 1


async def test_no_text_of_the_network_is_in_the_error() -> None:
    server = RawServer(FAULTS["plain_garbage"])
    async with running(server) as url, open_client(url, MARKET_ENDPOINTS) as client:
        with pytest.raises(ExchangeTransportError) as caught:
            await client.get("/time")
    assert str(caught.value) == "bad_http"
    assert caught.value.__cause__ is None
