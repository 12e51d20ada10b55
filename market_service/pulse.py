"""Decides whether the exchange is within reach: asks its clock every few seconds and tells the health service.

`app` runs it beside the server. Its answers are also what the candles are told to be over by.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from kernel import logs
from kernel.errors import Failure
from market_service.ports import Exchange

BEAT_SECONDS: Final = 5.0
SILENT_BEAT_SECONDS: Final = 1.0
"""While the exchange does not answer we ask more often, so that we are ready soon after it is."""

REACHABLE_SECONDS: Final = 20.0
"""Ready while the last answer is at most this old: three beats may be lost."""


class Pulse:
    """The exchange's heartbeat as we hear it."""

    def __init__(
        self, exchange: Exchange, tell: Callable[[bool], None], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Ask `exchange`; `tell` gets True or False after every beat."""
        self._exchange = exchange
        self._tell = tell
        self._monotonic = monotonic
        self._heard_at = float("-inf")
        self._ready = False

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            await self.beat()
            await asyncio.sleep(BEAT_SECONDS if self._ready else SILENT_BEAT_SECONDS)

    async def beat(self) -> None:
        """Ask once."""
        try:
            await self._exchange.ping()
            self._heard_at = self._monotonic()
        except Failure as failure:
            logs.log("exchange_silent", level=logs.WARNING, reason=failure.reason)
        ready = self._monotonic() - self._heard_at <= REACHABLE_SECONDS
        if ready is not self._ready:
            logs.log("exchange_reachable" if ready else "exchange_unreachable")
        self._ready = ready
        self._tell(ready)
