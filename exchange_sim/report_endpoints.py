"""The reports that European rules ask for: book and trades with the names those rules use; REST only.

https://docs.bitvavo.com/docs/rest-api/.
"""

from __future__ import annotations

from exchange_sim import parameters
from exchange_sim.endpoint import Call, Endpoint
from exchange_sim.fixed import write_amount, write_price
from exchange_sim.history import moment
from exchange_sim.order_book import Side
from exchange_sim.public_endpoints import MOST_LEVELS, TRADES_PAGE, check_has_book, chosen_trades
from exchange_sim.venue import Venue

VENUE = "VAVO"
PRICE_NOTATION = "MONE"
QUANTITY_NOTATION = "CRYP"


def report_book(call: Call) -> object:
    """The best levels of a market, with the number of orders in each."""
    venue = parameters.venue_of(call.exchange, call.parameters)
    depth = parameters.whole(call.parameters, "depth", MOST_LEVELS, 1, MOST_LEVELS)
    check_has_book(venue)
    now = moment(call.exchange.now_ms())
    return {
        "submissionTimestamp": now,
        **_asset(venue),
        "bids": _levels(call, venue.book.bids, "BUYI", depth),
        "asks": _levels(call, venue.book.asks, "SELL", depth),
        **_notation(venue),
        "venue": VENUE,
        "tradingSystem": VENUE,
        "publicationTimestamp": now,
    }


def report_trades(call: Call) -> object:
    """The public trades of a market, newest first."""
    venue, trades = chosen_trades(call)
    now = moment(call.exchange.now_ms())
    return [
        {
            "tradeId": trade.trade_id,
            "transactTimestamp": moment(trade.at_ms),
            **_asset(venue),
            "price": write_price(trade.price),
            "missingPrice": "",
            "quantity": write_amount(trade.amount),
            **_notation(venue),
            "venue": VENUE,
            "publicationTimestamp": now,
            "publicationVenue": VENUE,
        }
        for trade in trades
    ]


def _levels(call: Call, side: Side, name: str, depth: int) -> list[dict[str, object]]:
    quantity = call.exchange.switches.report_quantity_name
    return [
        {
            "side": name,
            "price": write_price(level.price),
            quantity: write_amount(level.total),
            "numOrders": sum(1 for _ in level.orders()),
        }
        for _, level in zip(range(depth), side.levels(), strict=False)
    ]


def _asset(venue: Venue) -> dict[str, object]:
    return {"assetCode": venue.rules.base, "assetName": venue.rules.base}


def _notation(venue: Venue) -> dict[str, object]:
    return {
        "priceCurrency": venue.rules.quote,
        "priceNotation": PRICE_NOTATION,
        "quantityCurrency": venue.rules.base,
        "quantityNotation": QUANTITY_NOTATION,
    }


REPORT_ENDPOINTS = (
    Endpoint("", "GET", "/v2/report/{market}/book", report_book, frozenset({"market", "depth"})),
    Endpoint("", "GET", "/v2/report/{market}/trades", report_trades, TRADES_PAGE, weight=5),
)
