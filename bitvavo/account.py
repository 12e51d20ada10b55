"""The account and its assets as the exchange writes them; market_service reads them through `bitvavo.market_client`."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from bitvavo.market import listed, rows
from bitvavo.strict_json import (
    Fields,
    MalformedError,
    decimal,
    identifier,
    parse_strict,
    unsigned_decimal,
    unsigned_int,
)

_MAX_NAME_CHARACTERS: Final = 128


@dataclass(frozen=True, slots=True)
class Asset:
    """A coin or currency; `decimals` bounds its amounts."""

    symbol: str
    name: str
    decimals: int
    deposit_status: str | None
    withdrawal_status: str | None


@dataclass(frozen=True, slots=True)
class Balance:
    """What the account holds of one asset: free, and held by open orders. An asset not listed is zero."""

    symbol: str
    available: Decimal
    in_order: Decimal


@dataclass(frozen=True, slots=True)
class Fees:
    """The account's rates as fractions (``0.0025`` is 0.25 %) and its 30-day volume in EUR."""

    taker: Decimal
    maker: Decimal
    volume: Decimal | None
    tier: str | None


def parse_assets(body: bytes) -> tuple[Asset, ...]:
    """Read one or all assets."""
    return rows(body, _asset)


def parse_balances(body: bytes) -> tuple[Balance, ...]:
    """Read the account's balances, strictly."""
    return tuple(_balance(Fields(each)) for each in listed(parse_strict(body)))


def parse_fees(body: bytes) -> Fees:
    """Read the account's rates, from ``/account/fees`` or from inside ``/account``."""
    outer = parse_strict(body)
    inner = outer.get("fees", outer) if isinstance(outer, dict) else outer
    fields = Fields(inner)
    return Fees(
        taker=fields.required("taker", decimal),
        maker=fields.required("maker", decimal),
        volume=fields.optional("volume", unsigned_decimal),
        tier=fields.optional("tier", _tier),
    )


def _asset(fields: Fields) -> Asset:
    return Asset(
        symbol=fields.required("symbol", identifier),
        name=fields.required("name", _name),
        decimals=fields.required("decimals", unsigned_int),
        deposit_status=fields.optional("depositStatus", identifier),
        withdrawal_status=fields.optional("withdrawalStatus", identifier),
    )


def _balance(fields: Fields) -> Balance:
    return Balance(
        symbol=fields.required("symbol", identifier),
        available=fields.required("available", unsigned_decimal),
        in_order=fields.required("inOrder", unsigned_decimal),
    )


def _tier(name: str, value: object) -> str:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else identifier(name, value)


def _name(name: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > _MAX_NAME_CHARACTERS or not value.isprintable():
        message = f"{name}: not a name"
        raise MalformedError(message)
    return value
