"""How long each kind of data is kept, in one table: what `Kept` is given by the use cases.

Chosen so that ordinary use stays far within the exchange's 1,000 points a minute, and account data always within the
share of the account's points that trading leaves. Public data is bounded by the budget of this machine's address only:
windows of trades and candles are without number, and a reader who goes through them leaves none for other readers.
"""

from typing import Final

from market_service.kept import Kind

MARKETS: Final = Kind("markets", fresh_seconds=60.0, pause_seconds=5.0, max_keys=1)
TICKERS: Final = Kind("tickers", fresh_seconds=2.0, pause_seconds=0.5, max_keys=1)
TICKER_24H: Final = Kind("ticker_24h", fresh_seconds=10.0, pause_seconds=1.0, max_keys=1024)
BOOKS: Final = Kind("books", fresh_seconds=1.0, pause_seconds=0.1, max_keys=1024)
DEEP_BOOKS: Final = Kind("deep_books", fresh_seconds=1.0, pause_seconds=0.5, max_keys=32)
TRADES: Final = Kind("trades", fresh_seconds=5.0, pause_seconds=1.0, max_keys=128)
CANDLES: Final = Kind("candles", fresh_seconds=5.0, pause_seconds=1.0, max_keys=128)

# 5 points for balances every 3 s are 100 a minute; fees are 1 point a market.
BALANCES: Final = Kind("balances", fresh_seconds=5.0, pause_seconds=3.0, max_keys=1)
FEES: Final = Kind("fees", fresh_seconds=300.0, pause_seconds=30.0, max_keys=64)
