"""The exchange's wire models in one place to import from; they are defined in `order`, `market` and `account`."""

from bitvavo.account import Asset, Balance, Fees
from bitvavo.market import (
    Book,
    Candle,
    Level,
    MarketRules,
    PublicTrade,
    Ticker24h,
    TickerBook,
    TickerPrice,
)
from bitvavo.order import FINAL_STATUSES, Fill, Order, OwnTrade, final, order_body
from bitvavo.strict_json import MalformedError

__all__ = [
    "FINAL_STATUSES",
    "Asset",
    "Balance",
    "Book",
    "Candle",
    "Fees",
    "Fill",
    "Level",
    "MalformedError",
    "MarketRules",
    "Order",
    "OwnTrade",
    "PublicTrade",
    "Ticker24h",
    "TickerBook",
    "TickerPrice",
    "final",
    "order_body",
]
