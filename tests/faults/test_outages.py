"""Each neighbour away for a while: a clear answer with a hint, nothing lost, and recovery without a restart."""

import asyncio
import os
import signal
import time
from collections import Counter

import grpc
import grpc.aio
import pytest

from protos.trade.v1 import trade_pb2 as pb
from tests.e2e.caller import Caller, Failure, buy
from tests.e2e.stage import Stage
from tests.fixtures.fault_proxy import FaultProxy

ANSWER_DELAY_MS = 1_200
DOWN_SECONDS = 1.0
PATIENCE_SECONDS = 6.0
"""How long a caller waits for the answer that something is away."""
RECOVERY_SECONDS = 15.0
LOAD_CALLERS = 8
FROZEN_SECONDS = 2.0
POOLED_MAX = 12
"""More than a replica has connections."""


async def test_without_a_database_every_call_is_told_to_come_again_and_nothing_sent_is_lost(stage: Stage) -> None:
    user, waiting = stage.user(), stage.user()
    async with stage.caller() as caller:
        proposal = await caller.submit(user, buy())
        under_way = await caller.submit(waiting, buy())
        order_id = stage.truth.client_order_id(waiting, under_way.proposal_id)
        stage.fault("delay_response", "POST", order_id, ms=ANSWER_DELAY_MS)
        sent = asyncio.create_task(caller.execute(under_way))
        await stage.truth.until(
            lambda: next(iter(stage.simulator.orders(order_id)), None), lambda: "no order was made", PATIENCE_SECONDS
        )
        stage.server.kill()
        failures = [await refusal(caller, proposal, replica) for replica in (0, 1)]
        await asyncio.sleep(DOWN_SECONDS)
        stage.server.restart()
        answered = await recovered(caller, proposal)
        settled = await sent
        await all_recovered(stage, caller)

    for failure in failures:
        assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
        assert failure.retry_seconds
    assert settled.execution.status == pb.EXECUTION_STATUS_FILLED
    assert answered.execution.status == pb.EXECUTION_STATUS_FILLED
    for each in (answered, settled):
        assert len(stage.simulator.orders(each.execution.client_order_id)) == 1


async def test_once_the_database_is_back_no_call_meets_a_connection_of_before(stage: Stage) -> None:
    async with stage.caller() as caller:
        await warm_up(stage, caller)
        stage.server.kill()
        stage.server.restart()
        proposal = await caller.submit(stage.user(), buy())
        for replica in (0, 1):
            for _ in range(POOLED_MAX):
                # Until the account is matched with what the server still knows, a claim waits, and says so.
                assert await answer(caller, proposal, replica) in {"OK", "NOT_READY"}
        await all_recovered(stage, caller)


async def test_a_database_that_crashes_under_load_costs_answers_and_no_truth(stage: Stage) -> None:
    users = [stage.user() for _ in range(LOAD_CALLERS)]
    async with stage.caller() as caller:
        ends = time.monotonic() + 3 * DOWN_SECONDS
        tasks = [asyncio.create_task(place_until(caller, user, n % 2, ends)) for n, user in enumerate(users)]
        await asyncio.sleep(DOWN_SECONDS)
        stage.server.kill()
        await asyncio.sleep(DOWN_SECONDS)
        stage.server.restart()
        told = sum(await asyncio.gather(*tasks), Counter[str]())
        await all_recovered(stage, caller)
    assert told["OK"]
    assert told["UNAVAILABLE DATABASE_UNAVAILABLE"]
    assert set(told) <= {"OK", "UNAVAILABLE DATABASE_UNAVAILABLE", "UNAVAILABLE NOT_READY"}


async def test_without_market_service_an_order_that_needs_a_price_is_not_judged(stage: Stage) -> None:
    async with stage.caller() as caller:
        proposal = await caller.submit(stage.user("collared"), buy())
        stage.system.market.kill()
        failure = await refusal(caller, proposal)
        stage.system.market.start()
        await asyncio.to_thread(stage.system.market.wait_ready)
        answered = await recovered(caller, proposal)
    assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "MARKET_UNAVAILABLE")
    assert failure.retry_seconds
    assert answered.execution.status == pb.EXECUTION_STATUS_FILLED
    decisions = stage.truth.rows("SELECT outcome FROM decisions WHERE proposal_id = %s", proposal.proposal_id)
    assert [each["outcome"] for each in decisions] == ["ALLOW"], "nothing was judged while it was away"


async def test_an_exchange_that_refuses_connections_is_proof_that_nothing_was_sent(stage: Stage) -> None:
    async with FaultProxy("127.0.0.1", stage.exchange_port) as exchange:
        with stage.spare(exchange_port=exchange.port) as replica:
            replica.start()
            await asyncio.to_thread(replica.wait_ready)
            await exchange.__aexit__()
            async with stage.caller(replica) as caller:
                placed = await caller.place(stage.user(), buy())
    assert placed.execution.status == pb.EXECUTION_STATUS_NOT_PLACED
    assert placed.proposal.status == pb.PROPOSAL_STATUS_FAILED
    assert not stage.simulator.requests(placed.execution.client_order_id)


async def test_an_exchange_that_hangs_leaves_unknown_as_it_is_and_is_asked_again_afterwards(stage: Stage) -> None:
    user = stage.user()
    async with stage.caller() as caller:
        proposal = await caller.submit(user, buy())
        order_id = stage.truth.client_order_id(user, proposal.proposal_id)
        stage.fault("drop_response", "POST", order_id)
        await caller.execute(proposal)
        os.kill(stage.simulator.process.pid or 0, signal.SIGSTOP)
        try:
            await asyncio.sleep(FROZEN_SECONDS)
            read = await caller.execution(user, proposal.proposal_id, replica=1)
        finally:
            os.kill(stage.simulator.process.pid or 0, signal.SIGCONT)
    assert read.status == pb.EXECUTION_STATUS_UNKNOWN
    await stage.truth.becomes(user, proposal.proposal_id, "FILLED")
    assert len(stage.simulator.orders(order_id)) == 1


async def warm_up(stage: Stage, caller: Caller) -> None:
    """Let every replica open all the connections it may have."""
    await asyncio.gather(*(caller.place(stage.user(), buy(), number % 2) for number in range(2 * POOLED_MAX)))


async def answer(caller: Caller, proposal: pb.SubmitProposalRequest, replica: int) -> str:
    """Execute; return OK or the reason of the refusal."""
    try:
        await caller.execute(proposal, replica)
    except grpc.aio.AioRpcError as refused:
        return caller.failure(refused).reason
    return "OK"


async def refusal(caller: Caller, proposal: pb.SubmitProposalRequest, replica: int = 0) -> Failure:
    """Execute in vain, within a caller's patience."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await caller.execute(proposal, replica, PATIENCE_SECONDS)
    return caller.failure(refused.value)


async def all_recovered(stage: Stage, caller: Caller) -> None:
    """Wait until every replica claims again: the next test begins with replicas that do."""
    for replica in (0, 1):
        await recovered(caller, await caller.submit(stage.user(), buy()), replica)


async def recovered(caller: Caller, proposal: pb.SubmitProposalRequest, replica: int = 0) -> pb.ExecuteProposalResponse:
    """Execute as soon as it can be done, coming again when told to."""
    ends = time.monotonic() + RECOVERY_SECONDS
    while True:
        try:
            return await caller.execute(proposal, replica)
        except grpc.aio.AioRpcError as refused:
            failure = caller.failure(refused)
            assert time.monotonic() < ends, failure
            assert failure.retry_seconds is not None, failure
            await asyncio.sleep(failure.retry_seconds)


async def place_until(caller: Caller, user: str, replica: int, ends: float) -> Counter[str]:
    """Place orders until a moment; count what was answered."""
    told = Counter[str]()
    while time.monotonic() < ends:
        try:
            await caller.place(user, buy(), replica)
            told["OK"] += 1
        except grpc.aio.AioRpcError as refused:
            failure = caller.failure(refused)
            told[f"{failure.code.name} {failure.reason}"] += 1
            await asyncio.sleep(failure.retry_seconds or 0)
    return told
