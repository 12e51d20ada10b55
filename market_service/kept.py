"""Decides whether a question to the exchange is answered from memory, by a request under way, or by a new one.

Every use case reads the exchange through a `Kept`. However many callers ask, one key costs at most one request at a
time and one per `pause_seconds`, failed ones included: nobody can spend the exchange's points by asking often.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Generic, TypeVar

from kernel.errors import Exhausted, Failure, NotNow, StateViolation
from kernel.telemetry import counter
from market_service.model import Answer, Freshness, Quality
from market_service.reasons import TOO_OLD

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

NEVER: Final = float("-inf")
MAX_FLIGHTS_PER_CALL: Final = 2
"""One that was under way, and may be too old on arrival or be one that its maker cannot pay; then one of its own."""

_READS: Final = counter("market_reads_total", "Questions, by kind of data and how they were answered.", ["kind", "how"])


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of data is kept.

    Up to `fresh_seconds` it is answered from memory as GOOD; a key is asked at most once per `pause_seconds`; the
    `max_keys` used last are kept.
    """

    name: str
    fresh_seconds: float
    pause_seconds: float
    max_keys: int


@dataclass(frozen=True, slots=True)
class _Reading(Generic[V]):
    value: V
    as_of: datetime
    left_at: float


class _Slot(Generic[V]):
    __slots__ = ("asked_at", "failure", "flight", "reading")

    def __init__(self) -> None:
        self.reading: _Reading[V] | None = None
        self.failure: Failure | None = None
        self.flight: asyncio.Task[None] | None = None
        self.asked_at = NEVER


class Kept(Generic[K, V]):
    """The last answer for each key, and at most one request under way for each. Belongs to one event loop."""

    def __init__(
        self, kind: Kind, ask: Callable[[K], Awaitable[V]], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Keep what `ask` answers; `ask` raises `Failure` when there is no answer."""
        self._kind = kind
        self._ask = ask
        self._monotonic = monotonic
        self._slots: OrderedDict[K, _Slot[V]] = OrderedDict()
        self._counted = {how: _READS.labels(kind.name, how) for how in ("memory", "asked", "stale", "failed")}

    async def read(self, key: K, max_age_seconds: float | None = None) -> Answer[V]:
        """Return a value at most `max_age_seconds` old (the kind's `fresh_seconds` when None).

        Raises:
            NotNow: the newest there is, is older than that, and the exchange may not be asked again yet.
            Failure: the exchange was asked and did not answer; nothing kept is young enough.
        """
        wanted = self._kind.fresh_seconds if max_age_seconds is None else max_age_seconds
        slot = self._slot(key)
        if answer := self._answer(slot, min(wanted, self._kind.fresh_seconds)):
            self._counted["memory"].inc()
            return answer
        for _ in range(MAX_FLIGHTS_PER_CALL):
            joined = slot.flight is not None
            if not await self._flown(key, slot):
                break
            another_could_not_pay = joined and isinstance(slot.failure, Exhausted)
            if self._answer(slot, wanted) or (slot.failure is not None and not another_could_not_pay):
                break
        return self._counted_answer(slot, wanted)

    async def close(self) -> None:
        """End the requests under way."""
        flights = [slot.flight for slot in self._slots.values() if slot.flight]
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    def _slot(self, key: K) -> _Slot[V]:
        slot = self._slots.get(key)
        if slot is None:
            slot = self._slots[key] = _Slot()
            self._forget_idle()
        self._slots.move_to_end(key)
        return slot

    def _forget_idle(self) -> None:
        # A slot under way stays, for its callers wait on it; so there may be more keys than the bound, by the calls
        # the server admits at once.
        while len(self._slots) > self._kind.max_keys:
            key, oldest = next(iter(self._slots.items()))
            if oldest.flight is not None:
                return
            del self._slots[key]

    async def _flown(self, key: K, slot: _Slot[V]) -> bool:
        """Wait for a request, of this caller or of another; False when none may be made yet."""
        if slot.flight is None:
            if self._monotonic() - slot.asked_at < self._kind.pause_seconds:
                return False
            slot.asked_at = self._monotonic()
            slot.flight = asyncio.create_task(self._fly(key, slot))
        # Shielded: a caller that gives up must not end what others wait for.
        await asyncio.shield(slot.flight)
        return True

    async def _fly(self, key: K, slot: _Slot[V]) -> None:
        as_of, left_at = datetime.now(UTC), self._monotonic()
        try:
            slot.reading = _Reading(await self._ask(key), as_of, left_at)
            slot.failure = None
        except Exhausted as failure:
            # Whoever asked had no points left, so nothing was sent: another may have some, and need not wait. In a ban
            # nobody can pay.
            slot.failure, slot.asked_at = failure, NEVER
        except Failure as failure:
            slot.failure = failure
        finally:
            slot.flight = None

    def _answer(self, slot: _Slot[V], oldest_seconds: float) -> Answer[V] | None:
        reading = slot.reading
        if reading is None:
            return None
        age = self._monotonic() - reading.left_at
        if age > oldest_seconds:
            return None
        quality = Quality.GOOD if age <= self._kind.fresh_seconds else Quality.STALE
        return Answer(reading.value, Freshness(reading.as_of, age, quality))

    def _counted_answer(self, slot: _Slot[V], wanted: float) -> Answer[V]:
        answer = self._answer(slot, wanted)
        if answer is None:
            self._counted["failed"].inc()
            raise self._why_not(slot, wanted)
        self._counted["asked" if answer.freshness.quality is Quality.GOOD else "stale"].inc()
        return answer

    def _why_not(self, slot: _Slot[V], wanted: float) -> Failure:
        if slot.failure is not None:
            return slot.failure.with_traceback(None)
        age = self._monotonic() - slot.reading.left_at if slot.reading else 0.0
        message = f"the newest answer is {age:.3f} s old; at most {wanted:.3f} s was asked for"
        metadata = {"age_ms": str(round(age * 1000)), "max_age_ms": str(round(wanted * 1000))}
        mend = f"ask for a max_age above {self._kind.pause_seconds} s, or again later"
        return NotNow(TOO_OLD, message, (StateViolation(TOO_OLD, self._kind.name, mend),), metadata=metadata)
