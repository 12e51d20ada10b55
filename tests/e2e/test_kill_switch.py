"""The kill switch under load: it commits at once, and nothing is claimed or created after it."""

import asyncio
import json
import statistics
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime

import grpc
import grpc.aio
import pytest

from protos.trade.v1 import trade_pb2 as pb
from standalone.process import ROOT
from tests.e2e.caller import CALL_SECONDS, Caller, bid, buy
from tests.e2e.stage import ALLOWED, WINDOW_SECONDS, Stage

CALLERS = 32
TOGGLES = 8
HALT_SECONDS_MAX = 0.1
LOAD_SECONDS = 0.4
HALTED, ACTIVE, REDUCE_ONLY = pb.TRADING_STATE_HALTED, pb.TRADING_STATE_ACTIVE, pb.TRADING_STATE_REDUCE_ONLY


@pytest.fixture(autouse=True)
async def _left_active(stage: Stage) -> AsyncIterator[None]:
    yield
    async with stage.caller() as caller:
        await loosen(caller)


@pytest.mark.timeout(90)
async def test_the_kill_switch_commits_within_100_ms_under_load_and_nothing_is_claimed_after_it(stage: Stage) -> None:
    took: list[float] = []
    halted: list[tuple[datetime, datetime]] = []
    async with stage.caller() as caller, operator(stage) as set_global:
        async with load(stage, caller):
            for toggle in range(TOGGLES):
                await asyncio.sleep(LOAD_SECONDS)
                told = await set_global("HALTED", toggle % 2, 0)
                took.append(told["seconds"])
                answered_at = stage.truth.now()
                await asyncio.sleep(LOAD_SECONDS)
                halted.append((answered_at, stage.truth.now()))
                await set_global("ACTIVE", toggle % 2, int(told["generation"]))
            await asyncio.sleep(LOAD_SECONDS)
        await asyncio.sleep(WINDOW_SECONDS)

    print(f"kill switch: median {statistics.median(took) * 1000:.1f} ms, worst {max(took) * 1000:.1f} ms")  # noqa: T201
    assert statistics.median(took) < HALT_SECONDS_MAX, took
    claimed = [row["claimed_at"] for row in stage.truth.rows("SELECT claimed_at FROM trade_executions")]
    created = [each["created_at"] / 1000 for each in stage.simulator.orders()]
    for since, until in halted:
        assert not [moment for moment in claimed if since < moment < until]
        assert not [moment for moment in created if since.timestamp() + WINDOW_SECONDS < moment < until.timestamp()]
    assert [moment for moment in claimed if moment > halted[-1][1]], "the load went on after the last halt"


async def test_under_halted_an_order_is_denied_and_a_cancel_passes(stage: Stage) -> None:
    user = stage.user()
    async with stage.caller() as caller:
        placed = await caller.place(user, bid("ETH-EUR", "0.01", "1000"))
        await set_state(caller, HALTED)
        denied = await caller.place(user, buy("BTC-EUR"), replica=1)
        assert denied.decision.outcome == pb.DECISION_OUTCOME_DENY
        assert "TRADING_HALTED" in [verdict.code for verdict in denied.decision.verdicts]
        await caller.cancel(user, placed.proposal.proposal_id, replica=1)
    await stage.truth.becomes(user, placed.proposal.proposal_id, "CANCELED")


@pytest.mark.parametrize("expected", [0, -1], ids=["without", "older"])
async def test_loosening_needs_the_generation_it_replaces(stage: Stage, expected: int) -> None:
    async with stage.caller() as caller:
        switch = await set_state(caller, HALTED)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await set_state(caller, ACTIVE, max(switch.generation + expected, 0) if expected else 0)
        failure = caller.failure(refused.value)
        assert (failure.code, failure.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "GENERATION_MISMATCH")
        assert f"expected_generation={switch.generation}" in failure.violations[0]
        board = await caller.admin[1].GetTradingState(pb.GetTradingStateRequest(), timeout=CALL_SECONDS)
        assert board.switches[0].state == HALTED
        assert (await set_state(caller, ACTIVE, switch.generation)).state == ACTIVE


async def test_cancel_open_orders_cancels_what_is_open_while_it_stands(stage: Stage) -> None:
    user = stage.user()
    async with stage.caller() as caller:
        placed = [await caller.place(user, bid("LTC-EUR", "0.2", price)) for price in ("40", "41")]
        await set_state(caller, REDUCE_ONLY, user=user, cancel_open_orders=True)
    for each in placed:
        row = await stage.truth.becomes(user, each.proposal.proposal_id, "CANCELED")
        assert stage.simulator.orders(str(row["client_order_id"]))[0]["status"].startswith("cancel")


@asynccontextmanager
async def operator(stage: Stage) -> AsyncIterator[Callable[[str, int, int], Awaitable[dict[str, float]]]]:
    """Start an operator's process; yields what tells it a state, a replica, and the generation to replace."""
    words = ["-m", "tests.e2e.operator_process", *(each.address for each in stage.system.trade)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *words, cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin
    assert process.stdout
    tell, answers = process.stdin, process.stdout

    async def set_global(state: str, replica: int, expected: float) -> dict[str, float]:
        tell.write(f"{state} {replica} {expected}\n".encode())
        answer: dict[str, float] = json.loads(await answers.readline())
        return answer

    yield set_global
    tell.close()
    assert await process.wait() == 0


async def set_state(
    caller: Caller,
    state: pb.TradingState.ValueType,
    expected: int = 0,
    replica: int = 0,
    *,
    user: str = "",
    cancel_open_orders: bool = False,
) -> pb.TradingSwitch:
    """Set the global switch, or a user's."""
    request = pb.SetTradingStateRequest(
        state=state,
        reason="a test",
        expected_generation=expected,
        scope=pb.TRADING_SCOPE_USER if user else pb.TRADING_SCOPE_GLOBAL,
        subject=user,
        cancel_open_orders=cancel_open_orders,
    )
    return (await caller.admin[replica].SetTradingState(request, timeout=CALL_SECONDS)).switch


async def loosen(caller: Caller) -> None:
    """Put the global switch back, whatever a test left."""
    board = await caller.admin[0].GetTradingState(pb.GetTradingStateRequest(), timeout=CALL_SECONDS)
    if board.switches[0].state != ACTIVE:
        await set_state(caller, ACTIVE, board.switches[0].generation)


@asynccontextmanager
async def load(stage: Stage, caller: Caller) -> AsyncIterator[None]:
    """Keep callers claiming over both replicas, each for users of his own."""
    tasks = [asyncio.create_task(claim_for_ever(stage, caller, number)) for number in range(CALLERS)]
    yield
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(result, asyncio.CancelledError), result


async def claim_for_ever(stage: Stage, caller: Caller, number: int) -> None:
    user = stage.user()
    while True:
        await caller.place(user, buy(ALLOWED[number % len(ALLOWED)]), number % 2)
