"""The match with an exchange, a database and a clock written by hand: what it reads, when, and what follows."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise

import pytest

from kernel.alarms import Alarm, add_sink
from kernel.errors import Unavailable
from policy.model import Scope, State
from tests.trade_service.match_stage import MADE_AT, NOW_MS, Stage, order
from trade_service.match import DAY_MS, FOLLOW_UP_SECONDS, OVERLAP_MS, RETRY_SECONDS, WATCH_SECONDS

DOWN = Unavailable("EXCHANGE_UNAVAILABLE", "down", retry_after_seconds=2.0)


@pytest.fixture
def alarms() -> Iterator[list[Alarm]]:
    """Every alarm raised; none is held back as a repeat of another test's."""
    import kernel.alarms  # noqa: PLC0415 - to forget what was told

    kernel.alarms._told.clear()
    raised: list[Alarm] = []
    remove = add_sink(raised.append)
    yield raised
    remove()


async def test_claims_wait_for_the_match_and_begin_once_every_order_has_its_row() -> None:
    stage = Stage()
    stage.account.listed = stage.store.rows = [order(1), order(2)]
    assert stage.told().reason == "NOT_READY"
    await stage.round()
    assert stage.matched()


@pytest.mark.parametrize("where", ["listed", "opened"])
async def test_an_order_of_ours_without_a_row_freezes_and_is_named(where: str, alarms: list[Alarm]) -> None:
    stage = Stage()
    setattr(stage.account, where, [order(number) for number in range(1, 8)])
    stage.store.rows = [order(1)]
    await stage.round()
    told = stage.told()
    assert (told.reason, told.metadata, told.retry_after_seconds) == ("ACCOUNT_NOT_MATCHED", {"orders": "6"}, 60.0)
    (alarm,) = alarms
    assert alarm.code == "ACCOUNT_NOT_MATCHED"
    assert str(order(2)) in alarm.message
    assert alarm.message.endswith("and 1 more")
    assert str(order(2)) not in told.message, "whose orders they are is no caller's business"


async def test_when_the_rows_are_back_it_trades_again_without_a_restart() -> None:
    stage = Stage()
    stage.account.listed = [order(1), order(2)]
    await stage.round()
    stage.store.rows, stage.store.asked = [order(1)], 0
    assert await stage.round(5.0) == 0, "the database is asked, the exchange is not"
    assert (stage.store.asked, stage.matched()) == (1, False)
    stage.store.rows = [order(1), order(2)]
    assert await stage.round(4.0) == 0
    assert not stage.matched()
    assert await stage.round(1.0) == 1, "then the account is looked at once more"
    assert stage.matched()


async def test_waiting_does_not_thaw_the_look_begins_at_the_newest_claim_however_long_ago() -> None:
    stage = Stage()
    stage.store.newest = NOW_MS - 3 * DAY_MS
    stage.account.listed = [order(1)]
    for days_later, spans_asked in ((0, 4), (1, 5), (5, 10)):
        assert await stage.round(days_later * DAY_MS / 1000) == spans_asked
        spans = sorted((start, end) for _, start, end in stage.account.asked)
        assert spans[0][0] == stage.store.newest - OVERLAP_MS
        assert spans[-1][1] == stage.account.clock_ms
        assert all(end == start for (_, end), (start, _) in pairwise(spans))
        assert all(end - start <= DAY_MS for start, end in spans)
        assert not stage.matched()


@pytest.mark.parametrize("newest", [None, NOW_MS - 1000, NOW_MS - DAY_MS + OVERLAP_MS])
async def test_a_day_is_looked_at_in_any_case(newest: int | None) -> None:
    stage = Stage()
    stage.store.newest = newest
    await stage.round()
    assert stage.account.asked == [("BTC-EUR", NOW_MS - DAY_MS, NOW_MS)]


async def test_markets_are_those_policies_ever_allowed_those_of_the_directory_and_those_of_open_orders() -> None:
    stage = Stage(listed=frozenset({"ETH-EUR", "BTC-EUR"}))
    stage.account.opened = stage.store.rows = [order(1, market="SOL-EUR")]
    await stage.round()
    assert [market for market, _, _ in stage.account.asked] == ["BTC-EUR", "ETH-EUR", "SOL-EUR"]


async def test_an_order_that_shows_up_late_is_found_by_the_second_look() -> None:
    stage = Stage()
    await stage.round()
    assert stage.matched()
    stage.account.listed = [order(1)]
    assert await stage.round(FOLLOW_UP_SECONDS - 1) == 0
    assert await stage.round(1) == 1
    assert stage.account.asked[0][1] == NOW_MS - OVERLAP_MS
    assert not stage.matched()


async def test_afterwards_it_looks_every_ten_minutes_a_little_further_back_than_the_last_time() -> None:
    stage = Stage()
    await stage.round()
    await stage.round(FOLLOW_UP_SECONDS)
    followed_up_ms = stage.account.clock_ms or 0
    assert await stage.round(WATCH_SECONDS - 1) == 0
    assert await stage.round(1) == 1
    assert stage.account.asked == [("BTC-EUR", followed_up_ms - OVERLAP_MS, stage.account.clock_ms)]
    assert stage.matched()


async def test_another_database_is_matched_as_at_a_start_and_the_same_one_is_not() -> None:
    stage = Stage()
    stage.match.note_database("a")
    await stage.round()
    assert stage.matched()
    stage.match.note_database("a")
    assert stage.matched()
    assert await stage.round(1) == 0
    stage.store.newest = NOW_MS - 2 * DAY_MS
    stage.match.note_database("b")
    assert not stage.matched(), "at once, before anything is done over the new connection"
    assert await stage.round(1) == 3
    assert stage.matched()


async def test_a_look_that_began_on_another_database_proves_nothing() -> None:
    stage = Stage()

    async def meanwhile(*_: object) -> frozenset[str]:
        stage.match.note_database("b")
        return frozenset({"BTC-EUR"})

    stage.match.note_database("a")
    before, stage.store.allowed_markets = stage.store.allowed_markets, meanwhile  # type: ignore[method-assign]
    assert await stage.round() == 1
    assert not stage.matched()
    stage.store.allowed_markets = before  # type: ignore[method-assign]
    assert await stage.round(1) == 1
    assert stage.matched()


async def test_a_frozen_replica_takes_the_database_that_has_the_rows() -> None:
    stage = Stage()
    stage.match.note_database("a")
    stage.account.listed = [order(1)]
    await stage.round()
    assert not stage.matched()
    stage.store.rows = [order(1)]
    stage.match.note_database("b")
    assert await stage.round(1) == 1
    assert stage.matched()


@pytest.mark.parametrize("broken", ["exchange", "clock"])
async def test_an_exchange_that_does_not_answer_keeps_claims_waiting_and_says_so(broken: str) -> None:
    stage = Stage()
    if broken == "clock":
        stage.account.clock_ms = None
    else:
        stage.account.failure = DOWN
    await stage.round()
    assert stage.told().reason == "EXCHANGE_UNAVAILABLE"
    stage.account.failure, stage.account.clock_ms = None, NOW_MS
    assert await stage.round(2.0) == 1
    assert stage.matched()


async def test_once_matched_an_exchange_that_fails_costs_no_claim_and_few_points() -> None:
    stage = Stage()
    await stage.round()
    stage.account.failure = DOWN
    await stage.round(FOLLOW_UP_SECONDS)
    assert stage.matched()
    stage.account.failure = None
    assert await stage.round(RETRY_SECONDS - 1) == 0
    assert await stage.round(1) == 1


async def test_a_failed_look_does_not_thaw_and_keeps_saying_why() -> None:
    stage = Stage()
    stage.account.listed = [order(1)]
    await stage.round()
    stage.account.failure = DOWN
    await stage.round(WATCH_SECONDS)
    assert stage.told().reason == "ACCOUNT_NOT_MATCHED"


@pytest.mark.parametrize("operator_id", [8, 0, None])
async def test_an_order_of_somebody_else_is_told_once_and_freezes_nothing(
    operator_id: int | None, alarms: list[Alarm]
) -> None:
    stage = Stage()
    stage.account.opened = [order(1, operator_id)]
    for seconds in (0.0, FOLLOW_UP_SECONDS, WATCH_SECONDS):
        await stage.round(seconds)
    assert stage.matched()
    assert [alarm.code for alarm in alarms] == ["FOREIGN_ORDERS"]
    assert str(order(1)) in alarms[0].message
    assert stage.board.settings == []


async def test_if_wished_orders_of_somebody_else_halt_trading_before_a_claim_is_made() -> None:
    stage = Stage(halts=True)
    stage.board.cancels = True
    stage.account.opened = [order(1, 8)]
    await stage.round()
    ((setting, actor),) = stage.board.settings
    assert (setting.scope, setting.state, setting.cancel_open_orders, actor) == (
        *(Scope.GLOBAL, State.HALTED, True, "system"),
    )
    assert str(order(1)) in setting.reason


@pytest.mark.parametrize(
    ("minutes_after", "halted"),
    [(-1, True), (1, False)],
    ids=["let go on before the order was made", "let go on after it"],
)
async def test_at_a_start_what_was_looked_into_halts_no_second_time(minutes_after: int, *, halted: bool) -> None:
    stage = Stage(halts=True)
    stage.board.changed_at = MADE_AT + timedelta(minutes=minutes_after)
    stage.account.listed = [order(1, 8)]
    await stage.round()
    assert bool(stage.board.settings) is halted


async def test_later_every_new_order_of_somebody_else_halts_again_and_a_known_one_does_not() -> None:
    stage = Stage(halts=True)
    await stage.round()
    stage.account.opened = [order(1, 8)]
    await stage.round(FOLLOW_UP_SECONDS)
    assert len(stage.board.settings) == 1
    stage.board.state, stage.board.changed_at = State.ACTIVE, MADE_AT + timedelta(days=1)
    await stage.round(WATCH_SECONDS)
    assert len(stage.board.settings) == 1
    stage.account.opened.append(order(2, 8))
    await stage.round(WATCH_SECONDS)
    assert len(stage.board.settings) == 2


async def test_what_is_halted_stays_as_it_is() -> None:
    stage = Stage(halts=True)
    stage.board.state = State.HALTED
    stage.account.opened = [order(1, 8)]
    await stage.round()
    assert stage.board.settings == []
