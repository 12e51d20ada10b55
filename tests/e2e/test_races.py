"""Races over two processes: a cap under sixteen claims at once, and a decline against its own execution.

Rounds run side by side, each with a user of its own. INTERLOCK_ROUNDS chooses how many.
"""

import asyncio
import os
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeVar

import grpc
import pytest

from protos.trade.v1 import trade_pb2 as pb
from tests.e2e.caller import Caller, buy
from tests.e2e.stage import ALLOWED, CAPPED_ROUNDS, Stage
from tests.e2e.truth import creates

T = TypeVar("T")

ROUNDS = int(os.environ.get("INTERLOCK_ROUNDS", str(CAPPED_ROUNDS)))
SIDE_BY_SIDE = 8
RACERS = 16
CAP = 2


async def rounds(count: int, one: Callable[[int], Awaitable[T]]) -> list[T]:
    """Run rounds, some at a time."""
    turn = asyncio.Semaphore(SIDE_BY_SIDE)

    async def take(number: int) -> T:
        async with turn:
            return await one(number)

    return await asyncio.gather(*(take(number) for number in range(count)))


@pytest.mark.timeout(240)
async def test_g5_sixteen_proposals_racing_a_cap_of_two_make_two_orders(stage: Stage) -> None:
    async with stage.caller() as caller:

        async def race(number: int) -> tuple[str, int]:
            user = f"capped-{number % CAPPED_ROUNDS}"
            proposals = [await caller.submit(user, buy(market), index % 2) for index, market in in_markets()]
            answers = await asyncio.gather(*(caller.execute(each, index % 2) for index, each in enumerate(proposals)))
            allowed = [each for each in answers if each.decision.outcome == pb.DECISION_OUTCOME_ALLOW]
            return user, len(allowed)

        results = await rounds(min(ROUNDS, CAPPED_ROUNDS), race)

    assert Counter(allowed for _, allowed in results) == {CAP: len(results)}
    owners = stage.truth.owners()
    orders = Counter(owners[each["clientOrderId"]] for each in stage.simulator.orders() if each["clientOrderId"])
    assert {user: orders[user] for user, _ in results} == dict.fromkeys((user for user, _ in results), CAP)


@pytest.mark.timeout(120)
async def test_a_decline_racing_an_execute_leaves_exactly_one_winner(stage: Stage) -> None:
    chance = random.Random(7)
    async with stage.caller() as caller:

        async def race(number: int) -> tuple[str, str, str]:
            user = stage.user()
            proposal = await caller.submit(user, buy(ALLOWED[number % len(ALLOWED)]))
            declining = later(chance.uniform(0, 0.02), caller.decline(proposal, 1))
            executing = later(chance.uniform(0, 0.02), caller.execute(proposal, 0))
            told = await asyncio.gather(declining, executing, return_exceptions=True)
            return user, proposal.proposal_id, winner(caller, *told)

        results = await rounds(ROUNDS, race)

    won = Counter(word for _, _, word in results)
    assert set(won) == {"decline", "execute"}, "both must have won some rounds, and nothing else may happen"
    received = Counter(creates(stage.simulator.requests()))
    for user, proposal_id, word in results:
        sent = received[stage.truth.client_order_id(user, proposal_id)]
        row = stage.truth.execution(user, proposal_id)
        expected = (1, "FILLED") if word == "execute" else (0, None)
        assert (sent, row and row["status"]) == expected, f"{word} won for {user} {proposal_id}"


def winner(caller: Caller, declined: object, executed: object) -> str:
    """Say who was answered OK; the other one must have been told that the proposal is closed."""
    if isinstance(executed, pb.ExecuteProposalResponse):
        assert executed.decision.outcome == pb.DECISION_OUTCOME_ALLOW
        refused, word = declined, "execute"
    else:
        assert isinstance(declined, pb.DeclineProposalResponse)
        refused, word = executed, "decline"
    assert isinstance(refused, BaseException), "both were answered OK"
    failure = caller.failure(refused)
    assert (failure.code, failure.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "PROPOSAL_CLOSED")
    return word


def in_markets() -> list[tuple[int, str]]:
    return list(enumerate(ALLOWED[:RACERS]))


async def later(seconds: float, work: Awaitable[T]) -> T:
    await asyncio.sleep(seconds)
    return await work
