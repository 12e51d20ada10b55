"""Decides which markets exist: every use case asks here first, so that a made-up name never costs a request.

Called by `rpc` for ListMarkets and GetMarket, and by the other use cases.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from bitvavo.wire import MarketRules
from kernel import logs
from kernel.errors import Failure, NotFound
from market_service.kept import Kept
from market_service.kinds import MARKETS
from market_service.model import Answer
from market_service.ports import Exchange
from market_service.reasons import MARKET_UNKNOWN

LISTED_MAX_AGE_SECONDS: Final = 3600.0
"""While the exchange does not answer, a name is looked for in a list up to this old."""

REFRESH_SECONDS: Final = 30.0
"""How often the list is read ahead: no caller waits for its 190 kB, least of all one that prices an order."""


@dataclass(frozen=True, slots=True)
class Listing:
    """All markets by name, names in order."""

    by_name: dict[str, MarketRules]

    def require(self, market: str) -> MarketRules:
        """Return the rules of `market`.

        Raises:
            NotFound: the exchange has no such market.
        """
        rules = self.by_name.get(market)
        if rules is None:
            raise NotFound(MARKET_UNKNOWN, f"the exchange has no market {market}", metadata={"market": market})
        return rules


class Catalogue:
    """The exchange's markets."""

    def __init__(self, exchange: Exchange) -> None:
        """Read them from `exchange`, all at once."""
        self._exchange = exchange
        self._kept: Kept[None, Listing] = Kept(MARKETS, self._ask)

    async def listing(self, max_age_seconds: float | None = None) -> Answer[Listing]:
        """Return every market."""
        return await self._kept.read(None, max_age_seconds)

    async def market(self, market: str, max_age_seconds: float | None = None) -> Answer[MarketRules]:
        """Return the rules of one market.

        Raises:
            NotFound: the exchange has no such market.
        """
        answer = await self._kept.read(None, max_age_seconds)
        return answer.having(answer.value.require(market))

    async def require(self, markets: Iterable[str]) -> None:
        """Pass when all these markets exist.

        Raises:
            NotFound: naming the first that does not.
        """
        listing = (await self._kept.read(None, LISTED_MAX_AGE_SECONDS)).value
        for market in markets:
            listing.require(market)

    async def keep_fresh(self) -> None:
        """Read the list ahead until cancelled."""
        while True:
            try:
                await self._kept.read(None, REFRESH_SECONDS / 2)
            except Failure as failure:
                logs.log("markets_not_read", level=logs.WARNING, reason=failure.reason)
            await asyncio.sleep(REFRESH_SECONDS)

    async def close(self) -> None:
        """End the request under way."""
        await self._kept.close()

    async def _ask(self, _key: None) -> Listing:
        rows = await self._exchange.markets()
        return Listing({row.market: row for row in sorted(rows, key=lambda row: row.market)})
