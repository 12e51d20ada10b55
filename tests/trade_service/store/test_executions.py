"""Settling on a real database: who may move what, who comes second, and what a move brings with it."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from kernel.db import Database
from policy.model import ExecutionStatus
from tests.policy import given as rules
from tests.trade_service import given
from tests.trade_service.given import Read, fill, order, settlement
from trade_service.claiming import Denied
from trade_service.execution import NOT_SENT, UNRESOLVED, Execution, Settlement
from trade_service.store.executions import ExecutionRows

S = ExecutionStatus
PART = fill("f1", "0.0004")
REST = fill("f2", "0.0006", filled_at=given.FILLED_AT + timedelta(seconds=2))

LOST = Settlement(S.UNKNOWN, given.SENDER, "ANSWER_LOST", {"why": "test"})
REFUSED = Settlement(S.REJECTED, UNRESOLVED, "REJECTED", {"code": 216}, reject_code=216)
UNSENT = Settlement(S.NOT_PLACED, given.SENDER, NOT_SENT, {"left_ms": 499})
RESTS = settlement(S.SUBMITTED, order())
PARTLY = settlement(S.SUBMITTED, order(PART, status="partiallyFilled"))
FILLS = settlement(S.FILLED, order(PART, REST, status="filled"))
CANCELS = settlement(S.CANCELED, order(status="canceled"))
CANCELS_PARTLY = settlement(S.CANCELED, order(PART, status="expired"))


class One:
    """One claimed execution and everything a test does to it."""

    def __init__(self, database: Database, proposal_id: UUID, execution_id: UUID) -> None:
        self.rows = ExecutionRows(database)
        self.proposal_id, self.execution_id = proposal_id, execution_id

    async def settle(self, *settlements: Settlement) -> Execution:
        for each in settlements:
            answered = await self.rows.settle("alice", self.execution_id, each)
        return answered

    async def read(self) -> Execution:
        found = await self.rows.execution("alice", self.proposal_id, events=True)
        assert found is not None
        return found


async def one_of(database: Database) -> One:
    proposal, authority = await given.claimed(database)
    return One(database, proposal.content.proposal_id, authority.execution_id)


@pytest.mark.parametrize(
    ("steps", "status", "proposal", "final"),
    [
        ((RESTS,), S.SUBMITTED, "EXECUTING", False),
        ((FILLS,), S.FILLED, "EXECUTED", True),
        ((CANCELS,), S.CANCELED, "FAILED", True),
        ((CANCELS_PARTLY,), S.CANCELED, "EXECUTED", True),
        ((REFUSED,), S.REJECTED, "FAILED", True),
        ((UNSENT,), S.NOT_PLACED, "FAILED", True),
        ((LOST,), S.UNKNOWN, "EXECUTING", False),
        ((LOST, RESTS), S.SUBMITTED, "EXECUTING", False),
        ((LOST, FILLS), S.FILLED, "EXECUTED", True),
        ((LOST, CANCELS), S.CANCELED, "FAILED", True),
        ((LOST, REFUSED), S.REJECTED, "FAILED", True),
        ((RESTS, PARTLY), S.SUBMITTED, "EXECUTING", False),
        ((RESTS, PARTLY, FILLS), S.FILLED, "EXECUTED", True),
        ((PARTLY, CANCELS_PARTLY), S.CANCELED, "EXECUTED", True),
    ],
)
async def test_an_execution_moves_with_its_proposal(
    database: Database, sql: Read, steps: tuple[Settlement, ...], status: S, proposal: str, *, final: bool
) -> None:
    one = await one_of(database)
    answered = await one.settle(*steps)
    stored = await one.read()
    assert replace(answered, events=stored.events) == stored
    assert (stored.status, stored.settled_at is not None) == (status, final)
    assert sql("SELECT status FROM trade_proposals") == [(proposal,)]
    assert [each.type for each in stored.events] == ["CLAIMED", *(each.event for each in steps)]
    assert [each.evidence for each in stored.events[1:]] == [dict(each.evidence) for each in steps]
    chain = [each.to_status for each in stored.events]
    assert [each.from_status for each in stored.events] == [None, *chain[:-1]]


@pytest.mark.parametrize("skew", [timedelta(hours=-3), timedelta(0), timedelta(hours=3)])
async def test_g5_the_pause_after_a_fill_runs_by_our_clock_whatever_the_exchanges_says(
    database: Database, sql: Read, skew: timedelta
) -> None:
    """A resting order claimed an hour ago fills now; the exchange's clock is wrong by `skew`."""
    one = await one_of(database)
    await one.settle(RESTS)
    sql("UPDATE trade_executions SET claimed_at = claimed_at - interval '1 hour'")
    (before,) = sql("SELECT clock_timestamp()")[0]
    filled = settlement(S.FILLED, order(fill(filled_at=before + skew), status="filled"))
    await one.settle(filled)
    (after,) = sql("SELECT clock_timestamp()")[0]
    (touched,) = sql("SELECT last_fill_at FROM trade_executions")[0]
    assert before <= touched <= after
    next_one = await given.submitted(database, given.content(rules.limit(amount="0.002")))
    denied = await given.claim(database, next_one, given.judged_by())
    assert isinstance(denied, Denied)
    found = {each.rule: each.next_possible_at for each in denied.decision.decision.verdicts if each.code == "COOLDOWN"}
    assert found == {"cooldown": touched + timedelta(minutes=30)}


async def test_only_what_was_filled_since_begins_the_pause_anew(database: Database, sql: Read) -> None:
    one, seen = await one_of(database), []
    for each in (RESTS, PARTLY, PARTLY, settlement(S.CANCELED, order(PART, status="canceled"))):
        await one.settle(each)
        seen.append(sql("SELECT last_fill_at FROM trade_executions")[0][0])
    assert seen[0] is None
    assert seen[1] is not None
    assert seen[2] == seen[3] == seen[1]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        *((FILLS, each) for each in (REFUSED, UNSENT, LOST, RESTS, CANCELS, FILLS)),
        *((CANCELS, each) for each in (REFUSED, UNSENT, LOST, RESTS, FILLS)),
        *((REFUSED, each) for each in (UNSENT, LOST, RESTS, FILLS, CANCELS)),
        *((UNSENT, each) for each in (REFUSED, LOST, RESTS, FILLS, CANCELS)),
        *((RESTS, each) for each in (REFUSED, UNSENT, LOST, RESTS)),
        *((LOST, each) for each in (UNSENT, LOST)),
    ],
    ids=lambda each: each.status if isinstance(each, Settlement) else None,
)
async def test_who_settles_second_changes_nothing(
    database: Database, sql: Read, first: Settlement, second: Settlement
) -> None:
    one = await one_of(database)
    await one.settle(first)
    before = await one.read()
    answered = await given.outcome(one.settle(second))
    assert await one.read() == before
    assert answered == replace(before, events=())
    assert sql("SELECT event_number FROM users") == [(2,)]


async def test_two_settlers_at_once_leave_one_event(database: Database) -> None:
    one = await one_of(database)
    answers = await given.together(*(one.settle(each) for each in (FILLS, REFUSED, LOST, RESTS, FILLS, UNSENT)))
    stored = await one.read()
    assert not [each for each in answers if isinstance(each, Exception)]
    assert stored.status in {S.FILLED, S.REJECTED, S.NOT_PLACED}
    moves = [(each.from_status, each.to_status) for each in stored.events]
    assert len(moves) == len(set(moves))
    assert [each.number for each in stored.events] == list(range(1, len(moves) + 1))


async def test_an_order_id_always_wins_over_an_answer_that_was_lost(database: Database) -> None:
    one = await one_of(database)
    stored = await one.settle(LOST, settlement(S.SUBMITTED, order(order_id="o9")))
    assert (stored.status, stored.order_id) == (S.SUBMITTED, "o9")
    refused = await one.settle(REFUSED)
    assert (refused.status, refused.order_id, refused.reject_code) == (S.SUBMITTED, "o9", 0)


async def test_a_fill_is_stored_once_however_often_it_is_told(database: Database) -> None:
    one = await one_of(database)
    await one.settle(PARTLY, PARTLY, FILLS, FILLS)
    stored = await one.read()
    assert [(each.fill_id, each.amount, each.filled_at) for each in stored.fills] == [
        (each.fill_id, each.amount, each.filled_at) for each in (PART, REST)
    ]
    assert (stored.filled_amount, stored.filled_quote) == (Decimal("0.001"), Decimal(50))
    assert [each.type for each in stored.events] == ["CLAIMED", "SETTLED", "SETTLED"]


async def test_a_fee_may_follow_its_fill(database: Database) -> None:
    one = await one_of(database)
    unsettled = settlement(S.SUBMITTED, order(fill("f1", "0.0004", fee=None)))
    await one.settle(unsettled)
    assert [each.fee for each in (await one.read()).fills] == [None]
    await one.settle(settlement(S.SUBMITTED, order(fill("f1", "0.0004", fee="0.2"))))
    stored = await one.read()
    assert [(each.fee, each.fee_currency) for each in stored.fills] == [(Decimal("0.2"), "EUR")]
    assert stored.fee_paid == Decimal("0.2")


async def test_a_known_fee_is_not_taken_back(database: Database) -> None:
    one = await one_of(database)
    await one.settle(settlement(S.SUBMITTED, order(fill("f1", "0.0004", fee="0.2"))))
    await one.settle(settlement(S.FILLED, order(fill("f1", "0.0004", fee=None), REST)))
    assert [each.fee for each in (await one.read()).fills] == [Decimal("0.2"), Decimal("0.1")]


async def test_an_old_look_at_a_resting_order_takes_no_fill_back(database: Database) -> None:
    """Two replicas look; the one that looked first writes last."""
    one = await one_of(database)
    await one.settle(PARTLY)
    before = await one.read()
    await one.settle(RESTS)
    assert await one.read() == before


async def test_a_wish_to_cancel_is_recorded_once(database: Database, sql: Read) -> None:
    one = await one_of(database)
    first, second = [await one.rows.request_cancel("alice", one.proposal_id, "bot", "too late") for _ in range(2)]
    assert first is not None
    assert second is not None
    assert first.cancel_requested_at == second.cancel_requested_at is not None
    events = (await one.read()).events
    assert [(each.type, each.from_status, each.to_status) for each in events[1:]] == [
        ("CANCEL_REQUESTED", S.SUBMITTING, S.SUBMITTING)
    ]
    assert events[1].evidence == {"actor": "bot", "reason": "too late"}
    assert sql("SELECT cancel_requested_by FROM trade_executions") == [("bot",)]


async def test_eight_wishes_at_once_are_one(database: Database) -> None:
    one = await one_of(database)
    await given.together(*(one.rows.request_cancel("alice", one.proposal_id, "bot", "r") for _ in range(8)))
    assert [each.type for each in (await one.read()).events] == ["CLAIMED", "CANCEL_REQUESTED"]


async def test_a_final_execution_takes_no_wish(database: Database) -> None:
    one = await one_of(database)
    await one.settle(FILLS)
    answered = await one.rows.request_cancel("alice", one.proposal_id, "bot", "r")
    assert answered is not None
    assert (answered.status, answered.cancel_requested_at) == (S.FILLED, None)
    assert [each.type for each in (await one.read()).events] == ["CLAIMED", "SETTLED"]


async def test_nobody_cancels_or_reads_what_is_not_his(database: Database) -> None:
    one = await one_of(database)
    assert await one.rows.request_cancel("bob", one.proposal_id, "bot", "r") is None
    assert await one.rows.execution("bob", one.proposal_id, events=True) is None


async def test_event_numbers_have_no_gap_under_eight_writers(database: Database, sql: Read) -> None:
    made = [await one_of(database) for _ in range(8)]
    writers = [asyncio.create_task(write(one, number)) for number, one in enumerate(made)]
    late = [asyncio.create_task(given.claimed(database)) for _ in range(4)]
    await asyncio.gather(*writers, *late)
    numbers = [row[0] for row in sql("SELECT number FROM execution_events ORDER BY number")]
    assert numbers == list(range(1, 8 * 4 + 4 + 1))
    assert sql("SELECT event_number FROM users") == [(len(numbers),)]
    out_of_order = (
        "SELECT count(*) FROM execution_events a JOIN execution_events b ON b.number = a.number + 1 WHERE b.at < a.at"
    )
    assert sql(out_of_order) == [(0,)]


async def write(one: One, number: int) -> None:
    """Lose the answer, find the order, see it fill: three events beside the claim."""
    facts = order(fill(f"f{number}", "0.001"), order_id=f"o{number}", status="filled")
    await one.settle(LOST, settlement(S.SUBMITTED, order(order_id=f"o{number}")), settlement(S.FILLED, facts))


async def test_every_digit_of_a_fill_is_kept(database: Database) -> None:
    one = await one_of(database)
    exact = fill("f1", "123456789012.123456789012", price=Decimal("0.000000000001"), fee="-0.000000000001")
    await one.settle(settlement(S.FILLED, order(exact, status="filled")))
    (stored,) = (await one.read()).fills
    assert (stored.amount, stored.price, stored.fee) == (exact.amount, exact.price, exact.fee)


async def test_the_terms_read_back_are_the_terms_claimed(database: Database) -> None:
    for terms in (rules.limit(), rules.market_buy(), rules.market_sell()):
        proposal, _ = await given.claimed(database, given.content(terms))
        found = await ExecutionRows(database).execution("alice", proposal.content.proposal_id, events=False)
        assert found is not None
        assert (found.terms, found.target.terms) == (terms, terms)
