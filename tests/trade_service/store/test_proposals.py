"""Proposals on a real database: idempotent by content, changed under the lock, closed for ever."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import psycopg
import pytest

from kernel.db import Database
from kernel.errors import Conflict, Invalid, NotNow
from policy.model import DecisionOutcome, ExecutionStatus, Override
from tests.fixtures.database import Database as OwnDatabase
from tests.policy import given as rules
from tests.trade_service import given
from tests.trade_service.given import Read
from trade_service.claiming import Claimed, Denied
from trade_service.execution import Settlement
from trade_service.policies import PolicyBook
from trade_service.ports import ProposalChange
from trade_service.proposal import ProposalStatus, StoredProposal
from trade_service.reload import Reload
from trade_service.store.admin import AdminRows
from trade_service.store.executions import ExecutionRows
from trade_service.store.proposals import ProposalRows
from trade_service.submit import Submit

P = ProposalStatus


def submit_of(database: Database) -> Submit:
    return Submit(ProposalRows(database), PolicyBook(AdminRows(database)))


async def test_a_repeat_with_the_same_content_answers_the_stored_proposal(database: Database, sql: Read) -> None:
    submit, wanted = submit_of(database), given.content()
    first, created = await submit.submit(wanted, "bot")
    again, repeated = await submit.submit(wanted, "another caller")
    assert (created, repeated) == (True, False)
    assert again == first
    assert (first.content, first.content_hash, first.status) == (wanted, wanted.content_hash(), P.PROPOSED)
    assert first.expires_at - first.submitted_at == timedelta(hours=1)
    assert sql("SELECT submitted_by FROM trade_proposals") == [("bot",)]


async def test_a_repeat_with_other_content_names_what_differs_and_changes_nothing(
    database: Database, sql: Read
) -> None:
    submit, wanted = submit_of(database), given.content()
    await submit.submit(wanted, "bot")
    changed = given.content(rules.limit(price="50001"), proposal_id=wanted.proposal_id, confidence=50)
    with pytest.raises(Conflict) as refused:
        await submit.submit(changed, "bot")
    assert refused.value.reason == "PROPOSAL_MISMATCH"
    assert refused.value.metadata == {"fields": "terms.price,confidence"}
    assert sql("SELECT price, confidence FROM trade_proposals") == [(Decimal(50000), 75)]


async def test_a_repeat_is_answered_though_the_policy_lets_nothing_live_so_long_any_more(database: Database) -> None:
    admin = AdminRows(database)
    book, wanted = PolicyBook(admin), given.content(valid_for=timedelta(hours=2))
    submit = Submit(ProposalRows(database), book)
    await Reload(admin, book, lambda: (rules.policy(proposal_ttl="2h"),)).reload("carol")
    stored, _ = await submit.submit(wanted, "bot")
    await Reload(admin, book, lambda: (rules.policy(proposal_ttl="1h"),)).reload("carol")
    assert await submit.submit(wanted, "bot") == (stored, False)
    with pytest.raises(Conflict):
        await submit.submit(replace(wanted, confidence=50), "bot")
    with pytest.raises(Invalid, match="at most 3600 s"):
        await submit.submit(replace(wanted, proposal_id=uuid4()), "bot")


async def test_of_many_submits_at_once_one_creates(database: Database, sql: Read) -> None:
    submit, wanted = submit_of(database), given.content()
    results = await given.together(*(submit.submit(wanted, "bot") for _ in range(16)))
    stored = [each for each in results if not isinstance(each, Exception)]
    assert [created for _, created in stored].count(True) == 1
    assert len(stored) == 16
    assert sql("SELECT count(*) FROM trade_proposals") == [(1,)]


async def test_the_same_id_belongs_to_each_user_apart(database: Database) -> None:
    mine, his = given.content(), given.content(user_id="bob")
    his = given.content(user_id="bob", proposal_id=mine.proposal_id)
    for each in (mine, his):
        _, created = await submit_of(database).submit(each, "bot")
        assert created


DECLINE = "UPDATE trade_proposals SET status = 'DECLINED'"


async def test_of_a_proposal_stored_here_the_first_look_is_from_memory_and_no_other(
    database: Database, sql: Read
) -> None:
    here, elsewhere, wanted = ProposalRows(database), ProposalRows(database), given.content()
    for rows in (here, elsewhere):
        await rows.submit(wanted, "bot", timedelta(hours=1), refuse=given.accept_any)
    sql(DECLINE)
    key = ("alice", wanted.proposal_id)
    looks = [await here.first_look(*key), await here.first_look(*key), await elsewhere.first_look(*key)]
    assert [look and look.proposal.status for look in looks] == [P.PROPOSED, P.DECLINED, P.DECLINED]


async def test_a_look_is_never_from_memory(database: Database, sql: Read) -> None:
    rows, wanted = ProposalRows(database), given.content()
    await rows.submit(wanted, "bot", timedelta(hours=1), refuse=given.accept_any)
    sql(DECLINE)
    look = await rows.look("alice", wanted.proposal_id)
    assert look is not None
    assert look.proposal.status is P.DECLINED


async def test_a_look_shows_proposal_execution_and_last_decision(database: Database) -> None:
    rows = ProposalRows(database)
    assert await rows.look("alice", uuid4()) is None
    proposal = await given.submitted(database)
    key = ("alice", proposal.content.proposal_id)
    empty = await rows.look(*key)
    assert empty is not None
    assert (empty.proposal, empty.execution, empty.decision) == (proposal, None, None)
    denied = await given.claim(database, proposal, given.deny)
    assert isinstance(denied, Denied)
    looked = await rows.look(*key)
    assert looked is not None
    assert looked.decision is not None
    assert looked.decision.decision_id == denied.decision.decision_id
    assert 0 <= looked.decision_age_seconds < 10
    claimed = await given.claim(database, proposal)
    assert isinstance(claimed, Claimed)
    looked = await rows.look(*key)
    assert looked is not None
    assert looked.execution is not None
    assert looked.decision is not None
    assert looked.execution.decision_id == looked.decision.decision_id == claimed.decision.decision_id
    assert await rows.look("bob", key[1]) is None


async def test_a_look_never_shows_an_execution_beside_the_denial_before_it(
    trade_database: OwnDatabase, database: Database, sql: Read
) -> None:
    """The claim commits between two statements of the look: a caller who reads the decision must not trade again."""
    proposal = await given.submitted(database)
    assert isinstance(await given.claim(database, proposal, given.deny), Denied)
    assert isinstance(await given.claim(database, proposal), Claimed)
    sql("SET session_replication_role = replica")
    sql("UPDATE decisions SET user_id = 'nobody yet' WHERE outcome = 'ALLOW'")
    sql("UPDATE trade_executions SET user_id = 'nobody yet'")
    with psycopg.connect(trade_database.admin) as claim:
        claim.execute("LOCK TABLE trade_executions IN ACCESS EXCLUSIVE MODE")
        look = asyncio.create_task(ProposalRows(database).look("alice", proposal.content.proposal_id))
        waiting = "SELECT 1 FROM pg_locks WHERE NOT granted"
        async with asyncio.timeout(10):
            while not sql(waiting):  # noqa: ASYNC110 - the server tells nobody
                await asyncio.sleep(0.02)
        claim.execute("SET session_replication_role = replica")
        claim.execute("UPDATE decisions SET user_id = 'alice' WHERE user_id = 'nobody yet'")
        claim.execute("UPDATE trade_executions SET user_id = 'alice'")
    seen = await look
    assert seen is not None
    assert seen.decision is not None
    assert seen.execution is not None
    assert seen.execution.decision_id == seen.decision.decision_id
    assert seen.decision.decision.outcome is DecisionOutcome.ALLOW


async def test_an_approval_keeps_what_was_seen_and_a_second_one_may_add_an_override(
    database: Database, sql: Read
) -> None:
    submit = submit_of(database)
    stored, _ = await submit.submit(given.content(), "bot")
    key = ("alice", stored.content.proposal_id)
    approved = await submit.approve(*key, stored.content_hash, ("carol",), ())
    assert (approved.status, approved.approval and approved.approval.approver) == (P.APPROVED, "carol")
    assert await submit.approve(*key, stored.content_hash, ("dora",), ()) == approved
    (now,) = sql("SELECT clock_timestamp()")[0]
    override = Override("cooldown", "dora", "urgent", now + timedelta(minutes=5))
    lifted = await submit.approve(*key, stored.content_hash, ("dora",), (override,))
    assert lifted.overrides == (override,)
    assert lifted.approval is not None
    assert (lifted.approval.approver, lifted.approval.content_hash) == ("dora", stored.content_hash)
    assert await submit.decline(*key, "bot", "changed my mind", given.accept_any) == await read(database, lifted)


async def read(database: Database, proposal: StoredProposal) -> StoredProposal:
    look = await ProposalRows(database).look("alice", proposal.content.proposal_id)
    assert look is not None
    return look.proposal


async def test_a_change_that_raises_leaves_nothing(database: Database) -> None:
    proposal = await given.submitted(database)

    def refuse(_: StoredProposal, __: datetime) -> ProposalChange:
        raise NotNow("PROPOSAL_CLOSED", "closed")

    with pytest.raises(NotNow):
        await ProposalRows(database).change("alice", proposal.content.proposal_id, refuse)
    assert await read(database, proposal) == proposal


@pytest.mark.parametrize(("late", "status"), [(True, P.EXPIRED), (False, P.PROPOSED)])
async def test_only_a_proposal_whose_time_is_over_expires(database: Database, status: P, *, late: bool) -> None:
    proposal = await given.submitted(database, ttl=timedelta(milliseconds=1) if late else given.TTL)
    expired = await ProposalRows(database).expire("alice", proposal.content.proposal_id)
    assert expired is not None
    assert expired.status is status


async def test_a_claimed_proposal_never_expires(database: Database) -> None:
    proposal = await given.submitted(database, ttl=timedelta(milliseconds=1))
    assert isinstance(await given.claim(database, proposal), Claimed)
    stays = await ProposalRows(database).expire("alice", proposal.content.proposal_id)
    assert stays is not None
    assert stays.status is P.EXECUTING


async def test_a_decline_racing_a_claim_is_right_whichever_answers_ok(database: Database, sql: Read) -> None:
    submit, winners = submit_of(database), set()
    for turn in range(20):
        proposal = await given.submitted(database, given.content(user_id=f"racer{turn}"))
        key = (proposal.content.user_id, proposal.content.proposal_id)
        decline = submit.decline(*key, "bot", "no", given.accept_any)
        claim = given.claim(database, proposal, given.judged_by())
        works = (decline, claim) if turn % 2 else (claim, decline)
        results = await given.together(*works)
        claims = [each for each in results if isinstance(each, Claimed)]
        declines = [each for each in results if isinstance(each, StoredProposal)]
        assert len(claims) + len(declines) == 1, results
        assert [each for each in results if isinstance(each, NotNow)], results
        expected = ("EXECUTING", 1) if claims else ("DECLINED", 0)
        found = "SELECT status, (SELECT count(*) FROM trade_executions WHERE user_id = %s) FROM trade_proposals"
        assert sql(f"{found} WHERE user_id = %s", key[0], key[0]) == [expected]
        winners.add(expected[0])
    assert winners == {"EXECUTING", "DECLINED"}


async def test_a_repeated_decline_answers_the_same(database: Database) -> None:
    submit = submit_of(database)
    stored, _ = await submit.submit(given.content(), "bot")
    key = ("alice", stored.content.proposal_id)
    first = await submit.decline(*key, "bot", "no", given.accept_any)
    assert await submit.decline(*key, "carol", "never", given.accept_any) == first


async def test_a_proposal_of_an_execution_never_sent_has_failed(database: Database) -> None:
    proposal, authority = await given.claimed(database)
    unsent = Settlement(ExecutionStatus.NOT_PLACED, given.SENDER, "NOT_SENT")
    await ExecutionRows(database).settle("alice", authority.execution_id, unsent)
    assert (await read(database, proposal)).status is P.FAILED
