from datetime import timedelta
from decimal import Decimal

import pytest

from policy.model import ExecutionStatus, Side, Terms
from tests.policy import given

PERIOD = timedelta(hours=2)
SOLD = given.limit(Side.SELL)


@pytest.mark.parametrize(
    ("ago", "code"), [(PERIOD - given.EPSILON, "ANTI_FLIP"), (PERIOD, "OK"), (PERIOD + given.EPSILON, "OK")]
)
def test_exactly_after_the_period_the_opposite_order_is_admitted(ago: timedelta, code: str) -> None:
    sold = given.execution(SOLD, ago=ago)
    verdict = given.verdict_of("anti_flip", seen=given.facts(executions=(sold,)))
    assert verdict.code == code
    assert verdict.next_possible_at == (sold.claimed_at + PERIOD if code == "ANTI_FLIP" else None)


def test_it_runs_from_the_later_of_claim_and_last_fill() -> None:
    sold = given.execution(SOLD, ago=given.HOUR * 23, last_fill_at=given.NOW - given.HOUR)
    verdict = given.verdict_of("anti_flip", seen=given.facts(executions=(sold,)))
    assert (verdict.code, verdict.next_possible_at) == ("ANTI_FLIP", given.NOW + given.HOUR)


STATUSES = [
    (ExecutionStatus.SUBMITTING, "0", "OPPOSITE_ORDER_OPEN"),
    (ExecutionStatus.UNKNOWN, "0", "OPPOSITE_ORDER_OPEN"),
    (ExecutionStatus.SUBMITTED, "0", "OPPOSITE_ORDER_OPEN"),
    (ExecutionStatus.FILLED, "0.001", "ANTI_FLIP"),
    (ExecutionStatus.CANCELED, "0.0001", "ANTI_FLIP"),
    (ExecutionStatus.CANCELED, "0", "OK"),
    (ExecutionStatus.REJECTED, "0", "OK"),
    (ExecutionStatus.NOT_PLACED, "0", "OK"),
]


@pytest.mark.parametrize(("status", "filled", "code"), STATUSES)
def test_what_traded_or_still_may_counts(status: ExecutionStatus, filled: str, code: str) -> None:
    sold = given.execution(SOLD, ago=timedelta(minutes=1), status=status, filled_amount=Decimal(filled))
    assert given.verdict_of("anti_flip", seen=given.facts(executions=(sold,))).code == code


def test_an_open_opposite_order_denies_however_old_and_time_does_not_help() -> None:
    resting = given.execution(SOLD, ago=given.DAY * 9, status=ExecutionStatus.SUBMITTED)
    verdict = given.verdict_of("anti_flip", seen=given.facts(executions=(resting,)))
    assert (verdict.code, verdict.next_possible_at) == ("OPPOSITE_ORDER_OPEN", None)


def test_a_buy_keeps_a_sell_away_as_well() -> None:
    bought = given.execution(ago=timedelta(minutes=1))
    judged, seen = given.proposal(given.limit(Side.SELL)), given.facts(executions=(bought,))
    assert given.verdict_of("anti_flip", None, judged, seen).code == "ANTI_FLIP"


@pytest.mark.parametrize("terms", [given.limit(), given.limit(Side.SELL, market="ETH-EUR")])
def test_the_same_side_and_other_markets_do_not_count(terms: Terms) -> None:
    earlier = given.execution(terms, ago=timedelta(minutes=1))
    assert given.verdict_of("anti_flip", seen=given.facts(executions=(earlier,))).code == "OK"


def test_an_incomplete_history_denies() -> None:
    assert given.verdict_of("anti_flip", seen=given.facts(history_complete=False)).code == "FACT_MISSING"
