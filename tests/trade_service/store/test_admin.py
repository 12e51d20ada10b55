"""The kill switch and the policies in force, on a real database."""

import asyncio

import psycopg
import pytest

from kernel.alarms import Alarm
from kernel.db import Database
from kernel.errors import Forbidden, Invalid, NotFound, NotNow
from policy.model import Scope, State
from policy.policy import MissingReason, Policy, PolicyMissing, canonical_json
from tests.fixtures.database import Database as OwnDatabase
from tests.policy import given as rules
from tests.trade_service import given
from tests.trade_service.given import Read
from trade_service.claiming import Claimed
from trade_service.policies import PolicyBook
from trade_service.ports import PolicyRow
from trade_service.reload import Reload
from trade_service.store.admin import AdminRows
from trade_service.store.alarms import AlarmRows
from trade_service.switch import Setting
from trade_service.trading_state import TradingStates


def setting(
    state: State, scope: Scope = Scope.GLOBAL, subject: str = "", *, cancels: bool = False, seen: int = 0
) -> Setting:
    return Setting(scope, subject, state, cancels, "because", seen)


def anybody() -> None:
    """Somebody with the right to loosen."""


def nobody() -> None:
    raise Forbidden("RIGHT_MISSING", "no")


async def test_a_switch_gets_stricter_at_once_and_looser_only_by_who_says_what_he_replaces(database: Database) -> None:
    states = TradingStates(AdminRows(database))
    halted = await states.set(setting(State.HALTED), "carol", nobody)
    assert (halted.state, halted.generation, halted.actor) == (State.HALTED, 2, "carol")
    with pytest.raises(Forbidden):
        await states.set(setting(State.ACTIVE, seen=2), "bot", nobody)
    with pytest.raises(NotNow, match="expected_generation=2"):
        await states.set(setting(State.ACTIVE, seen=1), "carol", anybody)
    assert (await states.board())[0] == halted
    active = await states.set(setting(State.ACTIVE, seen=2), "carol", anybody)
    assert (active.state, active.generation) == (State.ACTIVE, 3)


async def test_to_stop_cancelling_is_looser_too(database: Database) -> None:
    states = TradingStates(AdminRows(database))
    await states.set(setting(State.HALTED, cancels=True), "carol", nobody)
    with pytest.raises(Forbidden):
        await states.set(setting(State.HALTED), "bot", nobody)


@pytest.mark.parametrize(
    ("scope", "subject"),
    [(Scope.GLOBAL, "alice"), (Scope.MARKET, ""), (Scope.MARKET, "btc-eur"), (Scope.USER, ""), (Scope.USER, "Alice")],
)
async def test_a_switch_names_what_it_covers(database: Database, scope: Scope, subject: str) -> None:
    with pytest.raises(Invalid):
        await TradingStates(AdminRows(database)).set(setting(State.HALTED, scope, subject), "carol", anybody)


async def test_racing_settings_of_one_switch_are_numbered_without_a_gap(database: Database) -> None:
    states = TradingStates(AdminRows(database))
    wanted = setting(State.HALTED, Scope.MARKET, "BTC-EUR")
    results = await given.together(*(states.set(wanted, f"a{number}", nobody) for number in range(8)))
    generations = sorted(each.generation for each in results if not isinstance(each, Exception))
    assert generations == list(range(1, 9))


@pytest.mark.parametrize(
    ("wanted", "stands"),
    [(State.REDUCE_ONLY, State.HALTED), (State.ACTIVE, State.HALTED), (State.HALTED, State.HALTED)],
)
async def test_a_switch_set_meanwhile_for_the_first_time_is_not_loosened_unseen(
    trade_database: OwnDatabase, database: Database, sql: Read, wanted: State, stands: State
) -> None:
    """There was no row to lock when it was looked at."""
    states = TradingStates(AdminRows(database))
    with psycopg.connect(trade_database.admin) as other:
        other.execute(
            "INSERT INTO trading_state (scope, subject, state, generation, reason, actor)"
            " VALUES ('USER', 'bob', 'HALTED', 1, 'r', 'carol')"
        )
        late = asyncio.create_task(given.outcome(states.set(setting(wanted, Scope.USER, "bob"), "dora", nobody)))
        waiting = (
            "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%%INTO trading_state%%'"
        )
        async with asyncio.timeout(10):
            while not sql(waiting):  # noqa: ASYNC110 - the server tells nobody
                await asyncio.sleep(0.02)
    result = await late
    assert isinstance(result, Forbidden) == (wanted is not State.HALTED), result
    assert sql("SELECT state FROM trading_state WHERE subject = 'bob'") == [(stands,)]


async def test_of_two_who_loosen_the_same_generation_one_succeeds(database: Database) -> None:
    states = TradingStates(AdminRows(database))
    await states.set(setting(State.HALTED), "carol", nobody)
    wanted = setting(State.ACTIVE, seen=2)
    results = await given.together(*(states.set(wanted, "carol", anybody) for _ in range(2)))
    refused = [each for each in results if isinstance(each, Exception)]
    assert len(refused) <= 1
    assert (await states.board())[0].state is State.ACTIVE


async def test_the_switch_does_not_wait_for_a_claim_nor_a_claim_for_the_switch(
    trade_database: OwnDatabase, database: Database
) -> None:
    states, proposal = TradingStates(AdminRows(database)), await given.submitted(database)
    with psycopg.connect(trade_database.admin) as holder:
        holder.execute("SELECT FROM users WHERE user_id = 'alice' FOR UPDATE")
        async with asyncio.timeout(1):
            await states.set(setting(State.HALTED), "carol", nobody)
    with psycopg.connect(trade_database.admin) as holder:
        holder.execute("UPDATE trading_state SET reason = 'held'")
        async with asyncio.timeout(1):
            assert isinstance(await given.claim(database, proposal), Claimed)


async def test_no_claim_after_the_switch_has_answered(database: Database, sql: Read) -> None:
    states = TradingStates(AdminRows(database))
    proposals = [await given.submitted(database, given.content(user_id=f"u{number}")) for number in range(32)]
    claims = [asyncio.create_task(given.claim(database, each, given.judged_by())) for each in proposals]
    halted = await states.set(setting(State.HALTED), "carol", nobody)
    await asyncio.gather(*claims)
    late = "SELECT count(*) FROM trade_executions WHERE claimed_at > %s + interval '100 ms'"
    assert sql(late, halted.changed_at) == [(0,)]
    after = await given.submitted(database, given.content(user_id="late"))
    assert not isinstance(await given.claim(database, after, given.judged_by()), Claimed)


def row(policy: Policy) -> PolicyRow:
    return PolicyRow(policy.sha256, policy.name, policy.users, canonical_json(policy))


ALICES = rules.policy()
BOBS = rules.policy(name="other", applies_to={"users": ["bob"]})


async def test_the_generation_moves_only_when_something_changed(database: Database) -> None:
    admin = AdminRows(database)
    assert await admin.policies_in_force() is None
    first, changed = await admin.put_in_force([row(ALICES), row(BOBS)], "carol")
    again, repeated = await admin.put_in_force([row(BOBS), row(ALICES)], "dora")
    assert (first.generation, changed, repeated, again) == (1, True, False, first)
    second, _ = await admin.put_in_force([row(ALICES)], "carol")
    assert (second.generation, [each.name for each in second.policies]) == (2, ["tested"])
    assert await admin.policies_in_force() == second
    assert await admin.policies_in_force(1) == first
    assert await admin.policies_in_force(9) is None
    assert (await admin.put_in_force([], "carol"))[0].policies == ()


async def test_racing_reloads_move_the_generation_once(database: Database, sql: Read) -> None:
    admin = AdminRows(database)
    results = await given.together(*(admin.put_in_force([row(ALICES)], "carol") for _ in range(8)))
    assert sorted(each[1] for each in results if not isinstance(each, Exception)) == [False] * 7 + [True]
    assert sql("SELECT generation FROM policy_sets") == [(1,)]


async def test_a_policy_is_found_by_its_hash_also_when_no_longer_in_force(database: Database) -> None:
    admin = AdminRows(database)
    await admin.put_in_force([row(ALICES)], "carol")
    await admin.put_in_force([row(BOBS)], "carol")
    found = await admin.policy(ALICES.sha256)
    assert found is not None
    assert found.canonical_json == canonical_json(ALICES)
    assert await admin.policy("0" * 64) is None


async def test_the_book_takes_what_the_database_says(database: Database) -> None:
    admin = AdminRows(database)
    book, elsewhere = PolicyBook(admin), PolicyBook(admin)
    assert book.for_user("alice") == PolicyMissing(MissingReason.NO_POLICY)
    await Reload(admin, elsewhere, lambda: (ALICES,)).load_at_start()
    await book.refresh()
    assert (book.generation, book.for_user("alice")) == (1, ALICES)
    assert await book.row_for("alice") == ((await admin.policy(ALICES.sha256)), 1)
    with pytest.raises(NotFound):
        await book.row_for("bob")
    await Reload(admin, elsewhere, lambda: (BOBS,)).load_at_start()
    assert elsewhere.for_user("alice") == ALICES


async def test_one_policy_that_cannot_be_read_makes_all_of_them_missing(database: Database) -> None:
    admin = AdminRows(database)
    await admin.put_in_force([row(ALICES), PolicyRow("f" * 64, "broken", ("bob",), '{"kind": "later"}')], "carol")
    book = PolicyBook(admin)
    await book.refresh()
    assert {book.for_user(each) for each in ("alice", "bob")} == {PolicyMissing(MissingReason.POLICY_NOT_LOADED)}


async def test_a_deployment_keeps_its_id(database: Database, sql: Read) -> None:
    assert sql("SELECT deployment_id FROM deployment") == [(await AdminRows(database).deployment_id(),)]


async def test_an_alarm_becomes_a_row(database: Database, sql: Read) -> None:
    alarms = AlarmRows(database)
    alarms.offer(Alarm("CODE", "what happened", "subject", {}, 0))
    task = asyncio.create_task(alarms.forever())
    async with asyncio.timeout(5):
        while not sql("SELECT 1 FROM alarms"):  # noqa: ASYNC110 - the store tells nobody
            await asyncio.sleep(0.02)
    task.cancel()
    assert sql("SELECT code, subject, message FROM alarms") == [("CODE", "subject", "what happened")]
