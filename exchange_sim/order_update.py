"""Reads the body of `PUT /order`: what an open order is to become. The order keeps its id and its client's id.

https://docs.bitvavo.com/docs/rest-api/update-order/.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from exchange_sim import fixed, parameters
from exchange_sim.order import LIMIT_TYPES, MARKET, Order, OrderRequest, Trigger
from exchange_sim.order_form import (
    LIMIT_FIELDS,
    SELF_TRADE_PREVENTIONS,
    TIMES_IN_FORCE,
    check_time_in_force,
    unsupported,
)
from exchange_sim.refusal import Refusal
from exchange_sim.rules import MarketRules

SIZES = ("amount", "amountRemaining", "amountQuote")
CHANGES = (*SIZES, *LIMIT_FIELDS, "triggerAmount", "selfTradePrevention")
UPDATE_FIELDS = frozenset({"market", "orderId", "clientOrderId", "operatorId", "responseRequired", *CHANGES})


def check_form(body: Mapping[str, object]) -> None:
    """Refuse a body that changes nothing, or a size in two ways.

    Raises:
        Refusal: 232, 236.
    """
    if not any(name in body for name in CHANGES):
        raise Refusal(232, "The update changes nothing.")
    if sum(name in body for name in SIZES) > 1:
        raise Refusal(236, f"Only one of {', '.join(SIZES)} may be given.")


def updated_request(order: Order, rules: MarketRules, body: Mapping[str, object]) -> OrderRequest:
    """What the order wants after the update; `amount` is the new total, filled part included.

    Raises:
        Refusal: 202, 205, 206, 213, 215, 234, 239, 422, 429.
    """
    request = order.request
    _check_type(order, body)
    changed = replace(
        request,
        operator_id=parameters.whole(body, "operatorId", 0, 1, parameters.MOST_INT64),
        amount=_amount(order, rules, body),
        quote=_or_kept(
            parameters.decimal(body, "amountQuote", fixed.ATOM_DIGITS, rules.notional_decimals), request.quote
        ),
        price=_or_kept(parameters.price(body, rules.tick, rules.tick_text), request.price),
        time_in_force=parameters.one_of(body, "timeInForce", TIMES_IN_FORCE, request.time_in_force),
        post_only=parameters.flag(body, "postOnly", default=request.post_only),
        self_trade_prevention=parameters.one_of(
            body, "selfTradePrevention", SELF_TRADE_PREVENTIONS, request.self_trade_prevention
        ),
        trigger=_trigger(request, rules, body),
    )
    check_time_in_force(post_only=changed.post_only, time_in_force=changed.time_in_force)
    return changed


def _check_type(order: Order, body: Mapping[str, object]) -> None:
    """Which changes an order admits: by its type, by how it counts its size, and by whether it has fired."""
    request = order.request
    if request.order_type == MARKET:
        raise Refusal(234, "Market orders cannot be updated.")
    if (request.quote is None and "amountQuote" in body) or (
        request.quote is not None and ("amount" in body or "amountRemaining" in body)
    ):
        raise Refusal(239, "An update cannot switch between amount and amountQuote.")
    if "triggerAmount" in body and not order.is_waiting:
        raise unsupported("triggerAmount", request.order_type)
    if request.order_type not in LIMIT_TYPES:
        for name in LIMIT_FIELDS:
            if name in body:
                raise unsupported(name, request.order_type)


def _amount(order: Order, rules: MarketRules, body: Mapping[str, object]) -> int | None:
    total = parameters.decimal(body, "amount", fixed.AMOUNT_DIGITS, rules.quantity_decimals)
    remaining = parameters.decimal(body, "amountRemaining", fixed.AMOUNT_DIGITS, rules.quantity_decimals)
    if remaining is not None:
        return order.filled + remaining
    return _or_kept(total, order.request.amount)


def _trigger(request: OrderRequest, rules: MarketRules, body: Mapping[str, object]) -> Trigger | None:
    amount = parameters.price(body, rules.tick, rules.tick_text, "triggerAmount")
    return request.trigger if request.trigger is None or amount is None else replace(request.trigger, amount=amount)


def _or_kept(new: int | None, kept: int | None) -> int | None:
    return kept if new is None else new
