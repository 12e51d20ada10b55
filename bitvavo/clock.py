"""What time it is at the exchange, at the least: the timestamps of signed orders come from here.

trade_service feeds it the answers of ``GET /time``. The bound is safe whatever the network did: the exchange wrote
the answer before it arrived, so its clock now shows at least that time plus what has passed since the arrival.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Final

MAX_AGE_SECONDS: Final = 60.0
MAX_ROUND_TRIP_SECONDS: Final = 0.5


class ClockDoubt(StrEnum):
    """Why the exchange's time is unknown."""

    NEVER_ASKED = "never_asked"
    TOO_SLOW = "too_slow"  # every answer so far took longer than the bound
    TOO_OLD = "too_old"


class ExchangeClockUnknownError(Exception):
    """No bound on the exchange's time is good enough to sign an order with; `doubt` says why."""

    def __init__(self, doubt: ClockDoubt) -> None:
        """Keep the doubt."""
        super().__init__(doubt.value)
        self.doubt = doubt


class ExchangeClock:
    """A lower bound of the exchange's clock, from its last quick answer and the monotonic clock."""

    __slots__ = ("_doubt", "_monotonic", "_received_at", "_server_ms")

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """Take the clock that measures seconds since the answer arrived; it must not go back."""
        self._monotonic = monotonic
        self._server_ms = 0
        self._received_at: float | None = None
        self._doubt = ClockDoubt.NEVER_ASKED

    def observe(self, server_ms: int, sent_at: float, received_at: float) -> None:
        """Take one answer of ``GET /time`` with the monotonic seconds around it; a slow one changes nothing."""
        if received_at - sent_at > MAX_ROUND_TRIP_SECONDS:
            if self._received_at is None:
                self._doubt = ClockDoubt.TOO_SLOW
            return
        self._server_ms, self._received_at = server_ms, received_at

    def signed_timestamp_ms(self) -> int:
        """Return the lower bound of the exchange's Unix time in ms.

        Raises:
            ExchangeClockUnknownError: never asked, every answer too slow, or the last quick one older than 60 s.
        """
        if self._received_at is None:
            raise ExchangeClockUnknownError(self._doubt)
        age_seconds = self._monotonic() - self._received_at
        if age_seconds > MAX_AGE_SECONDS:
            raise ExchangeClockUnknownError(ClockDoubt.TOO_OLD)
        return self._server_ms + int(age_seconds * 1000)

    def read_timestamp_ms(self, wall_ms: int) -> int:
        """Return the time to sign reads and cancels with: the last bound however old, else this machine's clock.

        These must pass when no order may be signed, and a wrong time only gets them refused.
        """
        if self._received_at is None:
            return wall_ms
        return self._server_ms + int((self._monotonic() - self._received_at) * 1000)

    def age_seconds(self) -> float | None:
        """Return how long ago the last quick answer arrived; None before the first."""
        return None if self._received_at is None else self._monotonic() - self._received_at
