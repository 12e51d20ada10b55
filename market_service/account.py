"""Decides what is known about the exchange account: balances and fees; called by `rpc` for GetBalances and GetFees.

Both are kept so that no caller can spend the account's points, which orders need.
"""

import asyncio
from collections.abc import Sequence

from bitvavo.wire import Balance, Fees
from market_service.catalogue import Catalogue
from market_service.kept import Kept
from market_service.kinds import BALANCES, FEES
from market_service.model import Answer
from market_service.ports import Exchange


class Account:
    """The account that the read-only key belongs to."""

    def __init__(self, exchange: Exchange, catalogue: Catalogue) -> None:
        """Read from `exchange`."""
        self._exchange = exchange
        self._catalogue = catalogue
        self._balances: Kept[None, dict[str, Balance]] = Kept(BALANCES, self._ask_balances)
        self._fees: Kept[str | None, Fees] = Kept(FEES, exchange.fees)

    async def balances(
        self, symbols: Sequence[str], max_age_seconds: float | None = None
    ) -> Answer[tuple[Balance, ...]]:
        """Return the balances of these assets that are not zero, or of all, in the order of their symbols."""
        answer = await self._balances.read(None, max_age_seconds)
        wanted = sorted(symbols) or answer.value
        return answer.having(tuple(answer.value[symbol] for symbol in wanted if symbol in answer.value))

    async def fees(self, market: str | None, max_age_seconds: float | None = None) -> Answer[Fees]:
        """Return the fees of one market, or of the account's standard category.

        Raises:
            NotFound: the exchange has no such market.
        """
        if market is not None:
            await self._catalogue.require([market])
        return await self._fees.read(market, max_age_seconds)

    async def close(self) -> None:
        """End the requests under way."""
        await asyncio.gather(self._balances.close(), self._fees.close())

    async def _ask_balances(self, _key: None) -> dict[str, Balance]:
        rows = await self._exchange.balances()
        return {row.symbol: row for row in sorted(rows, key=lambda row: row.symbol)}
