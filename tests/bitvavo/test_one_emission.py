"""One call, one request on the wire, whatever the server does: counted by a server of raw bytes."""

import asyncio
import contextlib

import aiohttp
import httpx
import pytest

from bitvavo.client import TradeClient
from bitvavo.endpoints import TRADE_ENDPOINTS
from bitvavo.reply import Unclear
from bitvavo.signing import Credentials
from bitvavo.transport import TOTAL_EXTENSION, ExchangeTransportError, Fault, open_client
from kernel.secret import Secret
from tests.bitvavo.raw_server import CERTIFICATE, FAULTS, OK, RawServer, answering, close, raw_garbage, running

METHODS = ["POST", "GET", "DELETE"]
SETTLE_SECONDS = 0.03  # long enough for a second emission on loopback to arrive
PATIENT_SECONDS = 5.0
IMPATIENT_SECONDS = 0.2  # for a server that stays silent
KEYS = Credentials(Secret("k" * 64), Secret("s" * 128))


def patience(fault: str) -> float:
    return IMPATIENT_SECONDS if fault == "silence" else PATIENT_SECONDS


async def call(client: httpx.AsyncClient, method: str, total_seconds: float = PATIENT_SECONDS) -> None:
    """Make one call that may fail; what counts is what arrived."""
    body = b"{}" if method == "POST" else None
    request = client.build_request(method, "/order", content=body, extensions={TOTAL_EXTENSION: total_seconds})
    with contextlib.suppress(ExchangeTransportError):
        await client.send(request)
    await asyncio.sleep(SETTLE_SECONDS)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("fault", FAULTS)
async def test_one_call_is_one_request_on_a_new_connection(fault: str, method: str) -> None:
    server = RawServer(FAULTS[fault])
    async with running(server) as url, open_client(url, TRADE_ENDPOINTS) as client:
        await call(client, method, patience(fault))
    assert server.requests == [method]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("fault", FAULTS)
async def test_one_call_is_one_request_on_a_kept_alive_connection(fault: str, method: str) -> None:
    server = RawServer(FAULTS[fault], good_answers=1)
    async with running(server) as url, open_client(url, TRADE_ENDPOINTS) as client:
        await client.get("/time")
        await call(client, method, patience(fault))
    assert server.requests == ["GET", method]


@pytest.mark.parametrize("method", METHODS)
async def test_one_call_is_one_request_when_the_server_had_closed_the_kept_alive_connection(method: str) -> None:
    server = RawServer(answering(OK))
    async with running(server) as url, open_client(url, TRADE_ENDPOINTS) as client:
        await client.get("/time")
        await asyncio.sleep(0.2)  # the end of the connection arrives, and the pool drops it
        await call(client, method)
    assert server.requests == ["GET", method]
    assert server.connections == 2


@pytest.mark.parametrize("method", METHODS)
async def test_one_call_is_at_most_one_request_when_the_server_closes_at_the_same_moment(method: str) -> None:
    server = RawServer(answering(OK))
    async with running(server) as url, open_client(url, TRADE_ENDPOINTS) as client:
        await client.get("/time")
        await call(client, method)
    assert server.requests in (["GET"], ["GET", method])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("fault", ["ok", "close", "reset", "mid_body", "raw_garbage"])
async def test_one_call_is_one_request_over_tls(fault: str, method: str) -> None:
    server = RawServer({**FAULTS, "raw_garbage": raw_garbage}[fault])
    async with running(server, tls=True) as url, open_client(url, TRADE_ENDPOINTS, ca_file=CERTIFICATE) as client:
        await call(client, method)
    assert server.requests == [method]


async def test_the_pool_by_itself_would_send_a_lost_delete_twice() -> None:
    # Why the transport carries faults past aiohttp's own retry. When this fails, that part can go.
    server = RawServer(close, good_answers=1)
    async with running(server) as url, aiohttp.ClientSession() as session:
        await (await session.get(f"{url}/time")).read()
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await session.delete(f"{url}/order")
    assert server.requests == ["GET", "DELETE", "DELETE"]


async def create(client: httpx.AsyncClient, *, timeout_seconds: float = PATIENT_SECONDS) -> object:
    return await TradeClient(client, KEYS).create_order(
        b'{"market":"BTC-EUR"}',
        timestamp_ms=1_795_500_000_000,
        window_ms=2_000,
        timeout_seconds=timeout_seconds,
        client_order_id="c",
        market="BTC-EUR",
    )


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("close", Fault.DISCONNECTED),
        ("reset", Fault.DISCONNECTED),
        ("half_close", Fault.DISCONNECTED),
        ("plain_garbage", Fault.BAD_HTTP),
        ("mid_head", Fault.DISCONNECTED),
        ("mid_body", Fault.BODY_LOST),
        ("mid_chunk", Fault.BODY_LOST),
        ("silence", Fault.TIMEOUT),
    ],
)
async def test_a_lost_answer_never_counts_as_not_sent(fault: str, reason: Fault) -> None:
    server = RawServer(FAULTS[fault])
    async with running(server) as url, open_client(url, TRADE_ENDPOINTS) as client:
        reply = await create(client, timeout_seconds=patience(fault))
    assert reply == Unclear(reason, not_sent=False)
    assert server.bodies == [b'{"market":"BTC-EUR"}']


@pytest.mark.parametrize("fault", ["503_retry_after", "429_retry_after", "307_redirect", "401_challenge", "ok"])
async def test_an_answer_that_proves_nothing_is_unclear_and_not_not_sent(fault: str) -> None:
    server = RawServer(FAULTS[fault])
    async with running(server) as url, open_client(url, TRADE_ENDPOINTS) as client:
        reply = await create(client)
    assert isinstance(reply, Unclear)
    assert not reply.not_sent


async def test_a_refused_connection_is_proven_not_sent() -> None:
    server = RawServer(close)
    async with running(server) as url:
        pass
    async with open_client(url, TRADE_ENDPOINTS) as client:
        assert await create(client) == Unclear(Fault.CONNECT, not_sent=True)


async def test_a_failed_tls_handshake_is_proven_not_sent() -> None:
    server = RawServer(close)
    async with running(server, tls=True) as url, open_client(url, TRADE_ENDPOINTS) as client:
        assert await create(client) == Unclear(Fault.TLS, not_sent=True)  # the certificate is not trusted
    assert server.requests == []


async def test_a_server_without_tls_is_proven_not_sent() -> None:
    listener = await asyncio.start_server(_garbage_at_once, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with listener, open_client(f"https://127.0.0.1:{port}/v2", TRADE_ENDPOINTS) as client:
        assert await create(client) == Unclear(Fault.TLS, not_sent=True)


async def _garbage_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(4096)
    writer.write(b"not a handshake\r\n" * 8)
    writer.close()


async def test_a_call_abandoned_midway_is_not_repeated() -> None:
    server = RawServer(FAULTS["silence"])
    async with running(server) as url, open_client(url, TRADE_ENDPOINTS) as client:
        task = asyncio.create_task(create(client))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(SETTLE_SECONDS)
    assert server.requests == ["POST"]
