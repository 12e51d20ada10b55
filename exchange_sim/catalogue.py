"""The markets a simulator opens with: twenty against EUR, and as many made-up ones as are asked for.

The rules have the shape and magnitude of the exchange's own (https://api.bitvavo.com/v2/markets); the prices are where
the random walks begin.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from exchange_sim import fixed
from exchange_sim.exchange import Exchange
from exchange_sim.recording import GENERATED_BTC, generate_recording, read_recording, start_market
from exchange_sim.rules import MarketRules, default_row, read_rules

# Base asset, starting price, tick, decimals of the amount, smallest amount.
_MARKETS = (
    ("BTC", "75000", "1.00", 8, "0.00006607"),
    ("ETH", "2600", "0.1", 8, "0.00192"),
    ("ADA", "0.61", "0.00001", 6, "8.2"),
    ("SOL", "142", "0.01", 8, "0.0352"),
    ("XRP", "1.4", "0.00001", 6, "3.57"),
    ("DOGE", "0.15", "0.00001", 8, "33.3"),
    ("DOT", "3.4", "0.0001", 8, "1.47"),
    ("LTC", "78", "0.01", 8, "0.064"),
    ("LINK", "12.6", "0.001", 8, "0.396"),
    ("BCH", "430", "0.01", 8, "0.0116"),
    ("XLM", "0.26", "0.00001", 7, "19.2"),
    ("TRX", "0.27", "0.00001", 6, "18.5"),
    ("AVAX", "17.8", "0.001", 8, "0.28"),
    ("UNI", "6.2", "0.001", 8, "0.806"),
    ("ATOM", "3.1", "0.0001", 6, "1.61"),
    ("NEAR", "2.1", "0.0001", 8, "2.38"),
    ("SHIB", "0.000010651", "0.000000001", 2, "470000"),
    ("PEPE", "0.0000072", "0.0000000001", 2, "694000"),
    ("ALGO", "0.16", "0.00001", 6, "31.2"),
    ("USDC", "0.86", "0.0001", 6, "5.8"),
)
STANDARD_MARKETS = len(_MARKETS)


def open_markets(exchange: Exchange, markets: int, recording_path: Path | None = None) -> None:
    """Open `markets` markets, each from a recording: the given one, the shipped one of BTC-EUR, or a generated one.

    Raises:
        ValueError: the recording cannot be read.
    """
    given = read_recording(recording_path or GENERATED_BTC)
    for rules, price in _first(markets):
        venue = exchange.open_market(rules)
        recording = given if rules.market == given["market"] else generate_recording(rules, price, exchange.seed)
        start_market(exchange, venue, recording)


def market_rules(market: str) -> tuple[MarketRules, int]:
    """The rules and the starting price of one market of the catalogue.

    Raises:
        KeyError: not in the catalogue.
    """
    return {rules.market: (rules, price) for rules, price in _first(STANDARD_MARKETS)}[market]


def _first(markets: int) -> Iterator[tuple[MarketRules, int]]:
    for base, price, tick, decimals, smallest in _MARKETS[:markets]:
        yield _rules(f"{base}-EUR", tick, decimals, smallest), fixed.exact(price, fixed.PRICE_DIGITS)
    for number in range(STANDARD_MARKETS + 1, markets + 1):
        rules = _rules(f"SIM{number:03d}-EUR", "0.01", 6, "0.1")
        yield rules, (10 + number) * 10**fixed.PRICE_DIGITS


def _rules(market: str, tick: str, decimals: int, smallest: str) -> MarketRules:
    row = default_row(market)
    row.update(tickSize=tick, quantityDecimals=decimals, minOrderInBaseAsset=smallest)
    if market.startswith("USDC"):
        row["feeCategory"] = "C"
    return read_rules(row)
