"""All that market_service can ask of the exchange: public data unsigned, three reads of the account signed.

Unsigned requests spend the points of this machine's address, signed ones those of the account, which trade_service
needs. Every method raises `ExchangeUnavailableError` when there is no answer that can be used.
"""

from collections.abc import Callable

import httpx

from bitvavo import account, endpoints, market
from bitvavo.client import ServerTime, read_time, wall_clock_ms
from bitvavo.endpoints import MARKET_ENDPOINTS
from bitvavo.rate import RateObserver
from bitvavo.session import Session
from bitvavo.signing import Credentials


class MarketClient:
    """Market data, and balances and fees when it has credentials."""

    __slots__ = ("_session",)

    def __init__(
        self,
        http: httpx.AsyncClient,
        credentials: Credentials | None,
        *,
        now_ms: Callable[[], int] = wall_clock_ms,
        observe: RateObserver | None = None,
    ) -> None:
        """Use a client of `bitvavo.transport.open_client`; `now_ms` signs the account's reads."""
        self._session = Session(http, MARKET_ENDPOINTS, credentials, now_ms, observe)

    def use(self, credentials: Credentials) -> None:
        """Sign every request from now on with these."""
        self._session.use(credentials)

    async def time(self) -> ServerTime:
        """Ask the exchange's clock."""
        return await read_time(self._session)

    async def markets(self, name: str | None = None) -> tuple[market.MarketRules, ...]:
        """Read the rules of one market or of all (about 190 kB)."""
        return await self._session.read(endpoints.MARKETS, market.parse_markets, {"market": name})

    async def assets(self, symbol: str | None = None) -> tuple[account.Asset, ...]:
        """Read one asset or all."""
        return await self._session.read(endpoints.ASSETS, account.parse_assets, {"symbol": symbol})

    async def book(self, name: str, *, depth: int | None = None) -> market.Book:
        """Read a book, `depth` 1 to 1,000 levels a side; a market that does not trade is REFUSED with 431."""
        return await self._session.read(endpoints.BOOK, market.parse_book, {"depth": depth}, path_market=name)

    async def trades(
        self, name: str, *, limit: int | None = None, start_ms: int | None = None, end_ms: int | None = None
    ) -> tuple[market.PublicTrade, ...]:
        """Read public trades, newest first; `limit` 1 to 1,000, at most 24 h between start and end."""
        query = {"limit": limit, "start": start_ms, "end": end_ms}
        return await self._session.read(
            endpoints.PUBLIC_TRADES,
            market.parse_public_trades,
            query,
            path_market=name,
        )

    async def candles(
        self,
        name: str,
        interval: str,
        *,
        limit: int | None = None,
        start_ms: int | None = None,
        end_ms: int | None = None,
    ) -> tuple[market.Candle, ...]:
        """Read candles, newest first; `interval` such as ``1m`` or ``1d``, `limit` 1 to 1,440."""
        query = {"interval": interval, "limit": limit, "start": start_ms, "end": end_ms}
        return await self._session.read(endpoints.CANDLES, market.parse_candles, query, path_market=name)

    async def ticker_prices(self, name: str | None = None) -> tuple[market.TickerPrice, ...]:
        """Read the last price of one market or of all."""
        return await self._session.read(endpoints.TICKER_PRICE, market.parse_ticker_prices, {"market": name})

    async def ticker_books(self, name: str | None = None) -> tuple[market.TickerBook, ...]:
        """Read best bid and ask of one market or of all; a halted market keeps its last ones."""
        return await self._session.read(endpoints.TICKER_BOOK, market.parse_ticker_books, {"market": name})

    async def tickers_24h(self, name: str | None = None) -> tuple[market.Ticker24h, ...]:
        """Read the last 24 hours of one market (1 point) or of all (25 points)."""
        return await self._session.read(endpoints.TICKER_24H, market.parse_tickers_24h, {"market": name})

    async def balances(self, symbol: str | None = None) -> tuple[account.Balance, ...]:
        """Read the account's balances, signed (5 points); an asset not listed is zero."""
        return await self._session.read(endpoints.BALANCE, account.parse_balances, {"symbol": symbol})

    async def account_fees(self) -> account.Fees:
        """Read the account's own rates, signed."""
        return await self._session.read(endpoints.ACCOUNT, account.parse_fees)

    async def fees(self, name: str | None = None) -> account.Fees:
        """Read the account's rates in one market, signed."""
        return await self._session.read(endpoints.FEES, account.parse_fees, {"market": name})
