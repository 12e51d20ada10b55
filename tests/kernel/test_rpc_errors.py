"""Every way a call can fail has one status, details a program can read, and says nothing it should not."""

import asyncio
import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from kernel.errors import (
    Conflict,
    Exhausted,
    Failure,
    FieldViolation,
    Forbidden,
    Invalid,
    NotFound,
    NotNow,
    StateViolation,
    Unavailable,
)
from kernel.rpc import actor
from kernel.rpc.call import add_trailer
from tests.kernel.scratch import Context, Generated, Running, Scratch, details, trailer

Lines = Callable[[], list[dict[str, Any]]]
GRPCURL = Path(sys.executable).parent / "grpcurl"
BUF = Path(sys.executable).parent / "buf"


async def refused(running: Running, error: BaseException, **fields: object) -> grpc.aio.AioRpcError:
    async def do(_request: Generated, _context: Context) -> Generated:
        add_trailer("decision-id", "d-1")
        raise error

    running.servicer.do = do
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await running.stub.Do(running.servicer.scratch.order(**fields), timeout=5)
    return caught.value


async def logged_codes(lines: Lines) -> list[str]:
    """Return the codes of the lines of calls, as soon as there is one: an abort is sent before it is logged."""
    async with asyncio.timeout(5):
        while not (codes := [line["code"] for line in lines() if line["event"] == "call"]):  # noqa: ASYNC110 - a log has no event
            await asyncio.sleep(0.01)
    return codes


@pytest.mark.parametrize(
    ("failure", "code", "kinds"),
    [
        (Invalid("BAD", "text", (FieldViolation("market", "upper case"),)), "INVALID_ARGUMENT", {"BadRequest"}),
        (NotFound("GONE", "text"), "NOT_FOUND", set()),
        (Conflict("OTHER", "text"), "ALREADY_EXISTS", set()),
        (NotNow("CLOSED", "text", (StateViolation("T", "s", "d"),)), "FAILED_PRECONDITION", {"PreconditionFailure"}),
        (Forbidden("NO", "text"), "PERMISSION_DENIED", set()),
        (Exhausted("FULL", "text", retry_after_seconds=1.5), "RESOURCE_EXHAUSTED", {"RetryInfo"}),
        (Unavailable("DOWN", "text", retry_after_seconds=0.25), "UNAVAILABLE", {"RetryInfo"}),
    ],
)
async def test_a_failure_becomes_its_status_with_details(
    running: Running, failure: Failure, code: str, kinds: set[str]
) -> None:
    failure.metadata = {"key": "value"}
    error = await refused(running, failure)
    assert error.code().name == code
    found = details(error)
    assert set(found) == {"ErrorInfo"} | kinds
    info = found["ErrorInfo"]
    assert (info.reason, info.domain, dict(info.metadata)) == (failure.reason, "scratch.interlock", {"key": "value"})
    assert trailer(error, "decision-id") == "d-1"


async def test_a_retry_hint_is_sent_both_ways(running: Running) -> None:
    error = await refused(running, Unavailable("DOWN", "text", retry_after_seconds=0.25))
    assert details(error)["RetryInfo"].retry_delay.ToMilliseconds() == 250
    assert trailer(error, "grpc-retry-pushback-ms") == "250"


async def test_an_unforeseen_error_leaks_nothing_and_is_logged_with_its_trace(running: Running, lines: Lines) -> None:
    error = await refused(running, RuntimeError("postgres://trade:hunter22@db/trade is gone"))
    assert error.code() is grpc.StatusCode.INTERNAL
    sent = f"{error.details()}{error.debug_error_string()}{list(error.trailing_metadata())}"
    assert "postgres" not in sent
    assert "hunter22" not in sent
    assert "RuntimeError" not in sent
    assert details(error)["ErrorInfo"].reason == "INTERNAL"
    line = next(each for each in lines() if each["event"] == "call")
    assert line["level"] == "error"
    assert line["trace"][0] == "RuntimeError: postgres://trade:***@db/trade is gone"
    assert line["request_id"] == trailer(error, "x-request-id")


async def test_an_answer_that_cannot_be_sent_is_internal_and_leaks_nothing(running: Running) -> None:
    async def do(_request: Generated, _context: Context) -> Generated:
        return "hunter22"

    running.servicer.do = do
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await running.stub.Do(running.servicer.scratch.order(), timeout=5)
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert details(caught.value)["ErrorInfo"].reason == "INTERNAL"
    assert "hunter22" not in str(caught.value.debug_error_string())


async def test_an_abort_by_the_use_case_keeps_its_status(running: Running, lines: Lines) -> None:
    async def do(_request: Generated, context: Context) -> Generated:
        await context.abort(grpc.StatusCode.DATA_LOSS, "torn page")

    running.servicer.do = do
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await running.stub.Do(running.servicer.scratch.order(), timeout=5)
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.DATA_LOSS, "torn page")
    assert await logged_codes(lines) == ["DATA_LOSS"]


async def test_every_wrong_field_is_named_at_once_and_the_use_case_is_not_called(
    running: Running, scratch: Scratch
) -> None:
    legs = [scratch.pb2.Leg(id="ok"), scratch.pb2.Leg()]
    order = scratch.pb2.Order(market="btc-eur", size=0, leg=scratch.pb2.Leg(), more=legs)
    order.named["k" * 500].id = ""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await running.stub.Do(order, timeout=5)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    fields = [each.field for each in details(caught.value)["BadRequest"].field_violations]
    assert {"market", "size", "leg.id", "more[1].id"} < set(fields)
    assert all(len(field) <= 64 for field in fields)
    assert "k" * 65 not in str(caught.value.details())
    assert running.servicer.calls == 0


@pytest.mark.parametrize("raw", [b"\xff\xff", b"\x0a\xff", b"\x0a\x02\xc3\x28", b"\x0a" + b"\x80" * 20])
async def test_bytes_that_are_no_message_are_the_callers_error(running: Running, raw: bytes) -> None:
    call: Generated = running.channel.unary_unary("/scratch.v1.ScratchService/Do")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(raw, timeout=5)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert details(caught.value)["ErrorInfo"].reason == "INVALID_REQUEST"


async def test_mutilated_bytes_are_answered_or_refused_as_the_callers_error(running: Running, scratch: Scratch) -> None:
    chance = random.Random(20_260_924)
    whole = scratch.order(leg=scratch.pb2.Leg(id="x"), more=[scratch.pb2.Leg(id="y")] * 3).SerializeToString()
    call: Generated = running.channel.unary_unary("/scratch.v1.ScratchService/Do")
    seen = set()
    for _ in range(400):
        raw = bytearray(whole * chance.randint(1, 3))
        for _ in range(chance.randint(1, 6)):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        try:
            await call(bytes(raw[: chance.randint(1, len(raw))]), timeout=5)
            seen.add(grpc.StatusCode.OK)
        except grpc.aio.AioRpcError as error:
            seen.add(error.code())
    assert seen == {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT}


async def test_a_call_without_a_deadline_gets_one(running: Running) -> None:
    async def do(_request: Generated, _context: Context) -> Generated:
        await asyncio.sleep(30)

    running.servicer.do = do
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asyncio.wait_for(running.stub.Do(running.servicer.scratch.order()), 5)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert details(caught.value)["ErrorInfo"].reason == "DEADLINE_EXCEEDED"


async def test_a_timeout_inside_the_use_case_is_not_the_calls_deadline(running: Running) -> None:
    error = await refused(running, TimeoutError("a socket"))
    assert error.code() is grpc.StatusCode.INTERNAL


async def test_a_cancelled_call_cancels_its_use_case(running: Running, lines: Lines) -> None:
    entered, cancelled = asyncio.Event(), asyncio.Event()

    async def do(_request: Generated, _context: Context) -> Generated:
        entered.set()
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    running.servicer.do = do
    call = running.stub.Do(running.servicer.scratch.order(), timeout=20)
    waiting = asyncio.ensure_future(call.code())
    await asyncio.wait_for(entered.wait(), 5)
    call.cancel()
    await asyncio.wait_for(cancelled.wait(), 5)
    await waiting
    assert await logged_codes(lines) == ["CANCELLED"]


async def test_many_violations_still_fit_what_a_client_accepts(running: Running) -> None:
    violations = tuple(FieldViolation(f"field[{number}]", "x" * 1_000) for number in range(200))
    error = await refused(running, Invalid("BAD", "y" * 5_000, violations))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    told = details(error)["BadRequest"].field_violations
    assert 15 < len(told) < 200
    assert told[0].field == "field[0]"


async def test_a_stream_fails_with_the_same_details(running: Running, scratch: Scratch) -> None:
    async def follow(_request: Generated) -> Generated:
        yield scratch.pb2.Answer(text="first")
        raise Unavailable("DOWN", "later", retry_after_seconds=2)

    running.servicer.follow = follow
    stream = running.stub.Follow(scratch.order(), timeout=5)
    assert (await stream.read()).text == "first"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stream.read()
    assert details(caught.value)["ErrorInfo"].reason == "DOWN"


@pytest.mark.parametrize("offered", ["ok-1.2_3", "x" * 64])
async def test_a_well_formed_request_id_is_kept(running: Running, offered: str) -> None:
    call = running.stub.Do(running.servicer.scratch.order(), timeout=5, metadata=(("x-request-id", offered),))
    await call
    assert dict(await call.trailing_metadata())["x-request-id"] == offered


@pytest.mark.parametrize("offered", ["x" * 65, "a b", "", "-leading", "a\u0020", 'a"b', "a;b"])
async def test_any_other_request_id_is_replaced(running: Running, offered: str) -> None:
    call = running.stub.Do(running.servicer.scratch.order(), timeout=5, metadata=(("x-request-id", offered),))
    await call
    given = dict(await call.trailing_metadata())["x-request-id"]
    assert given != offered
    assert len(given) == 32


async def test_a_caller_on_plaintext_is_local_unauthenticated_and_may_do_everything(
    running: Running, lines: Lines
) -> None:
    seen: list[actor.Actor] = []

    async def do(_request: Generated, _context: Context) -> Generated:
        actor.require("anything")
        seen.append(actor.current_actor())
        return running.servicer.scratch.pb2.Answer()

    running.servicer.do = do
    await running.stub.Do(running.servicer.scratch.order(), timeout=5)
    assert seen == [actor.LOCAL]
    line = next(each for each in lines() if each["event"] == "call")
    assert (line["actor"], line["authenticated"]) == ("local", False)


def test_an_actor_without_the_right_is_refused_by_name() -> None:
    actor.act_as(actor.Actor("scanner", authenticated=True, rights=frozenset({"propose"})))
    actor.require("propose")
    with pytest.raises(Forbidden) as caught:
        actor.require("execute")
    assert caught.value.metadata == {"right": "execute"}
    actor.act_as(actor.NOBODY)


def grpcurl(running: Running, *arguments: str) -> "asyncio.Future[subprocess.CompletedProcess[str]]":
    command = [str(GRPCURL), "-plaintext", *arguments]
    loop = asyncio.get_running_loop()
    return loop.run_in_executor(
        None, lambda: subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    )


async def test_grpcurl_decodes_the_details_by_reflection(running: Running) -> None:
    body = json.dumps({"market": "nope", "size": 5_000})
    target = f"127.0.0.1:{running.port}"
    done = await grpcurl(running, "-d", body, target, "scratch.v1.ScratchService/Do")
    assert done.returncode == 64 + 3
    assert '"@type":"type.googleapis.com/google.rpc.ErrorInfo"' in done.stderr.replace(" ", "")
    assert '"field":"market"' in done.stderr.replace(" ", "")
    assert '"field":"size"' in done.stderr.replace(" ", "")
    listed = await grpcurl(running, target, "list")
    assert "scratch.v1.ScratchService" in listed.stdout.split()
    assert "grpc.health.v1.Health" in listed.stdout.split()


async def test_reflection_is_served_under_its_v1_name_too(running: Running) -> None:
    url = f"http://127.0.0.1:{running.port}/scratch.v1.ScratchService/Do"
    command = [str(BUF), "curl", "--http2-prior-knowledge", "--protocol", "grpc", "--reflect-protocol", "grpc-v1"]
    command += ["-d", '{"market": "ADA-EUR", "size": 3}', url]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=30, check=False)
    assert json.loads(done.stdout) == {"text": "ADA-EUR"}, done.stderr
