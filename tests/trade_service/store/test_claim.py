"""The claim on a real database: what it writes, what it leaves alone, and when the right to send comes into being."""

import asyncio
import hashlib
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import psycopg
import pytest

from kernel.db import CommitUnknownError, Database, Reasons
from kernel.errors import NotNow, Unavailable
from policy.model import DecisionOutcome
from tests.fixtures.database import Database as OwnDatabase
from tests.fixtures.fault_proxy import FaultProxy
from tests.policy import given as rules
from tests.trade_service import given
from tests.trade_service.given import Read
from trade_service.authority import AuthoritySpentError, SendAuthority
from trade_service.claiming import Claimed, Collided, Denied, Exists, Expire, Reload, View
from trade_service.execution import Judgement
from trade_service.store.claim import ClaimRows

COUNTS = """
SELECT (SELECT count(*) FROM decisions), (SELECT count(*) FROM trade_executions),
    (SELECT count(*) FROM execution_events),
    (SELECT string_agg(status, ',') FROM trade_proposals), (SELECT event_number FROM users WHERE user_id = 'alice')
"""
OTHERS_DECISION = "INSERT INTO decisions VALUES ('alice', %s, %s, %s, '[]', '{}', '', '', 1, now())"
OTHERS_EXECUTION = """
INSERT INTO trade_executions (user_id, execution_id, proposal_id, decision_id, market, side, order_type, post_only,
    worst_value, client_order_id, operator_id, signed_timestamp_ms, window_ms, body, claimed_at, claimed_by, status)
VALUES ('alice', %s, %s, %s, 'BTC-EUR', 'BUY', 'LIMIT', false, 1, %s, 1, 1, 5000, '', now(), 'other', 'SUBMITTING')
"""
EMPTY_ALLOWLIST: dict[str, object] = {"allowlist": {"markets": []}}
UNTOUCHED = [(0, 0, 0, "PROPOSED", 0)]


async def test_an_allowed_claim_writes_everything_that_will_be_sent(database: Database, sql: Read) -> None:
    proposal = await given.submitted(database, given.content(cancel_after=timedelta(minutes=5)))
    judged: list[View] = []

    def judge(view: View) -> Judgement:
        judged.append(view)
        return given.allow(view)

    result = await given.claim(database, proposal, judge)
    assert isinstance(result, Claimed)
    order = result.authority.take()
    assert (order.user_id, order.market) == ("alice", "BTC-EUR")
    assert sql(COUNTS) == [(1, 1, 1, "EXECUTING", 1)]
    new = order.execution
    assert sql(
        "SELECT execution_id, proposal_id, decision_id, status, client_order_id, operator_id, signed_timestamp_ms,"
        " window_ms, body, body_sha256, claimed_by, market, side, amount, price, time_in_force, worst_value"
        " FROM trade_executions"
    ) == [
        (
            *(new.execution_id, proposal.content.proposal_id, result.decision.decision_id, "SUBMITTING"),
            *(new.client_order_id, given.OPERATOR_ID, given.SIGNED_MS, given.WINDOW_MS, new.body),
            *(hashlib.sha256(new.body).hexdigest(), "bot", "BTC-EUR", "BUY", Decimal("0.001"), Decimal(50000)),
            *("GTC", Decimal(50)),
        )
    ]
    assert sql("SELECT claimed_at, cancel_due_at FROM trade_executions") == [
        (judged[0].now, judged[0].now + timedelta(minutes=5))
    ]
    assert sql("SELECT number, type, from_status, to_status FROM execution_events") == [
        (1, "CLAIMED", None, "SUBMITTING")
    ]
    assert sql("SELECT outcome, decided_at FROM decisions") == [("ALLOW", judged[0].now)]


async def test_a_send_authority_is_used_once(database: Database) -> None:
    _, authority = await given.claimed(database)
    authority.take()
    with pytest.raises(AuthoritySpentError):
        authority.take()


async def test_a_denied_claim_stores_the_decision_and_nothing_else(database: Database, sql: Read) -> None:
    proposal = await given.submitted(database)
    result = await given.claim(database, proposal, given.deny)
    assert isinstance(result, Denied)
    assert result.decision.decision.outcome is DecisionOutcome.DENY
    assert sql(COUNTS) == [(1, 0, 0, "PROPOSED", 0)]
    assert isinstance(await given.claim(database, proposal), Claimed)


async def test_a_closing_denial_declines_the_proposal(database: Database, sql: Read) -> None:
    proposal = await given.submitted(database)
    result = await given.claim(database, proposal, given.judged_by(rules.policy(EMPTY_ALLOWLIST), closes=True))
    assert isinstance(result, Denied)
    assert sql(COUNTS) == [(1, 0, 0, "DECLINED", 0)]
    assert sql("SELECT closed_by, closed_reason FROM trade_proposals") == [("bot", "denied by the policy")]


async def test_a_proposal_whose_time_is_over_expires(database: Database, sql: Read) -> None:
    proposal = await given.submitted(database)
    assert await given.claim(database, proposal, lambda _: Expire()) == Expire()
    assert sql(COUNTS) == [(0, 0, 0, "EXPIRED", 0)]


async def test_another_generation_in_force_writes_nothing(database: Database, sql: Read) -> None:
    proposal = await given.submitted(database)
    assert await given.claim(database, proposal, lambda _: Reload(5)) == Reload(5)
    assert sql(COUNTS) == UNTOUCHED


async def test_a_judge_that_raises_leaves_nothing(database: Database, sql: Read) -> None:
    proposal = await given.submitted(database)

    def fail(_: View) -> Judgement:
        raise NotNow("PROPOSAL_CLOSED", "closed")

    assert isinstance(await given.outcome(given.claim(database, proposal, fail)), NotNow)
    assert sql(COUNTS) == UNTOUCHED
    assert isinstance(await given.claim(database, proposal), Claimed)


@pytest.mark.parametrize("user_id", ["alice", "bob"])
async def test_a_proposal_of_nobody_or_of_someone_else_is_not_there(database: Database, user_id: str) -> None:
    proposal = await given.submitted(database)
    await given.submitted(database, given.content(user_id="bob"))
    wanted = uuid4() if user_id == "alice" else proposal.content.proposal_id
    assert await ClaimRows(database).claim(user_id, wanted, "bot", given.allow) is None
    assert await ClaimRows(database).view(user_id, wanted) is None


async def test_a_row_that_moved_behind_the_lock_collides_and_leaves_nothing(database: Database, sql: Read) -> None:
    proposal = await given.submitted(database)

    def judge_while_it_moves(view: View) -> Judgement:
        sql("UPDATE trade_proposals SET status = 'APPROVED'")
        return given.allow(view)

    assert await given.claim(database, proposal, judge_while_it_moves) == Collided()
    assert sql(COUNTS) == [(0, 0, 0, "APPROVED", 0)]


@pytest.mark.parametrize("others_decision", ["ALLOW", "DENY"])
async def test_an_execution_that_appeared_behind_the_lock_collides(
    database: Database, sql: Read, others_decision: str
) -> None:
    """The insert itself is idempotent: even a claim that did not take the lock cannot be doubled."""
    proposal = await given.submitted(database)
    proposal_id = proposal.content.proposal_id

    def judge_while_another_claims(view: View) -> Judgement:
        decision_id = uuid4()
        sql(OTHERS_DECISION, decision_id, proposal_id, others_decision)
        sql(OTHERS_EXECUTION, uuid4(), proposal_id, decision_id, uuid4())
        return given.allow(view)

    assert await given.outcome(given.claim(database, proposal, judge_while_another_claims)) == Collided()
    assert sql("SELECT claimed_by FROM trade_executions") == [("other",)]
    assert sql("SELECT outcome FROM decisions") == [(others_decision,)]


async def test_g1_a_repeat_answers_that_the_execution_exists_and_judges_nothing(database: Database, sql: Read) -> None:
    proposal, _ = await given.claimed(database)
    views: list[View] = []

    def judge(view: View) -> Judgement:
        views.append(view)
        return given.allow(view)

    assert await given.outcome(given.claim(database, proposal, judge)) == Exists()
    assert views == []
    assert sql(COUNTS) == [(1, 1, 1, "EXECUTING", 1)]


async def test_g1_a_duplicate_that_waited_for_the_lock_is_not_denied_by_its_twin(database: Database, sql: Read) -> None:
    """The execution is looked for after the lock: a look before it saw none, and the cooldown would deny."""
    proposal = await given.submitted(database)
    assert await ClaimRows(database).view("alice", proposal.content.proposal_id) is not None
    results = await given.together(*(given.claim(database, proposal, given.judged_by()) for _ in range(8)))
    assert sorted(type(each).__name__ for each in results) == ["Claimed", *["Exists"] * 7]
    assert sql("SELECT outcome FROM decisions") == [("ALLOW",)]


async def test_g1_of_many_claims_on_two_replicas_one_may_send(
    trade_database: OwnDatabase, database: Database, sql: Read
) -> None:
    other = Database(trade_database.service, connections_max=16, reasons=Reasons("DATABASE_UNAVAILABLE"))
    await other.open()
    for _ in range(5):
        proposal = await given.submitted(database, given.content(user_id=f"racer{uuid4()}"))
        replicas = (database, other) * 16
        results = await given.together(*(given.claim(each, proposal, given.allow) for each in replicas))
        assert sorted(type(each).__name__ for each in results) == ["Claimed", *["Exists"] * 31]
    await other.close()
    assert sql("SELECT count(*), count(DISTINCT client_order_id) FROM trade_executions") == [(5, 5)]
    assert sql("SELECT count(*) FROM decisions WHERE outcome = 'ALLOW'") == [(5,)]


@pytest.mark.parametrize(("answer_lost", "rows"), [(False, []), (True, [("SUBMITTING",)])])
async def test_g1_no_acknowledged_commit_gives_no_right_to_send(
    trade_database: OwnDatabase, database: Database, sql: Read, rows: list[tuple[str]], *, answer_lost: bool
) -> None:
    proposal = await given.submitted(database)
    born: list[SendAuthority] = []
    info = psycopg.conninfo.conninfo_to_dict(trade_database.service)
    async with FaultProxy(str(info["host"]), int(str(info["port"]))) as proxy:
        url = psycopg.conninfo.make_conninfo(trade_database.service, port=proxy.port)
        cut = Database(url, connections_max=1, reasons=Reasons("DATABASE_UNAVAILABLE"))
        await cut.open()
        (proxy.lose_answer_to if answer_lost else proxy.cut_before)(b"COMMIT\0")
        result = await given.outcome(given.claim(cut, proposal))
        await cut.close()
        assert proxy.cuts_done == 1
    if isinstance(result, Claimed):
        born.append(result.authority)
    assert born == []
    assert isinstance(result, CommitUnknownError)
    assert sql("SELECT status FROM trade_executions") == rows
    repeat = await given.claim(database, proposal)
    assert isinstance(repeat, Exists if answer_lost else Claimed)


async def test_the_moment_of_a_claim_is_after_it_had_waited_for_the_lock(
    trade_database: OwnDatabase, database: Database, sql: Read
) -> None:
    proposal = await given.submitted(database)
    with psycopg.connect(trade_database.admin) as holder:
        holder.execute("SELECT FROM users WHERE user_id = 'alice' FOR UPDATE")
        waiting = asyncio.create_task(given.claim(database, proposal))
        await asyncio.sleep(0.5)
        assert not waiting.done()
        released = holder.execute("SELECT clock_timestamp()").fetchone()
        await asyncio.to_thread(holder.commit)
    assert released
    assert isinstance(await waiting, Claimed)
    (claimed_at,) = sql("SELECT claimed_at FROM trade_executions")[0]
    assert claimed_at >= released[0]


async def test_a_claim_that_waits_too_long_for_the_lock_is_unavailable(
    trade_database: OwnDatabase, database: Database, sql: Read
) -> None:
    proposal = await given.submitted(database)
    bobs = await given.submitted(database, given.content(user_id="bob"))
    with psycopg.connect(trade_database.admin) as holder:
        holder.execute("SELECT FROM users WHERE user_id = 'alice' FOR UPDATE")
        alice, bob = await given.together(given.claim(database, proposal), given.claim(database, bobs))
    assert isinstance(alice, Unavailable)
    assert isinstance(bob, Claimed)
    assert sql("SELECT user_id FROM trade_executions") == [("bob",)]
