"""How many orders a user may send."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, ClassVar, Final

from policy.history import counts_as_trade, lack_of_history
from policy.limits import Whole
from policy.model import Facts, Verdict
from policy.rule import Case
from policy.verdict import denied, lacking, passed
from policy.window import DAY, HOUR, room_at, within

TRADE_CAP: Final = "TRADE_CAP"
ATTEMPT_CAP: Final = "ATTEMPT_CAP"

MAX_CAP: Final = 500


@dataclass(frozen=True, slots=True)
class _Count:
    """One cap against what counts for it, oldest first."""

    code: str
    key: str
    cap: int
    window: timedelta
    moments: tuple[datetime, ...]

    @property
    def is_full(self) -> bool:
        return len(self.moments) >= self.cap

    @property
    def free_at(self) -> datetime | None:
        return room_at(self.moments, self.window, self.cap)


@dataclass(frozen=True, slots=True)
class TradeCapsRule:
    """Caps a user's orders per rolling hour and day, and attempts per rolling hour; a cap of n admits exactly n.

    Windows run by claim time. Orders the exchange rejected or that were never placed count as attempts only.
    """

    name: ClassVar[str] = "trade_caps"
    codes: ClassVar[tuple[str, ...]] = (TRADE_CAP, ATTEMPT_CAP)

    per_hour: Annotated[int, Whole(1, MAX_CAP)]
    per_day: Annotated[int, Whole(1, MAX_CAP)]
    attempts_per_hour: Annotated[int, Whole(1, MAX_CAP)]

    def judge(self, case: Case) -> Verdict:
        """Compare three counts with three caps."""
        lack = lack_of_history(case.facts)
        if lack is not None:
            return lacking(self.name, lack)
        counts = self._counts(case.facts)
        observed = ", ".join(f"{one.key} {len(one.moments)}" for one in counts)
        limit = ", ".join(f"{one.key} {one.cap}" for one in counts)
        full = [one for one in counts if one.is_full]
        if not full:
            return passed(self.name, observed, limit, "there is room for one more order")
        message = "reached: " + ", ".join(one.key for one in full)
        free_at = max(moment for one in full if (moment := one.free_at) is not None)
        return denied(self.name, full[0].code, observed, limit, message, free_at)

    def _counts(self, facts: Facts) -> tuple[_Count, ...]:
        trades = [one.claimed_at for one in facts.executions if counts_as_trade(one)]
        attempts = [one.claimed_at for one in facts.executions]
        return (
            _Count(TRADE_CAP, "per_hour", self.per_hour, HOUR, within(trades, facts.now, HOUR)),
            _Count(TRADE_CAP, "per_day", self.per_day, DAY, within(trades, facts.now, DAY)),
            _Count(ATTEMPT_CAP, "attempts_per_hour", self.attempts_per_hour, HOUR, within(attempts, facts.now, HOUR)),
        )
