"""Reads the body of `POST /order` against the rules of its market: which fields each order type needs and forbids.

https://docs.bitvavo.com/docs/rest-api/create-order/. Trigger orders are not offered by this exchange yet; their fields
are known by name and refused.
"""

from __future__ import annotations

from collections.abc import Mapping

from exchange_sim import fixed, parameters
from exchange_sim.exchange import Exchange
from exchange_sim.order import LIMIT, MARKET, OrderRequest
from exchange_sim.refusal import Refusal, invalid, missing
from exchange_sim.rules import MarketRules

TIMES_IN_FORCE = ("GTC", "IOC", "FOK")
SELF_TRADE_PREVENTIONS = ("decrementAndCancel", "cancelOldest", "cancelNewest", "cancelBoth")
REQUIRED = ("market", "side", "orderType")
FIELDS = frozenset(
    {
        "amount",
        "amountQuote",
        "clientOrderId",
        "codGroupId",
        "disableMarketProtection",
        "market",
        "operatorId",
        "orderType",
        "postOnly",
        "price",
        "responseRequired",
        "selfTradePrevention",
        "side",
        "timeInForce",
        "triggerAmount",
        "triggerReference",
        "triggerType",
    },
)
_TRIGGER_FIELDS = ("triggerAmount", "triggerReference", "triggerType", "codGroupId")
_LIMIT_FIELDS = ("price", "timeInForce")


def read_order(exchange: Exchange, body: Mapping[str, object]) -> OrderRequest:
    """Read the body of a create.

    Raises:
        Refusal: 202, 203, 205, 213, 215, 236, 422, 429.
    """
    rules = parameters.venue_of(exchange, body).rules
    is_buy = parameters.one_of(body, "side", ("buy", "sell")) == "buy"
    order_type = parameters.one_of(body, "orderType", (LIMIT, MARKET))
    operator_id = parameters.operator_id(body, exchange, in_query=False)
    _check_fields(body, order_type)
    return OrderRequest(
        market=rules.market,
        is_buy=is_buy,
        order_type=order_type,
        operator_id=operator_id,
        client_order_id=parameters.identifier(body, "clientOrderId"),
        amount=parameters.decimal(body, "amount", fixed.AMOUNT_DIGITS, rules.quantity_decimals),
        quote=_quote(body, rules),
        price=parameters.price(body, rules.tick, rules.tick_text),
        time_in_force=parameters.one_of(body, "timeInForce", TIMES_IN_FORCE, "GTC"),
        post_only=parameters.flag(body, "postOnly", default=False),
        self_trade_prevention=parameters.one_of(
            body, "selfTradePrevention", SELF_TRADE_PREVENTIONS, SELF_TRADE_PREVENTIONS[0]
        ),
        response_required=parameters.flag(body, "responseRequired", default=True),
    )


def _check_fields(body: Mapping[str, object], order_type: str) -> None:
    """Which fields go together: limit = amount and price; market = one of amount and amountQuote."""
    forbidden = _TRIGGER_FIELDS + (_LIMIT_FIELDS if order_type == MARKET else ("amountQuote",))
    for name in forbidden:
        if name in body:
            raise Refusal(202, f"{name} parameter is not supported for orderType {order_type}.")
    if body.get("disableMarketProtection"):
        raise invalid("disableMarketProtection")
    if order_type == MARKET:
        _check_market_fields(body)
        return
    for name in ("amount", "price"):
        if name not in body:
            raise missing(name)
    if body.get("postOnly") is True and body.get("timeInForce", "GTC") != "GTC":
        raise Refusal(206, "postOnly and timeInForce exclude each other.")


def _check_market_fields(body: Mapping[str, object]) -> None:
    if body.get("postOnly"):
        raise Refusal(202, f"postOnly parameter is not supported for orderType {MARKET}.")
    if "amount" in body and "amountQuote" in body:
        raise Refusal(236, "Only one of amount and amountQuote may be given.")
    if "amount" not in body and "amountQuote" not in body:
        raise missing("amount")


def _quote(body: Mapping[str, object], rules: MarketRules) -> int | None:
    return parameters.decimal(body, "amountQuote", fixed.ATOM_DIGITS, rules.notional_decimals)
