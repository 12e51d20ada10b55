"""Whether a model call may be reserved. Called by `trade_service` under the user's lock, before it inserts."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from policy.model import Verdict
from policy.policy import Disabled, Policy, PolicyMissing
from policy.rules.budget import BUDGET_GPT_CALLS, BudgetRule
from policy.verdict import DISABLED, denied, passed
from policy.window import HOUR, room_at, within


def judge_reservation(
    policy: Policy | PolicyMissing, reserved_at: Sequence[datetime], now: datetime, calls: int = 1
) -> Verdict:
    """Judge the reservation of `calls` model calls at `now`, against the times of the calls that count already.

    Per hour is the rolling 60 minutes, per day the UTC day. A budget of n admits exactly n.

    Raises:
        ValueError: `calls` below 1.
    """
    if calls < 1:
        message = "calls must be at least 1"
        raise ValueError(message)
    if isinstance(policy, PolicyMissing):
        return denied(BudgetRule.name, policy.reason.value, "no policy", "exactly one", "no policy, no model call")
    for rule in policy.rules:
        if isinstance(rule, BudgetRule):
            return _judge(rule, reserved_at, now, calls)
        if isinstance(rule, Disabled) and rule.name == BudgetRule.name:
            return passed(BudgetRule.name, "disabled", "disabled", rule.reason, DISABLED)
    message = "a policy carries the budget rule"
    raise AssertionError(message)


def _judge(rule: BudgetRule, reserved_at: Sequence[datetime], now: datetime, calls: int) -> Verdict:
    budget = rule.gpt_calls
    hour = within(reserved_at, now, HOUR)
    day = [moment for moment in reserved_at if moment >= _utc_midnight(now)]
    observed = f"per_hour {len(hour)} + {calls}, per_day {len(day)} + {calls}"
    limit = f"per_hour {budget.per_hour}, per_day {budget.per_day}"
    free_at = []
    if len(hour) + calls > budget.per_hour:
        free_at.append(room_at(hour, HOUR, budget.per_hour, calls))
    if len(day) + calls > budget.per_day:
        free_at.append(_utc_midnight(now) + timedelta(days=1) if calls <= budget.per_day else None)
    if not free_at:
        return passed(rule.name, observed, limit, "the calls fit the budget")
    moments = [moment for moment in free_at if moment is not None]
    next_possible_at = max(moments) if len(moments) == len(free_at) else None
    message = "the budget of model calls is used up"
    return denied(rule.name, BUDGET_GPT_CALLS, observed, limit, message, next_possible_at)


def _utc_midnight(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
