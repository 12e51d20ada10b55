"""G1 over two processes: however often and wherever a proposal is executed, one order."""

import asyncio

from protos.trade.v1 import trade_pb2 as pb
from tests.e2e.caller import buy
from tests.e2e.stage import Stage

CALLS = 400


async def test_g1_four_hundred_concurrent_calls_over_two_replicas_trade_once(stage: Stage) -> None:
    user = stage.user()
    async with stage.caller() as caller:
        proposal = await caller.submit(user, buy())
        answers = await asyncio.gather(*(caller.execute(proposal, number % 2) for number in range(CALLS)))

    row = stage.truth.execution(user, proposal.proposal_id)
    assert row is not None
    requests = stage.simulator.requests(str(row["client_order_id"]))
    assert [each["method"] for each in requests] == ["POST"]
    assert len(stage.simulator.orders(str(row["client_order_id"]))) == 1
    assert {answer.execution.execution_id for answer in answers} == {str(row["execution_id"])}
    assert sum(not answer.replayed for answer in answers) == 1
    decisions = stage.truth.rows("SELECT outcome FROM decisions WHERE user_id = %s", user)
    assert [each["outcome"] for each in decisions] == ["ALLOW"]
    assert row["status"] == "FILLED"


async def test_a_replica_that_only_stored_a_proposal_answers_what_became_of_it_elsewhere(stage: Stage) -> None:
    async with stage.caller() as caller:
        executed = await caller.submit(stage.user(), buy(), replica=0)
        first = await caller.execute(executed, replica=1)
        again = await caller.execute(executed, replica=0)
        declined = await caller.submit(stage.user(), buy(), replica=0)
        await caller.decline(declined, 1)
        (refused,) = await asyncio.gather(caller.execute(declined, replica=0), return_exceptions=True)
    assert (first.replayed, again.replayed) == (False, True)
    assert again.execution == first.execution
    assert len(stage.simulator.requests(first.execution.client_order_id)) == 1
    assert isinstance(refused, BaseException)
    assert caller.failure(refused).reason == "PROPOSAL_CLOSED"
    assert stage.truth.execution(declined.user_id, declined.proposal_id) is None


async def test_a_repeat_after_both_replicas_restarted_answers_the_same_execution(stage: Stage) -> None:
    user = stage.user()
    async with stage.caller() as caller:
        proposal = await caller.submit(user, buy())
        first = await caller.execute(proposal)
    for service in stage.system.trade:
        service.kill()
        service.start()
    for service in stage.system.trade:
        await asyncio.to_thread(service.wait_ready)

    async with stage.caller() as caller:
        again = [await caller.execute(proposal, replica) for replica in (0, 1)]
    assert not first.replayed
    assert [each.replayed for each in again] == [True, True]
    assert {each.execution.execution_id for each in again} == {first.execution.execution_id}
    assert again[0].execution.status == pb.EXECUTION_STATUS_FILLED
    assert len(stage.simulator.requests(first.execution.client_order_id)) == 1
