from datetime import UTC, datetime, timedelta, timezone

import pytest

from policy.budget import judge_reservation
from policy.policy import MissingReason, PolicyMissing
from tests.policy import given

POLICY = given.policy({"budget": {"gpt_calls": {"per_hour": "2", "per_day": "4"}, "order_value": {"per_day": "0"}}})
NOW = datetime(2026, 9, 24, 23, 30, tzinfo=UTC)
MIDNIGHT = datetime(2026, 9, 25, tzinfo=UTC)
HOUR = given.HOUR
MINUTE = timedelta(minutes=1)

CASES = [
    ([], 1, "OK", None),
    ([], 2, "OK", None),
    ([], 3, "BUDGET_GPT_CALLS", None),
    ([MINUTE], 1, "OK", None),
    ([MINUTE], 2, "BUDGET_GPT_CALLS", NOW + HOUR - MINUTE),
    ([MINUTE, 2 * MINUTE], 1, "BUDGET_GPT_CALLS", NOW + HOUR - 2 * MINUTE),
    ([MINUTE, HOUR - given.EPSILON], 1, "BUDGET_GPT_CALLS", NOW + given.EPSILON),
    ([MINUTE, HOUR], 1, "OK", None),
    ([2 * HOUR, 3 * HOUR, 4 * HOUR, 5 * HOUR], 1, "BUDGET_GPT_CALLS", MIDNIGHT),
    ([2 * HOUR, 3 * HOUR, 4 * HOUR, NOW - MIDNIGHT + 24 * HOUR], 1, "BUDGET_GPT_CALLS", MIDNIGHT),
    ([2 * HOUR, 3 * HOUR, 4 * HOUR, NOW - MIDNIGHT + 24 * HOUR + given.EPSILON], 1, "OK", None),
    # Full by the hour and by the day: the later of the two.
    ([MINUTE, 2 * MINUTE, 3 * HOUR, 4 * HOUR], 1, "BUDGET_GPT_CALLS", NOW + HOUR - 2 * MINUTE),
    ([50 * MINUTE, 55 * MINUTE, 3 * HOUR, 4 * HOUR], 1, "BUDGET_GPT_CALLS", MIDNIGHT),
]


@pytest.mark.parametrize(("agos", "calls", "code", "next_possible_at"), CASES)
def test_calls_stay_within_the_rolling_hour_and_the_utc_day(
    agos: list[timedelta], calls: int, code: str, next_possible_at: datetime | None
) -> None:
    verdict = judge_reservation(POLICY, tuple(NOW - ago for ago in agos), NOW, calls)
    assert (verdict.rule, verdict.code, verdict.next_possible_at) == ("budget", code, next_possible_at)


def test_the_day_is_the_utc_day_wherever_now_was_written() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=2)))
    calls = tuple(NOW - hours * HOUR for hours in (2, 3, 4, 5))
    assert judge_reservation(POLICY, calls, elsewhere).next_possible_at == MIDNIGHT


@pytest.mark.parametrize("reason", MissingReason)
def test_without_a_policy_no_call_is_reserved(reason: MissingReason) -> None:
    assert judge_reservation(PolicyMissing(reason), (), NOW).code == reason


def test_a_budget_of_none_admits_none() -> None:
    none = given.policy({"budget": {"gpt_calls": {"per_hour": "0", "per_day": "0"}, "order_value": {"per_day": "0"}}})
    verdict = judge_reservation(none, (), NOW)
    assert (verdict.code, verdict.next_possible_at) == ("BUDGET_GPT_CALLS", None)


def test_a_disabled_budget_says_why() -> None:
    verdict = judge_reservation(given.policy({"budget": {"disabled": "free model"}}), (), NOW)
    assert (verdict.code, verdict.message) == ("DISABLED", "free model")


def test_no_calls_at_all_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        judge_reservation(POLICY, (), NOW, 0)
