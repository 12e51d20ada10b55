from datetime import timedelta
from decimal import Decimal

import pytest

from policy.model import ExecutionStatus, Verdict
from tests.policy import given

CAPS = given.policy({"trade_caps": {"per_hour": "2", "per_day": "3", "attempts_per_hour": "4"}})


def judged(*agos: timedelta, status: ExecutionStatus = ExecutionStatus.FILLED) -> Verdict:
    executions = tuple(
        given.execution(given.limit(market="ETH-EUR"), ago=ago, number=number, status=status)
        for number, ago in enumerate(sorted(agos), start=2)
    )
    return given.verdict_of("trade_caps", CAPS, seen=given.facts(executions=executions))


MINUTE = timedelta(minutes=1)


def test_a_cap_of_two_admits_exactly_two() -> None:
    assert judged().code == "OK"
    assert judged(MINUTE).code == "OK"
    assert judged(MINUTE, 2 * MINUTE).code == "TRADE_CAP"
    assert judged(MINUTE, 2 * MINUTE, 3 * MINUTE).code == "TRADE_CAP"


@pytest.mark.parametrize("window", [given.HOUR, given.DAY])
@pytest.mark.parametrize(("past", "code"), [(-given.EPSILON, "TRADE_CAP"), (timedelta(0), "OK"), (given.EPSILON, "OK")])
def test_what_is_exactly_as_old_as_the_window_has_left_it(window: timedelta, past: timedelta, code: str) -> None:
    others = [MINUTE] if window == given.HOUR else [given.HOUR * 2, given.HOUR * 3]
    verdict = judged(*others, window + past)
    assert verdict.code == code
    assert verdict.next_possible_at == (given.NOW - past if code == "TRADE_CAP" else None)


def test_next_possible_is_when_enough_have_left_every_full_window() -> None:
    hour_only = judged(MINUTE, 2 * MINUTE, 3 * MINUTE - given.EPSILON)
    # Three within the hour and the day: one must leave the day, two must leave the hour.
    assert hour_only.next_possible_at == given.NOW - 3 * MINUTE + given.EPSILON + given.DAY
    assert judged(10 * MINUTE, 20 * MINUTE).next_possible_at == given.NOW + 40 * MINUTE


@pytest.mark.parametrize("status", ExecutionStatus)
def test_what_was_not_placed_counts_as_an_attempt_only(status: ExecutionStatus) -> None:
    refused = status in {ExecutionStatus.REJECTED, ExecutionStatus.NOT_PLACED}
    assert judged(MINUTE, 2 * MINUTE, status=status).code == ("OK" if refused else "TRADE_CAP")
    assert judged(*[MINUTE] * 3, status=status).code == ("OK" if refused else "TRADE_CAP")
    assert judged(*[MINUTE] * 4, status=status).code == ("ATTEMPT_CAP" if refused else "TRADE_CAP")


def test_an_order_cancelled_without_a_fill_counts() -> None:
    canceled = given.execution(status=ExecutionStatus.CANCELED, filled_amount=Decimal(0), ago=MINUTE)
    seen = given.facts(executions=(canceled, given.execution(ago=2 * MINUTE, number=3)))
    assert given.verdict_of("trade_caps", CAPS, seen=seen).code == "TRADE_CAP"


def test_attempts_leave_after_an_hour() -> None:
    verdict = judged(*[MINUTE] * 3, given.HOUR - given.EPSILON, status=ExecutionStatus.REJECTED)
    assert (verdict.code, verdict.next_possible_at) == ("ATTEMPT_CAP", given.NOW + given.EPSILON)
    assert judged(*[MINUTE] * 3, given.HOUR, status=ExecutionStatus.REJECTED).code == "OK"


def test_an_incomplete_history_denies() -> None:
    assert given.verdict_of("trade_caps", seen=given.facts(history_complete=False)).code == "FACT_MISSING"
