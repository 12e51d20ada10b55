"""Decides which public trades answer a question; called by `rpc` for ListTrades."""

from dataclasses import dataclass
from typing import Final

from bitvavo.wire import PublicTrade
from market_service.catalogue import Catalogue
from market_service.kept import Kept
from market_service.kinds import TRADES
from market_service.model import Answer, Window
from market_service.ports import Exchange

DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 1000


@dataclass(frozen=True, slots=True)
class Page:
    """Trades, newest first; `more` when there may be further ones."""

    trades: tuple[PublicTrade, ...]
    more: bool


class Trades:
    """What was traded in public."""

    def __init__(self, exchange: Exchange, catalogue: Catalogue) -> None:
        """Read from `exchange`."""
        self._exchange = exchange
        self._catalogue = catalogue
        self._kept: Kept[tuple[str, Window], tuple[PublicTrade, ...]] = Kept(TRADES, self._ask)

    async def newest(
        self, market: str, limit: int, window: Window, max_age_seconds: float | None = None
    ) -> Answer[Page]:
        """Return the newest `limit` trades within the window.

        Raises:
            NotFound: the exchange has no such market.
        """
        await self._catalogue.require([market])
        answer = await self._kept.read((market, window), max_age_seconds)
        return answer.having(Page(answer.value[:limit], more=len(answer.value) >= limit))

    async def close(self) -> None:
        """End the requests under way."""
        await self._kept.close()

    async def _ask(self, key: tuple[str, Window]) -> tuple[PublicTrade, ...]:
        market, window = key
        return await self._exchange.trades(market, MAX_LIMIT, window)
