"""A caller that goes away, and a replica that is stopped under load: the server's work is finished all the same."""

import asyncio
import time
from collections import Counter

import grpc
import grpc.aio
import pytest

from tests.e2e.caller import Caller, buy
from tests.e2e.stage import OVERDUE_SECONDS, Stage

ANSWER_DELAY_MS = 1200
GIVES_UP_SECONDS = 0.6
LOAD_CALLERS = 16
LOAD_SECONDS = 1.5
STOP_SECONDS_MAX = 10.0


@pytest.mark.parametrize("way", ["deadline", "cancel"])
async def test_the_work_goes_on_when_its_caller_is_gone(stage: Stage, way: str) -> None:
    user = stage.user()
    async with stage.caller() as caller:
        proposal = await caller.submit(user, buy())
        order_id = stage.truth.client_order_id(user, proposal.proposal_id)
        stage.fault("delay_response", "POST", order_id, ms=ANSWER_DELAY_MS)
        if way == "deadline":
            with pytest.raises(grpc.aio.AioRpcError) as late:
                await caller.execute(proposal, seconds=GIVES_UP_SECONDS)
            assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        else:
            call = asyncio.create_task(caller.execute(proposal))
            await asyncio.sleep(GIVES_UP_SECONDS)
            call.cancel()
        row = stage.truth.execution(user, proposal.proposal_id)
        assert row is not None
        assert row["status"] == "SUBMITTING", "the caller must be gone before the answer comes"
        await stage.truth.becomes(user, proposal.proposal_id, "FILLED", OVERDUE_SECONDS)
        again = await caller.execute(proposal, replica=1)
    assert again.replayed
    assert [each["method"] for each in stage.simulator.requests(order_id)].count("POST") == 1
    assert len(stage.simulator.orders(order_id)) == 1
    events = stage.truth.rows("SELECT type FROM execution_events WHERE user_id = %s ORDER BY number", user)
    assert [each["type"] for each in events] == ["CLAIMED", "SETTLED"]


async def test_a_replica_stopped_under_load_sends_nothing_after_its_end_and_leaves_nothing_unsettled(
    stage: Stage,
) -> None:
    service = stage.system.trade[1]
    asked: list[tuple[str, str]] = []
    async with stage.caller(service) as caller:
        tasks = [asyncio.create_task(place_until_stopped(stage, caller, asked)) for _ in range(LOAD_CALLERS)]
        await asyncio.sleep(LOAD_SECONDS)
        started = time.monotonic()
        code = await asyncio.to_thread(service.terminate)
        took = time.monotonic() - started
        ended_ms = time.time() * 1000
        refusals = Counter(await asyncio.gather(*tasks))
    service.start()
    await asyncio.to_thread(service.wait_ready)

    assert (code, took < STOP_SECONDS_MAX) == (0, True), f"exit code {code} after {took:.1f} s"
    assert set(refusals) <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    users = {user for user, _ in asked}
    for row in stage.truth.rows("SELECT * FROM trade_executions WHERE user_id = ANY(%s)", list(users)):
        assert row["status"] == "FILLED", row
        orders = stage.simulator.orders(str(row["client_order_id"]))
        assert [order["created_at"] < ended_ms for order in orders] == [True]


async def place_until_stopped(stage: Stage, caller: Caller, asked: list[tuple[str, str]]) -> grpc.StatusCode:
    """Place orders until the replica refuses; returns how."""
    user = stage.user()
    while True:
        try:
            answer = await caller.place(user, buy())
            asked.append((user, answer.proposal.proposal_id))
        except grpc.aio.AioRpcError as refused:
            return caller.failure(refused).code
