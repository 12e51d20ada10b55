from datetime import timedelta
from decimal import Decimal

import pytest

from policy.model import ExecutionStatus, Side, Verdict
from tests.policy import given

CALLS = {"per_hour": "3", "per_day": "10"}
BUDGET = given.policy({"budget": {"gpt_calls": CALLS, "order_value": {"per_hour": "150", "per_day": "300"}}})
MINUTE = timedelta(minutes=1)


def judged(*spent: tuple[timedelta, str], wanted: str = "100") -> Verdict:
    executions = tuple(
        given.execution(ago=ago, number=number, filled_value=Decimal(value))
        for number, (ago, value) in enumerate(spent, start=2)
    )
    return given.verdict_of(
        "budget", BUDGET, given.proposal(given.market_buy(wanted)), given.facts(executions=executions)
    )


@pytest.mark.parametrize(("spent", "code"), [("49.99", "OK"), ("50", "OK"), ("50.01", "BUDGET_ORDER_VALUE")])
def test_a_budget_admits_exactly_its_value(spent: str, code: str) -> None:
    assert judged((MINUTE, spent)).code == code


@pytest.mark.parametrize("window", [given.HOUR, given.DAY])
@pytest.mark.parametrize(
    ("past", "code"), [(-given.EPSILON, "BUDGET_ORDER_VALUE"), (timedelta(0), "OK"), (given.EPSILON, "OK")]
)
def test_what_is_exactly_as_old_as_the_window_has_left_it(window: timedelta, past: timedelta, code: str) -> None:
    spent = "100" if window == given.HOUR else "250"
    verdict = judged((window + past, spent))
    assert verdict.code == code
    assert verdict.next_possible_at == (given.NOW - past if code != "OK" else None)


def test_next_possible_is_when_enough_has_left() -> None:
    verdict = judged((50 * MINUTE, "40"), (40 * MINUTE, "40"), (MINUTE, "50"))
    assert verdict.next_possible_at == given.NOW + 20 * MINUTE


def test_an_order_above_the_budget_never_fits() -> None:
    verdict = judged(wanted="150.01")
    assert (verdict.code, verdict.next_possible_at) == ("BUDGET_ORDER_VALUE", None)


STATUSES = [
    (ExecutionStatus.SUBMITTING, "90"),
    (ExecutionStatus.UNKNOWN, "90"),
    (ExecutionStatus.SUBMITTED, "90"),
    (ExecutionStatus.FILLED, "60"),
    (ExecutionStatus.CANCELED, "60"),
    (ExecutionStatus.REJECTED, "0"),
    (ExecutionStatus.NOT_PLACED, "0"),
]


@pytest.mark.parametrize(("status", "counted"), STATUSES)
def test_open_orders_count_their_worst_case_and_closed_ones_what_was_filled(
    status: ExecutionStatus, counted: str
) -> None:
    earlier = given.execution(ago=MINUTE, status=status, worst_value=Decimal(90), filled_value=Decimal(60))
    verdict = given.verdict_of("budget", BUDGET, seen=given.facts(executions=(earlier,)))
    assert verdict.observed.startswith(f"per_hour {counted} +")


def test_sells_take_nothing() -> None:
    sold = given.execution(given.limit(Side.SELL), ago=MINUTE, filled_value=Decimal(1000))
    assert given.verdict_of("budget", BUDGET, seen=given.facts(executions=(sold,))).code == "OK"
    bought = given.execution(ago=MINUTE, filled_value=Decimal(1000))
    judged, seen = given.proposal(given.limit(Side.SELL)), given.facts(executions=(bought,))
    assert given.verdict_of("budget", BUDGET, judged, seen).code == "OK"


def test_an_incomplete_history_denies() -> None:
    assert given.verdict_of("budget", seen=given.facts(history_complete=False)).code == "FACT_MISSING"
