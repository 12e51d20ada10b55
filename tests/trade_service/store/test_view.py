"""What a claim sees: everything it depends on, of this user, and nothing older or of anybody else."""

from datetime import UTC
from decimal import Decimal

import psycopg

from kernel.db import Database
from policy.model import ExecutionStatus, Scope, State
from tests.fixtures.database import Database as OwnDatabase
from tests.policy import given as rules
from tests.trade_service import given
from tests.trade_service.given import Read
from trade_service.claiming import Reload, View
from trade_service.proposal import StoredProposal
from trade_service.store.claim import ClaimRows
from trade_service.store.view import HISTORY_ROWS_MAX


async def test_a_view_is_what_a_claim_sees_and_waits_for_no_lock(
    trade_database: OwnDatabase, database: Database, sql: Read
) -> None:
    proposal = await given.submitted(database)
    seen: list[View] = []

    def judge(view: View) -> Reload:
        seen.append(view)
        return Reload(1)

    await given.claim(database, proposal, judge)
    with psycopg.connect(trade_database.admin) as holder:
        holder.execute("SELECT FROM users WHERE user_id = 'alice' FOR UPDATE")
        view = await ClaimRows(database).view("alice", proposal.content.proposal_id)
    assert view is not None
    assert [without_now(each) for each in seen] == [without_now(view)]
    assert view.now > seen[0].now
    assert view.now.tzinfo is UTC


def without_now(view: View) -> tuple[object, ...]:
    return (
        *(view.proposal, view.generation, view.protocol_min, view.protocol_max, view.trading_states),
        *(view.executions, view.history_complete, view.position, view.last_decided_at),
    )


async def view_of(database: Database, proposal: StoredProposal) -> View:
    view = await ClaimRows(database).view(proposal.content.user_id, proposal.content.proposal_id)
    assert view is not None
    return view


async def test_a_view_shows_the_switches_that_cover_the_proposal(database: Database, sql: Read) -> None:
    for scope, subject in (("MARKET", "BTC-EUR"), ("MARKET", "ETH-EUR"), ("USER", "alice"), ("USER", "bob")):
        sql(
            "INSERT INTO trading_state (scope, subject, state, generation, reason, actor)"
            " VALUES (%s, %s, 'HALTED', 1, 'r', 'a')",
            scope,
            subject,
        )
    view = await view_of(database, await given.submitted(database))
    assert {(each.scope, each.subject, each.state) for each in view.trading_states} == {
        (Scope.GLOBAL, "", State.ACTIVE),
        (Scope.MARKET, "BTC-EUR", State.HALTED),
        (Scope.USER, "alice", State.HALTED),
    }


async def test_a_view_counts_what_is_recent_filled_recently_or_open_of_this_user(database: Database, sql: Read) -> None:
    """A day and a minute: the rules apply the exact windows."""
    cases = {
        "recent": ("23:59:00", "FILLED", None, True),
        "within the margin": ("24:00:30", "REJECTED", None, True),
        "old": ("24:01:30", "FILLED", "24:01:30", False),
        "old, filled lately": ("48:00:00", "FILLED", "01:00:00", True),
        "old, resting": ("72:00:00", "SUBMITTED", None, True),
        "old, unknown": ("72:00:00", "UNKNOWN", None, True),
    }
    expected = set()
    for status_ago, status, filled_ago, counted in cases.values():
        old, _ = await given.claimed(database)
        sql("SET session_replication_role = replica")
        sql(
            "UPDATE trade_executions SET claimed_at = now() - %s::interval, status = %s,"
            " last_fill_at = now() - %s::interval WHERE proposal_id = %s",
            *(status_ago, status, filled_ago, old.content.proposal_id),
        )
        sql("SET session_replication_role = origin")
        if counted:
            expected.add(old.content.proposal_id)
    await given.claimed(database, given.content(user_id="bob"))
    view = await view_of(database, await given.submitted(database))
    assert {each.proposal_id for each in view.executions} == expected
    assert view.history_complete
    moments = [each.claimed_at for each in view.executions]
    assert moments == sorted(moments, reverse=True)


COPIES = """
INSERT INTO trade_executions (execution_id, proposal_id, client_order_id, user_id, decision_id, market, side,
    order_type, post_only, worst_value, operator_id, signed_timestamp_ms, window_ms, body, claimed_at, claimed_by,
    status)
SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), user_id, decision_id, market, side,
    order_type, post_only, worst_value, operator_id, signed_timestamp_ms, window_ms, body, claimed_at, claimed_by,
    status
FROM trade_executions, generate_series(1, %s)
"""


async def test_a_history_too_long_to_be_read_says_so(database: Database, sql: Read) -> None:
    old, _ = await given.claimed(database)
    sql("SET session_replication_role = replica")
    sql(COPIES, HISTORY_ROWS_MAX - 1)
    sql("SET session_replication_role = origin")
    view = await view_of(database, old)
    assert len(view.executions) == HISTORY_ROWS_MAX
    assert not view.history_complete


async def test_a_view_adds_up_the_fills_of_this_user_in_this_market(database: Database, sql: Read) -> None:
    for user_id, market, side, amount in (
        *(("alice", "BTC-EUR", "BUY", "0.003"), ("alice", "BTC-EUR", "SELL", "0.001")),
        *(("alice", "ETH-EUR", "BUY", "5"), ("bob", "BTC-EUR", "BUY", "7")),
    ):
        _, authority = await given.claimed(database, given.content(rules.limit(market=market), user_id=user_id))
        sql(
            "INSERT INTO trade_history (user_id, market, fill_id, execution_id, order_id, side, amount, price, taker,"
            " filled_at) VALUES (%s, %s, gen_random_uuid(), %s, 'o', %s, %s, 1, true, now())",
            *(user_id, market, authority.execution_id, side, amount),
        )
    view = await view_of(database, await given.submitted(database))
    assert view.position == Decimal("0.002")


async def test_a_history_keeps_every_digit(database: Database) -> None:
    exact = rules.limit(amount="123456789012.123456789012", price="0.000000000001")
    await given.claimed(database, given.content(exact))
    view = await view_of(database, await given.submitted(database))
    (past,) = view.executions
    assert (past.terms.amount, past.terms.price) == (exact.amount, exact.price)
    assert (past.status, past.worst_value, past.filled_amount) == (ExecutionStatus.SUBMITTING, Decimal(50), Decimal(0))
