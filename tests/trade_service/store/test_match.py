"""Our rows as the match reads them: across users, with the reconciler's rights."""

from uuid import uuid4

from kernel.db import Database
from policy.model import ExecutionStatus
from policy.policy import canonical_json
from tests.policy import given as rules
from tests.trade_service import given
from tests.trade_service.given import Read
from trade_service.account import KnownOrder, shape_of
from trade_service.ports import PolicyRow
from trade_service.store.admin import AdminRows
from trade_service.store.executions import ExecutionRows
from trade_service.store.match import MatchRows


async def test_rows_of_every_user_are_found_by_client_order_id_and_no_others(
    database: Database, reconciler: Database
) -> None:
    made = [await given.claimed(database, given.content(user_id=user_id)) for user_id in ("alice", "bob", "carol")]
    ids = [authority.take().execution.client_order_id for _, authority in made]
    final = given.settlement(ExecutionStatus.FILLED, given.order(given.fill(), order_id="o7"))
    await ExecutionRows(database).settle("bob", made[1][1].execution_id, final)
    found = await MatchRows(reconciler).known([*ids[:2], uuid4()])
    shape = shape_of(rules.limit())
    assert found == {
        ids[0]: KnownOrder(ids[0], given.OPERATOR_ID, None, shape),
        ids[1]: KnownOrder(ids[1], given.OPERATOR_ID, "o7", shape),
    }


async def test_the_newest_claim_is_the_newest_of_all_users(database: Database, reconciler: Database, sql: Read) -> None:
    assert await MatchRows(reconciler).newest_ms() is None
    for user_id in ("alice", "bob", "bob"):
        await given.claimed(database, given.content(user_id=user_id))
    sql("SET session_replication_role = replica")
    sql("UPDATE trade_executions SET signed_timestamp_ms = extract(epoch FROM claimed_at) * 1000000")
    expected = sql("SELECT max(signed_timestamp_ms) FROM trade_executions")
    assert [(await MatchRows(reconciler).newest_ms(),)] == expected


async def test_markets_stay_known_after_the_policy_that_allowed_them_is_gone(
    database: Database, reconciler: Database
) -> None:
    assert await MatchRows(reconciler).allowed_markets() == frozenset()
    admin = AdminRows(database)
    for markets in (["BTC-EUR", "ETH-EUR"], ["SOL-EUR"], []):
        policy = rules.policy({"allowlist": {"markets": markets}})
        await admin.put_in_force([PolicyRow(policy.sha256, "p", policy.users, canonical_json(policy))], "carol")
    assert await MatchRows(reconciler).allowed_markets() == {"BTC-EUR", "ETH-EUR", "SOL-EUR"}
