"""Counts who wants which topic: one subscription at the exchange for any number of readers; the last one lingers."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from bitvavo.topics import Topic

LINGER_SECONDS: Final = 30.0
"""How long a topic is still heard after the last reader left: who comes back at once finds everything in place."""

LOOK_SECONDS: Final = 1.0


class Wants:
    """Topics with their numbers of readers."""

    __slots__ = ("_changed", "_counts", "_left", "_monotonic")

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Begin with none."""
        self._monotonic = monotonic
        self._counts: Counter[Topic] = Counter()
        self._left: dict[Topic, float] = {}
        self._changed = asyncio.Event()

    def __bool__(self) -> bool:
        """Say whether anything is wanted or lingers."""
        return bool(self._counts or self._left)

    def __contains__(self, topic: Topic) -> bool:
        """Say whether this is wanted or lingers."""
        return topic in self._counts or topic in self._left

    def add(self, topic: Topic) -> None:
        """Count one reader more."""
        self._counts[topic] += 1
        if self._counts[topic] == 1 and self._left.pop(topic, None) is None:
            self._changed.set()

    def remove(self, topic: Topic) -> None:
        """Count one reader less; after the last the topic lingers."""
        self._counts[topic] -= 1
        if self._counts[topic] <= 0:
            del self._counts[topic]
            self._left[topic] = self._monotonic()

    def now(self) -> frozenset[Topic]:
        """Return what is wanted or lingers now; `changed` waits for what comes after."""
        self._changed.clear()
        ended = self._monotonic() - LINGER_SECONDS
        self._left = {topic: left for topic, left in self._left.items() if left > ended}
        return frozenset(self._counts) | frozenset(self._left)

    async def some(self) -> None:
        """Wait until anything is wanted."""
        while not self.now():
            await self._changed.wait()

    async def changed(self) -> None:
        """Wait until something new is wanted, or until it is time to look whether something has lingered enough."""
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await self._changed.wait()
        except TimeoutError:
            return
