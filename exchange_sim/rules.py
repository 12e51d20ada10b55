"""A market's rules: read from and written as a row of `GET /markets`, and the checks they put on an order.

Fields: https://docs.bitvavo.com/docs/rest-api/get-markets/. Refusals carry the exchange's codes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from exchange_sim import fixed
from exchange_sim.order import MARKET, ORDER_TYPES, OrderRequest
from exchange_sim.refusal import Refusal

TRADING = "trading"
HALTED = "halted"
CANCEL_ONLY = "cancelOnly"
AUCTION = "auction"
AUCTION_MATCHING = "auctionMatching"
STATUSES = (TRADING, HALTED, CANCEL_ONLY, AUCTION, AUCTION_MATCHING)
FIAT_DECIMALS = 2
CRYPTO_DECIMALS = 8
FIAT = frozenset({"EUR"})

_MARKET = re.compile(r"[A-Z0-9]{1,12}-[A-Z0-9]{1,12}\Z")


@dataclass(frozen=True, slots=True)
class MarketRules:
    """What one market accepts. Amounts, prices and atoms as in `fixed`; the steps are powers of ten."""

    market: str
    base: str
    quote: str
    status: str
    min_base: int
    min_quote: int
    max_base: int
    max_quote: int
    quantity_decimals: int
    notional_decimals: int
    tick: int
    tick_text: str
    max_open_orders: int | None
    fee_category: str
    amount_step: int
    quote_step: int
    row: Mapping[str, object]


def default_row(market: str) -> dict[str, object]:
    """A row of `GET /markets` for a market about which nothing else was said."""
    base, _, quote = market.partition("-")
    return {
        "market": market,
        "status": TRADING,
        "base": base,
        "quote": quote,
        "pricePrecision": None,
        "minOrderInBaseAsset": "0.00000001",
        "minOrderInQuoteAsset": "5.00",
        "maxOrderInBaseAsset": "1000000000",
        "maxOrderInQuoteAsset": "1000000000",
        "quantityDecimals": 8,
        "notionalDecimals": 2,
        "tickSize": "0.01",
        "maxOpenOrders": 400,
        "feeCategory": "A",
        "orderTypes": list(ORDER_TYPES),
    }


def read_rules(row: Mapping[str, object]) -> MarketRules:
    """Read a row of `GET /markets`.

    Raises:
        ValueError: a field that no market can have.
    """
    market, quote = str(row["market"]), str(row["quote"])
    if not _MARKET.match(market) or row["status"] not in STATUSES or market != f"{row['base']}-{quote}":
        raise ValueError("market, base, quote or status is wrong")
    decimals = _small(row["quantityDecimals"], fixed.AMOUNT_DIGITS)
    tick = fixed.exact(row["tickSize"], fixed.PRICE_DIGITS)
    if not tick:
        raise ValueError("tickSize must be above zero")
    return MarketRules(
        market=market,
        base=str(row["base"]),
        quote=quote,
        status=str(row["status"]),
        min_base=fixed.exact(row["minOrderInBaseAsset"], fixed.AMOUNT_DIGITS),
        min_quote=fixed.exact(row["minOrderInQuoteAsset"], fixed.ATOM_DIGITS),
        max_base=fixed.exact(row["maxOrderInBaseAsset"], fixed.AMOUNT_DIGITS),
        max_quote=fixed.exact(row["maxOrderInQuoteAsset"], fixed.ATOM_DIGITS),
        quantity_decimals=decimals,
        notional_decimals=_small(row["notionalDecimals"], fixed.ATOM_DIGITS),
        tick=tick,
        tick_text=str(row["tickSize"]),
        max_open_orders=None if row["maxOpenOrders"] is None else _small(row["maxOpenOrders"], 1_000_000),
        fee_category=str(row["feeCategory"]),
        amount_step=10 ** (fixed.AMOUNT_DIGITS - decimals),
        quote_step=10 ** (fixed.ATOM_DIGITS - asset_decimals(quote)),
        row=row,
    )


def asset_decimals(symbol: str) -> int:
    """Decimals of an asset's balances: two for fiat, eight for crypto."""
    return FIAT_DECIMALS if symbol in FIAT else CRYPTO_DECIMALS


def check_status(rules: MarketRules, request: OrderRequest) -> None:
    """Refuse an order that the state of its market does not allow.

    Raises:
        Refusal: 423 halted, 424 cancelOnly, 425 auction (market orders), 426 auctionMatching, 231 in an auction.
    """
    if rules.status == TRADING:
        return
    if rules.status == HALTED:
        raise Refusal(423, f"Market {rules.market} is halted.")
    if rules.status == CANCEL_ONLY:
        raise Refusal(424, f"Market {rules.market} is in cancelOnly.")
    if rules.status == AUCTION_MATCHING:
        raise Refusal(426, f"Market {rules.market} is in auctionMatching.")
    if request.order_type == MARKET:
        raise Refusal(425, f"Market {rules.market} is in auction.")
    if request.time_in_force != "GTC":
        raise Refusal(231, "timeInForce must be GTC when the market is paused.")


def check_sizes(rules: MarketRules, request: OrderRequest, reference_price: int | None) -> None:
    """Refuse an amount or value outside the market's limits; `reference_price` prices a market order by amount.

    Raises:
        Refusal: 210, 211, 212, 217.
    """
    amount, value = request.amount, request.quote
    if amount is not None:
        if amount > rules.max_base:
            raise Refusal(210, "amount is above the maximum of this market.")
        if amount < rules.min_base or not amount:
            least = fixed.write_amount(rules.min_base)
            raise Refusal(212, f"The amount is below the minimum of {least} {rules.base}.")
        price = request.price or reference_price
        value = amount * price if price else None
    if value is None:
        return
    if value > rules.max_quote:
        raise Refusal(211, "price is above the maximum of this market.")
    if value < rules.min_quote:
        least = f"{fixed.write_atoms(rules.min_quote)} {rules.quote}"
        least_base = f"{fixed.write_amount(rules.min_base)} {rules.base}"
        raise Refusal(217, f"Minimum order size in quote currency is {least} or {least_base}.")


def _small(value: object, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValueError(f"{value!r} is not a whole number up to {most}")
    return value
