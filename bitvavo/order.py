"""An order and its fills as the exchange writes them, and the exact body of a create.

https://docs.bitvavo.com/docs/rest-api/create-order/ has the fields. `bitvavo.reply` and `bitvavo.client` read
orders here; trade_service makes bodies here, before the claim commits.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import orjson

from bitvavo.strict_json import (
    MAX_INT64,
    Fields,
    MalformedError,
    array,
    boolean,
    decimal,
    identifier,
    int64,
    parse_strict,
    unsigned_decimal,
    unsigned_int,
)

FINAL_STATUSES: Final = frozenset(
    {
        *("filled", "canceled", "expired", "rejected"),
        # Met in older answers of the exchange.
        *("canceledAuction", "canceledSelfTradePrevention", "canceledIOC", "canceledFOK"),
        *("canceledMarketProtection", "canceledPostOnly"),
    }
)
"""An order in one of these never changes again. It may still carry fills, also when it is not ``filled``."""

MADE_SMALLER: Final = "decrementOnSelfTradePrevention"
"""Why an order's amount is not the one asked for: the exchange took off what the account would have sold to itself."""

SIDES: Final = frozenset({"buy", "sell"})
MAX_FILLS: Final = 10_000


def final(status: str) -> bool:
    """Say whether an order with this status is over; a status we do not know counts as active."""
    return status in FINAL_STATUSES


@dataclass(frozen=True, slots=True)
class Fill:
    """One trade of ours. `fee` is in `fee_currency`, below zero for a rebate, None until `settled`."""

    id: str
    timestamp_ms: int
    amount: Decimal
    price: Decimal
    taker: bool
    fee: Decimal | None
    fee_currency: str | None
    settled: bool


@dataclass(frozen=True, slots=True)
class OwnTrade:
    """A fill as the list of own trades shows it: with its order and market."""

    order_id: str
    client_order_id: str | None
    operator_id: int | None
    market: str
    side: str
    fill: Fill


@dataclass(frozen=True, slots=True)
class Order:
    """An order as the exchange tells it. Amounts are base, `…_quote` are quote without fee, times are Unix ms.

    `status` is the exchange's own word. None stands for a field the exchange leaves out: `amount` and
    `amount_remaining` of an order placed by `amount_quote`, `price` of a market order.
    """

    order_id: str
    client_order_id: str | None
    market: str
    status: str
    side: str
    order_type: str
    amount: Decimal | None
    amount_remaining: Decimal | None
    amount_quote: Decimal | None
    price: Decimal | None
    filled_amount: Decimal
    filled_amount_quote: Decimal
    fee_paid: Decimal | None
    fee_currency: str | None
    fills: tuple[Fill, ...]
    created_ms: int
    updated_ms: int
    operator_id: int | None
    restatement_reason: str | None
    time_in_force: str | None
    post_only: bool | None

    @property
    def final(self) -> bool:
        """Say whether the order is over (see `final`)."""
        return final(self.status)

    @property
    def made_smaller(self) -> bool:
        """Say whether the exchange made it smaller than it was asked for (see `MADE_SMALLER`)."""
        return self.restatement_reason == MADE_SMALLER


def parse_order(body: bytes) -> Order:
    """Read one order object.

    Raises:
        MalformedError: not JSON, or a field missing or of the wrong type.
    """
    return order_from(parse_strict(body))


def parse_orders(body: bytes) -> tuple[Order, ...]:
    """Read a list of orders, newest first; one malformed row makes the whole list malformed."""
    return tuple(order_from(each) for each in array("orders", parse_strict(body)))


def parse_own_trades(body: bytes) -> tuple[OwnTrade, ...]:
    """Read a list of own trades, newest first; one malformed row makes the whole list malformed."""
    return tuple(_own_trade_from(each) for each in array("trades", parse_strict(body)))


def order_from(value: object) -> Order:
    """Read one parsed order object; unknown fields are ignored, known ones must have their type."""
    fields = Fields(value)
    return Order(
        order_id=fields.required("orderId", identifier),
        client_order_id=fields.optional("clientOrderId", identifier),
        market=fields.required("market", identifier),
        status=fields.required("status", identifier),
        side=fields.required("side", _side),
        order_type=fields.required("orderType", identifier),
        amount=fields.optional("amount", unsigned_decimal),
        amount_remaining=fields.optional("amountRemaining", unsigned_decimal),
        amount_quote=fields.optional("amountQuote", unsigned_decimal),
        price=fields.optional("price", unsigned_decimal),
        filled_amount=fields.required("filledAmount", unsigned_decimal),
        filled_amount_quote=fields.required("filledAmountQuote", unsigned_decimal),
        fee_paid=fields.optional("feePaid", decimal),
        fee_currency=fields.optional("feeCurrency", identifier),
        fills=fields.optional("fills", _fills) or (),
        created_ms=fields.required("created", unsigned_int),
        updated_ms=fields.required("updated", unsigned_int),
        operator_id=fields.optional("operatorId", int64),
        restatement_reason=fields.optional("restatementReason", identifier),
        time_in_force=fields.optional("timeInForce", identifier),
        post_only=fields.optional("postOnly", boolean),
    )


def _side(name: str, value: object) -> str:
    side = identifier(name, value)
    if side not in SIDES:
        message = f"{name}: neither buy nor sell"
        raise MalformedError(message)
    return side


def _fills(name: str, value: object) -> tuple[Fill, ...]:
    rows = array(name, value)
    if len(rows) > MAX_FILLS:
        message = f"{name}: more than {MAX_FILLS} rows"
        raise MalformedError(message)
    return tuple(_fill_from(Fields(each)) for each in rows)


def _fill_from(fields: Fields) -> Fill:
    return Fill(
        id=fields.required("id", identifier),
        timestamp_ms=fields.required("timestamp", unsigned_int),
        amount=fields.required("amount", unsigned_decimal),
        price=fields.required("price", unsigned_decimal),
        taker=fields.required("taker", boolean),
        fee=fields.optional("fee", decimal),
        fee_currency=fields.optional("feeCurrency", identifier),
        settled=fields.required("settled", boolean),
    )


def _own_trade_from(value: object) -> OwnTrade:
    fields = Fields(value)
    return OwnTrade(
        order_id=fields.required("orderId", identifier),
        client_order_id=fields.optional("clientOrderId", identifier),
        operator_id=fields.optional("operatorId", int64),
        market=fields.required("market", identifier),
        side=fields.required("side", _side),
        fill=_fill_from(fields),
    )


def order_body(  # noqa: PLR0913 - the exchange's own fields
    *,
    market: str,
    side: str,
    order_type: str,
    operator_id: int,
    client_order_id: str,
    amount: str | None = None,
    amount_quote: str | None = None,
    price: str | None = None,
    time_in_force: str | None = None,
    post_only: bool | None = None,
) -> bytes:
    """Return the compact JSON of a create: what is hashed, stored, signed and sent is these bytes.

    Decimals go in and out digit for digit. What is None is left out; self-trade prevention is left to the
    exchange's default. The whole order is asked back (``responseRequired``).

    Raises:
        ValueError: a decimal in another notation than the exchange takes, not exactly one of the two amounts,
            an unknown side, or an operator id that is not a positive int64.
    """
    _require_sendable(side, operator_id, amount, amount_quote)
    fields: dict[str, Any] = {
        "market": market,
        "side": side,
        "orderType": order_type,
        "operatorId": operator_id,
        "clientOrderId": client_order_id,
        "amount": _plain("amount", amount),
        "amountQuote": _plain("amountQuote", amount_quote),
        "price": _plain("price", price),
        "timeInForce": time_in_force,
        "postOnly": post_only,
        "responseRequired": True,
    }
    return orjson.dumps({name: value for name, value in fields.items() if value is not None})


def _require_sendable(side: str, operator_id: int, amount: str | None, amount_quote: str | None) -> None:
    if side not in SIDES:
        message = "side: neither buy nor sell"
        raise ValueError(message)
    if not 0 < operator_id <= MAX_INT64:
        message = "operatorId: not a positive int64"
        raise ValueError(message)
    if (amount is None) == (amount_quote is None):
        message = "exactly one of amount and amountQuote"
        raise ValueError(message)


def _plain(name: str, value: str | None) -> str | None:
    if value is not None and unsigned_decimal(name, value) == 0:
        message = f"{name}: zero"
        raise ValueError(message)
    return value
