"""Reads the body of `POST /order` against the rules of its market: which fields each order type needs and forbids.

https://docs.bitvavo.com/docs/rest-api/create-order/.
"""

from __future__ import annotations

from collections.abc import Mapping

from exchange_sim import fixed, parameters
from exchange_sim.exchange import Exchange
from exchange_sim.order import (
    CANCEL_BOTH,
    CANCEL_NEWEST,
    CANCEL_OLDEST,
    DECREMENT_AND_CANCEL,
    LIMIT,
    LIMIT_TYPES,
    MARKET,
    ORDER_TYPES,
    OrderRequest,
    Trigger,
)
from exchange_sim.refusal import Refusal, invalid, missing
from exchange_sim.rules import MarketRules
from exchange_sim.triggers import REFERENCES

TIMES_IN_FORCE = ("GTC", "IOC", "FOK")
SELF_TRADE_PREVENTIONS = (DECREMENT_AND_CANCEL, CANCEL_OLDEST, CANCEL_NEWEST, CANCEL_BOTH)
REQUIRED = ("market", "side", "orderType")
TRIGGER_FIELDS = ("triggerAmount", "triggerType", "triggerReference")
LIMIT_FIELDS = ("price", "timeInForce", "postOnly")
FIELDS = frozenset(
    {
        "amount",
        "amountQuote",
        "clientOrderId",
        "codGroupId",
        "disableMarketProtection",
        "operatorId",
        "responseRequired",
        "selfTradePrevention",
        *REQUIRED,
        *TRIGGER_FIELDS,
        *LIMIT_FIELDS,
    },
)
MOST_GROUPS = 1_000


def read_order(exchange: Exchange, body: Mapping[str, object]) -> OrderRequest:
    """Read the body of a create.

    Raises:
        Refusal: 202, 203, 205, 206, 213, 215, 236, 237, 238, 422, 429, and 433 (or as its switch says).
    """
    rules = parameters.venue_of(exchange, body).rules
    is_buy = parameters.one_of(body, "side", ("buy", "sell")) == "buy"
    order_type = parameters.one_of(body, "orderType", ORDER_TYPES)
    operator_id = parameters.operator_id(body, exchange, in_query=False)
    _check_fields(body, order_type)
    return OrderRequest(
        market=rules.market,
        is_buy=is_buy,
        order_type=order_type,
        operator_id=operator_id,
        client_order_id=parameters.identifier(body, "clientOrderId"),
        amount=parameters.decimal(body, "amount", fixed.AMOUNT_DIGITS, rules.quantity_decimals),
        quote=parameters.decimal(body, "amountQuote", fixed.ATOM_DIGITS, rules.notional_decimals),
        price=parameters.price(body, rules.tick, rules.tick_text),
        time_in_force=parameters.one_of(body, "timeInForce", TIMES_IN_FORCE, "GTC"),
        post_only=parameters.flag(body, "postOnly", default=False),
        self_trade_prevention=parameters.one_of(
            body, "selfTradePrevention", SELF_TRADE_PREVENTIONS, DECREMENT_AND_CANCEL
        ),
        response_required=parameters.flag(body, "responseRequired", default=True),
        trigger=_trigger(body, rules, order_type),
        group=_group(exchange, body, order_type),
    )


def check_time_in_force(*, post_only: object, time_in_force: object) -> None:
    """Refuse a post-only order that may not rest.

    Raises:
        Refusal: 206.
    """
    if post_only is True and time_in_force != "GTC":
        raise Refusal(206, "postOnly and timeInForce exclude each other.")


def unsupported(name: str, order_type: str) -> Refusal:
    """202: the order type does not know a parameter."""
    return Refusal(202, f"{name} parameter is not supported for orderType {order_type}.")


def _check_fields(body: Mapping[str, object], order_type: str) -> None:
    """Which fields go together.

    Cases: limit types take amount and price; the others one of amount and amountQuote; trigger types three more.
    """
    is_limit, is_plain = order_type in LIMIT_TYPES, order_type in (MARKET, LIMIT)
    forbidden = (("amountQuote",) if is_limit else LIMIT_FIELDS) + (TRIGGER_FIELDS if is_plain else ())
    for name in forbidden:
        if name in body and not (name == "postOnly" and body[name] is False):
            raise unsupported(name, order_type)
    if body.get("disableMarketProtection"):
        raise invalid("disableMarketProtection")
    if not is_plain and not all(name in body for name in TRIGGER_FIELDS):
        raise Refusal(238 if is_limit else 237, f"{', '.join(TRIGGER_FIELDS)} are required for orderType {order_type}.")
    if "amount" in body and "amountQuote" in body:
        raise Refusal(236, "Only one of amount and amountQuote may be given.")
    if "amount" not in body and "amountQuote" not in body:
        raise missing("amount")
    if is_limit and "price" not in body:
        raise missing("price")
    check_time_in_force(post_only=body.get("postOnly"), time_in_force=body.get("timeInForce", "GTC"))


def _trigger(body: Mapping[str, object], rules: MarketRules, order_type: str) -> Trigger | None:
    if order_type in (MARKET, LIMIT):
        return None
    amount = parameters.price(body, rules.tick, rules.tick_text, "triggerAmount")
    parameters.one_of(body, "triggerType", ("price",))
    return Trigger(amount or 0, parameters.one_of(body, "triggerReference", REFERENCES))


def _group(exchange: Exchange, body: Mapping[str, object], order_type: str) -> int | None:
    if "codGroupId" not in body:
        return None
    if order_type == MARKET:
        raise Refusal(exchange.switches.group_refusal_code, "codGroupId is not supported for market orders.")
    return parameters.whole(body, "codGroupId", 0, 1, MOST_GROUPS)
