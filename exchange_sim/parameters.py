"""Reads single parameters of a request: from a query they are text, from a body or a WebSocket frame typed JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping

from exchange_sim import fixed
from exchange_sim.exchange import Exchange
from exchange_sim.refusal import Refusal, invalid, missing
from exchange_sim.venue import Venue

MOST_INT64 = 2**63 - 1
MOST_PRICE_DECIMALS = 15
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
_DIGITS = re.compile(r"[0-9]{1,19}\Z")
_MARKET = re.compile(r"[A-Z0-9]+-[A-Z0-9]+\Z")


def venue_of(exchange: Exchange, parameters: Mapping[str, object]) -> Venue:
    """The market a request names.

    Raises:
        Refusal: 203, 205.
    """
    market = parameters.get("market")
    if market is None:
        raise missing("market")
    if not isinstance(market, str) or not _MARKET.match(market):
        raise invalid("market")
    venue = exchange.venues.get(market)
    if venue is None:
        raise Refusal(205, f"market parameter {market} is invalid.")
    return venue


def whole(parameters: Mapping[str, object], name: str, default: int, least: int, most: int) -> int:
    """A whole number within bounds, or the default when absent.

    Raises:
        Refusal: 205.
    """
    value = parameters.get(name)
    if value is None:
        return default
    if isinstance(value, str) and _DIGITS.match(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise invalid(name)
    return value


def one_of(parameters: Mapping[str, object], name: str, choices: tuple[str, ...], default: str | None = None) -> str:
    """A word of a closed list; required when there is no default.

    Raises:
        Refusal: 203, 205.
    """
    value = parameters.get(name, default)
    if value is None:
        raise missing(name)
    if not isinstance(value, str) or value not in choices:
        raise invalid(name)
    return value


def flag(parameters: Mapping[str, object], name: str, *, default: bool) -> bool:
    """A JSON boolean.

    Raises:
        Refusal: 205.
    """
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise invalid(name)
    return value


def identifier(parameters: Mapping[str, object], name: str) -> str | None:
    """A UUID-shaped id; its version bits are not looked at.

    Raises:
        Refusal: 205.
    """
    value = parameters.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not _UUID.match(value):
        raise invalid(name)
    return value


def operator_id(parameters: Mapping[str, object], exchange: Exchange, *, in_query: bool) -> int:
    """The mandatory id of the trader or bot: a positive int64, in a body a JSON number.

    Raises:
        Refusal: 203 or 205 as the switch says when missing, 205 when wrong.
    """
    value = parameters.get("operatorId")
    if value is None:
        code = exchange.switches.operator_id_missing_code
        raise Refusal(code, "operatorId parameter is required.")
    if isinstance(value, str) and not in_query:
        raise invalid("operatorId")
    return whole(parameters, "operatorId", 0, 1, MOST_INT64)


def decimal(parameters: Mapping[str, object], name: str, digits: int, decimals: int) -> int | None:
    """A decimal string in 10^-digits units with at most `decimals` written decimals.

    Raises:
        Refusal: 205 not plain notation, 429 too many decimals.
    """
    value = parameters.get(name)
    if value is None:
        return None
    try:
        units, written = fixed.read(value, digits)
    except ValueError:
        raise invalid(name) from None
    if written > decimals:
        raise Refusal(429, f"{name} parameter has too many decimals: at most {decimals} are allowed.")
    return units


def price(parameters: Mapping[str, object], tick: int, tick_text: str, name: str = "price") -> int | None:
    """A price on the market's tick grid.

    Raises:
        Refusal: 205, 213 zero, 215 more than 15 decimals, 422 off the grid.
    """
    value = parameters.get(name)
    if value is None:
        return None
    try:
        units, written = fixed.read(value, MOST_PRICE_DECIMALS)
    except ValueError:
        raise invalid(name) from None
    if written > MOST_PRICE_DECIMALS:
        raise Refusal(215, f"{name} has more than 15 decimals.")
    if not units:
        raise Refusal(213, f"{name} is too low.")
    scale: int = 10 ** (MOST_PRICE_DECIMALS - fixed.PRICE_DIGITS)
    if units % (tick * scale):
        raise Refusal(422, f"{name} must be a multiple of the tick size {tick_text}.")
    return units // scale
