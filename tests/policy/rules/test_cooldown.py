from datetime import timedelta
from decimal import Decimal

import pytest

from policy.model import ExecutionStatus, Side
from tests.policy import given

PERIOD = timedelta(minutes=30)


@pytest.mark.parametrize(
    ("ago", "code"), [(PERIOD - given.EPSILON, "COOLDOWN"), (PERIOD, "OK"), (PERIOD + given.EPSILON, "OK")]
)
def test_exactly_after_the_period_the_next_order_is_admitted(ago: timedelta, code: str) -> None:
    earlier = given.execution(ago=ago)
    verdict = given.verdict_of("cooldown", seen=given.facts(executions=(earlier,)))
    assert verdict.code == code
    assert verdict.next_possible_at == (earlier.claimed_at + PERIOD if code == "COOLDOWN" else None)


def test_it_runs_from_the_later_of_claim_and_last_fill() -> None:
    filled = given.execution(ago=given.HOUR * 20, last_fill_at=given.NOW - timedelta(minutes=29))
    verdict = given.verdict_of("cooldown", seen=given.facts(executions=(filled,)))
    assert (verdict.code, verdict.next_possible_at) == ("COOLDOWN", given.NOW + timedelta(minutes=1))
    refilled = given.execution(ago=timedelta(minutes=29), last_fill_at=given.NOW - given.HOUR)
    assert given.verdict_of("cooldown", seen=given.facts(executions=(refilled,))).code == "COOLDOWN"


@pytest.mark.parametrize("status", ExecutionStatus)
def test_all_but_rejected_and_never_placed_orders_count(status: ExecutionStatus) -> None:
    earlier = given.execution(status=status, ago=timedelta(minutes=1), filled_amount=Decimal(0))
    code = given.verdict_of("cooldown", seen=given.facts(executions=(earlier,))).code
    assert code == ("OK" if status in {ExecutionStatus.REJECTED, ExecutionStatus.NOT_PLACED} else "COOLDOWN")


@pytest.mark.parametrize(("per", "code"), [("market", "OK"), ("user", "COOLDOWN")])
def test_it_covers_one_market_or_the_whole_user(per: str, code: str) -> None:
    judged_by = given.policy({"cooldown": {"per": per, "period": "30m"}})
    elsewhere = given.execution(given.limit(market="ETH-EUR"), ago=timedelta(minutes=1))
    assert given.verdict_of("cooldown", judged_by, seen=given.facts(executions=(elsewhere,))).code == code


def test_it_covers_both_sides() -> None:
    sold = given.execution(given.limit(Side.SELL), ago=timedelta(minutes=1))
    assert given.verdict_of("cooldown", seen=given.facts(executions=(sold,))).code == "COOLDOWN"


def test_an_order_later_than_now_still_holds() -> None:
    later = given.execution(ago=timedelta(seconds=-1))
    assert given.verdict_of("cooldown", seen=given.facts(executions=(later,))).code == "COOLDOWN"


def test_an_incomplete_history_denies() -> None:
    assert given.verdict_of("cooldown", seen=given.facts(history_complete=False)).code == "FACT_MISSING"
