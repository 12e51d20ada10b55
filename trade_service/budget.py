"""BudgetService: model calls reserved before they are made, and what is left of every budget.

A reservation is a row; what is used is a count of rows, taken under the user's lock. There is no counter to drift.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from kernel.errors import NotFound, NotNow, StateViolation, Unavailable
from policy.budget import judge_reservation
from policy.history import value_counted
from policy.model import Verdict, VerdictOutcome
from policy.policy import Policy
from policy.rules.budget import BudgetRule
from policy.verdict import passed
from policy.window import DAY, HOUR
from trade_service import reasons
from trade_service.policies import PolicyBook
from trade_service.ports import BudgetStore, BudgetView
from trade_service.reservation import Outcome, Reservation, Window

ALREADY_RESERVED: Final = "ALREADY_RESERVED"
RULE: Final = "budget"
ONE: Final = Decimal(1)
RESERVE_ATTEMPTS_MAX: Final = 3
CONTENTION_RETRY_SECONDS: Final = 0.1


class Budget:
    """Reservations and what is left."""

    def __init__(self, store: BudgetStore, policies: PolicyBook) -> None:
        """Take the parts."""
        self._store = store
        self._policies = policies

    async def reserve(
        self, user_id: str, reservation_id: UUID, purpose: str, actor: str
    ) -> tuple[Reservation | None, bool, Verdict]:
        """Reserve one call. The second value is True only for the one answer that allows the call.

        A repeat answers the reservation as it is, False, and a PASS: the first answer was the one that allowed it.
        """
        verdicts: list[Verdict] = []

        def admit(view: BudgetView) -> bool:
            if view.generation != self._policies.generation:
                return False
            verdicts.append(judge_reservation(self._policies.for_user(user_id), view.reserved_at, view.now))
            return verdicts[-1].outcome is VerdictOutcome.PASS

        for _ in range(RESERVE_ATTEMPTS_MAX):
            reservation, created = await self._store.reserve(user_id, reservation_id, purpose, actor, admit)
            if reservation is not None or verdicts:
                return reservation, created, verdicts[-1] if verdicts else _repeated(reservation_id)
            await self._policies.refresh()
        message = "the policies in force kept changing; nothing was reserved"
        raise Unavailable(reasons.CONTENTION, message, retry_after_seconds=CONTENTION_RETRY_SECONDS)

    async def settle(self, user_id: str, reservation_id: UUID, outcome: Outcome) -> Reservation:
        """Say how a reserved call ended. A repeat with the same outcome answers the same.

        Raises:
            NotFound: no such reservation. NotNow: it was settled otherwise, or lapsed and NOT_SENT comes too late.
        """
        settled = await self._store.settle(user_id, reservation_id, outcome)
        if settled is None:
            raise NotFound(reasons.RESERVATION_NOT_FOUND, f"no reservation {reservation_id} of this user")
        reservation, changed = settled
        if not changed and reservation.outcome != outcome:
            message = f"the reservation is {reservation.outcome.status} already, with another outcome"
            violation = StateViolation("RESERVATION_STATUS", str(reservation.outcome.status), message)
            raise NotNow(reasons.RESERVATION_SETTLED, message, (violation,))
        return reservation

    async def left(self, user_id: str) -> tuple[tuple[Window, ...], str, datetime]:
        """Return every limited window, the policy's name (empty without one), and the moment of the count."""
        view = await self._store.budget(user_id)
        if view.generation != self._policies.generation:
            await self._policies.refresh()
        policy = self._policies.for_user(user_id)
        if not isinstance(policy, Policy):
            return (), "", view.now
        rule = next((one for one in policy.rules if isinstance(one, BudgetRule)), None)
        return tuple(_windows(rule, view)) if rule else (), policy.name, view.now


def _windows(rule: BudgetRule, view: BudgetView) -> Iterator[Window]:
    now = view.now
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    hour = [(at, ONE, at + HOUR) for at in view.reserved_at if now - at < HOUR]
    day = [(at, ONE, midnight + timedelta(days=1)) for at in view.reserved_at if at >= midnight]
    yield _window("gpt_calls per_hour", Decimal(rule.gpt_calls.per_hour), hour)
    yield _window("gpt_calls per_day", Decimal(rule.gpt_calls.per_day), day)
    for name, limit, span in (
        ("per_hour", rule.order_value.per_hour, HOUR),
        ("per_day", rule.order_value.per_day, DAY),
    ):
        if limit is not None:
            bought = [(one.claimed_at, value_counted(one), one.claimed_at + span) for one in view.executions]
            yield _window(f"order_value {name}", limit, [one for one in bought if one[1] and now - one[0] < span])


def _window(name: str, limit: Decimal, counted: Iterable[tuple[datetime, Decimal, datetime]]) -> Window:
    """Sum what counts: (since when, how much, until when)."""
    entries = list(counted)
    used = sum((amount for _, amount, _ in entries), Decimal(0))
    return Window(name, limit, used, max(limit - used, Decimal(0)), min((until for *_, until in entries), default=None))


def _repeated(reservation_id: UUID) -> Verdict:
    return passed(RULE, str(reservation_id), "one call a reservation", "reserved before", ALREADY_RESERVED)
