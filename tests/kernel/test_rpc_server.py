"""What a server takes on, refuses, and how it says goodbye."""

import asyncio
from collections.abc import Awaitable
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]
from prometheus_client import generate_latest

from kernel.rpc.channel import open_channel
from kernel.rpc.perimeter import open_perimeter
from kernel.rpc.server import Limits, RpcServer, ServerRefusal
from kernel.rpc.status import PUSHBACK_KEY
from kernel.telemetry import REGISTRY
from tests.fixtures.certificates import channel_as, open_desk
from tests.kernel.scratch import (
    QUICK,
    RIGHTS,
    USERLESS,
    Context,
    Generated,
    Running,
    Scratch,
    Servicer,
    details,
    trailer,
)

Check = health_pb2.HealthCheckRequest
Serving = health_pb2.HealthCheckResponse


async def test_a_method_without_a_right_cannot_be_served(scratch: Scratch) -> None:
    rights = {"/scratch.v1.ScratchService/Do": "do"}
    server = RpcServer(domain="x", rights=rights)
    with pytest.raises(ServerRefusal, match="Follow"):
        server.add(scratch.grpc.add_ScratchServiceServicer_to_server, Servicer(scratch))


async def test_a_right_for_a_method_that_is_not_served_is_refused(scratch: Scratch) -> None:
    server = RpcServer(domain="x", rights={**RIGHTS, "/scratch.v1.ScratchService/Gone": "do"}, userless=USERLESS)
    server.add(scratch.grpc.add_ScratchServiceServicer_to_server, Servicer(scratch))
    with pytest.raises(ServerRefusal, match="Gone"):
        await server.start("127.0.0.1:0")


async def test_a_caller_without_the_right_is_refused_before_his_request_is_read(
    scratch: Scratch, tmp_path: Path
) -> None:
    desk = open_desk(tmp_path, "scratch")
    perimeter = open_perimeter(desk.files, "scratch")
    server = RpcServer(domain="x.interlock", rights=RIGHTS, userless=USERLESS, limits=QUICK, perimeter=perimeter)
    servicer = Servicer(scratch)
    server.add(scratch.grpc.add_ScratchServiceServicer_to_server, servicer)
    port = await server.start("127.0.0.1:0")
    async with channel_as(desk.authority.leaf("stranger"), desk.authority, f"127.0.0.1:{port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await scratch.grpc.ScratchServiceStub(channel).Do(scratch.pb2.Order(), timeout=5)
        health = await health_pb2_grpc.HealthStub(channel).Check(Check(), timeout=5)
    await server.drain()
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert dict(details(caught.value)["ErrorInfo"].metadata) == {"right": "do"}
    assert servicer.calls == 0
    assert health.status == Serving.SERVING


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "localhost:0", "example.org:1", ":0", "1"])
async def test_plaintext_off_loopback_is_refused(address: str) -> None:
    server = RpcServer(domain="x", rights={})
    with pytest.raises(ServerRefusal, match="loopback"):
        await server.start(address)


async def test_a_second_server_on_the_same_port_is_refused(running: Running) -> None:
    second = RpcServer(domain="x", rights={})
    with pytest.raises(ServerRefusal, match="taken"):
        await second.start(f"127.0.0.1:{running.port}")


@pytest.mark.parametrize(("size_bytes", "code"), [(15 * 1024, "INVALID_ARGUMENT"), (17 * 1024, "RESOURCE_EXHAUSTED")])
async def test_a_message_over_16_kib_is_refused_unread(
    running: Running, scratch: Scratch, size_bytes: int, code: str
) -> None:
    # A channel of grpc's own: ours would not even send it.
    async with grpc.aio.insecure_channel(f"127.0.0.1:{running.port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await scratch.grpc.ScratchServiceStub(channel).Do(scratch.order(market="X" * size_bytes), timeout=5)
    assert caught.value.code().name == code


async def test_metadata_over_the_limit_is_refused(running: Running, scratch: Scratch) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await running.stub.Do(scratch.order(), timeout=5, metadata=(("x-big", "y" * 20_000),))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert running.servicer.calls == 0


async def test_calls_over_the_limit_are_told_at_once_when_to_come_again_and_health_is_answered(
    scratch: Scratch,
) -> None:
    servicer, release = Servicer(scratch), asyncio.Event()

    async def do(_request: Generated, _context: Context) -> Generated:
        await release.wait()
        return scratch.pb2.Answer()

    servicer.do = do
    server = RpcServer(
        domain="x", rights=RIGHTS, userless=USERLESS, limits=Limits(concurrent_rpcs=4, drain_notice_seconds=0)
    )
    server.add(scratch.grpc.add_ScratchServiceServicer_to_server, servicer)
    port = await server.start("127.0.0.1:0")
    channel = open_channel(f"127.0.0.1:{port}")
    stub = scratch.grpc.ScratchServiceStub(channel)
    calls = [asyncio.ensure_future(told(stub.Do(scratch.order(), timeout=10))) for _ in range(8)]
    refused, waiting = await asyncio.wait(calls, timeout=2)
    health = await health_pb2_grpc.HealthStub(channel).Check(Check(service=""), timeout=5)
    release.set()
    served = await asyncio.gather(*waiting)
    again = await told(stub.Do(scratch.order(), timeout=10))
    await channel.close()
    await server.drain()
    assert (served, again) == ([None] * 4, None)
    assert health.status == Serving.SERVING
    for error in [call.result() for call in refused]:
        assert error is not None
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert details(error)["ErrorInfo"].reason == "OVERLOADED"
        assert details(error)["RetryInfo"].retry_delay.ToMilliseconds() == int(trailer(error, PUSHBACK_KEY))


async def told(call: Awaitable[Generated]) -> grpc.aio.AioRpcError | None:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error
    return None


async def test_health_names_are_set_by_the_service_and_unknown_ones_not_found(running: Running) -> None:
    stub = health_pb2_grpc.HealthStub(running.channel)

    async def status(name: str) -> int:
        return int((await stub.Check(Check(service=name), timeout=5)).status)

    assert await status("") == Serving.SERVING
    assert await status("scratch.v1.ScratchService") == Serving.SERVING
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await status("scratch.ready")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    running.server.health.set("scratch.ready", serving=False)
    assert await status("scratch.ready") == Serving.NOT_SERVING
    running.server.health.set("scratch.ready", serving=True)
    assert await status("scratch.ready") == Serving.SERVING


async def test_a_health_watch_is_told_of_changes_and_ends_on_drain(running: Running) -> None:
    watch = health_pb2_grpc.HealthStub(running.channel).Watch(Check(service="scratch.ready"), timeout=10)
    seen = [(await watch.read()).status]
    running.server.health.set("scratch.ready", serving=True)
    seen.append((await watch.read()).status)
    running.server.health.drain()
    seen.append((await watch.read()).status)
    assert seen == [Serving.SERVICE_UNKNOWN, Serving.SERVING, Serving.NOT_SERVING]
    assert await watch.read() is grpc.aio.EOF
    assert await watch.code() is grpc.StatusCode.OK


async def test_a_drain_answers_the_call_in_flight_and_takes_no_new_one(running: Running, scratch: Scratch) -> None:
    entered = asyncio.Event()

    async def do(_request: Generated, _context: Context) -> Generated:
        entered.set()
        await asyncio.sleep(0.6)
        return scratch.pb2.Answer(text="done")

    running.servicer.do = do
    health = health_pb2_grpc.HealthStub(running.channel)
    call = asyncio.ensure_future(_text(running.stub.Do(scratch.order(), timeout=10)))
    await asyncio.wait_for(entered.wait(), 5)
    draining = asyncio.create_task(running.server.drain())
    await asyncio.sleep(0.05)
    # The moment in which a client can still be told that it should go elsewhere.
    assert (await health.Check(Check(), timeout=5)).status == Serving.NOT_SERVING
    await asyncio.sleep(0.3)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await running.stub.Do(scratch.order(), timeout=0.2)
    assert caught.value.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
    assert await call == "done"
    await draining


async def test_a_drain_cancels_what_outlasts_its_grace(running: Running, scratch: Scratch) -> None:
    entered, cancelled = asyncio.Event(), asyncio.Event()

    async def do(_request: Generated, _context: Context) -> Generated:
        entered.set()
        try:
            await asyncio.sleep(30)
        finally:
            cancelled.set()

    running.servicer.do = do
    code = asyncio.ensure_future(running.stub.Do(scratch.order(), timeout=20).code())
    await asyncio.wait_for(entered.wait(), 5)
    await asyncio.wait_for(running.server.drain(), 5)
    await asyncio.wait_for(cancelled.wait(), 5)
    assert await code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}


async def test_calls_are_counted_by_method_and_code(running: Running, scratch: Scratch) -> None:
    labels = {"grpc_service": "scratch.v1.ScratchService", "grpc_method": "Do"}
    names = {code: {**labels, "grpc_code": code} for code in ("OK", "INVALID_ARGUMENT")}

    def counted(code: str) -> float:
        return REGISTRY.get_sample_value("grpc_server_handled_total", names[code]) or 0

    def timed() -> float:
        return REGISTRY.get_sample_value("grpc_server_handling_seconds_count", labels) or 0

    before, timed_before = {code: counted(code) for code in names}, timed()
    await running.stub.Do(scratch.order(), timeout=5)
    with pytest.raises(grpc.aio.AioRpcError):
        await running.stub.Do(scratch.order(size=0), timeout=5)
    assert {code: counted(code) - before[code] for code in names} == {"OK": 1, "INVALID_ARGUMENT": 1}
    assert REGISTRY.get_sample_value("grpc_server_in_flight", labels) == 0
    assert timed() - timed_before == 2
    assert b"grpc_server_handling_seconds_bucket" in generate_latest(REGISTRY)


async def _text(call: Generated) -> str:
    return str((await call).text)
