"""Orders, fills and trades as the exchange writes them: https://docs.bitvavo.com/docs/rest-api/create-order/."""

from __future__ import annotations

from exchange_sim.exchange import Exchange
from exchange_sim.fixed import write_amount, write_atoms, write_price
from exchange_sim.order import LIMIT_TYPES, Fill, Order, OrderRequest
from exchange_sim.rules import MarketRules

NS_PER_MS = 1_000_000


def order_answer(order: Order, rules: MarketRules, exchange: Exchange) -> dict[str, object]:
    """The order object of POST, GET and the lists."""
    request = order.request
    answer = identity(order)
    answer["market"] = request.market
    answer.update(_times(order))
    answer.update(status=order.status, side="buy" if order.is_buy else "sell", orderType=request.order_type)
    if request.quote is None:
        answer.update(amount=write_amount(request.amount or 0), amountRemaining=write_amount(order.remaining))
    else:
        answer.update(amountQuote=write_atoms(request.quote), amountQuoteRemaining=write_atoms(order.quote_remaining))
    if request.price is not None:
        answer["price"] = write_price(request.price)
    answer.update(trigger_fields(request))
    answer.update(_money(order, rules, exchange))
    answer.update(selfTradePrevention=request.self_trade_prevention, visible=True)
    if request.order_type in LIMIT_TYPES:
        answer.update(timeInForce=request.time_in_force, postOnly=request.post_only)
    answer["operatorId"] = request.operator_id
    if request.group is not None:
        answer["codGroupId"] = request.group
    if order.restatement is not None:
        answer["restatementReason"] = order.restatement
    return answer


def trigger_fields(request: OrderRequest) -> dict[str, object]:
    """The four fields of a trigger order; nothing for others."""
    trigger = request.trigger
    if trigger is None:
        return {}
    price = write_price(trigger.amount)
    return {
        "triggerPrice": price,
        "triggerAmount": price,
        "triggerType": trigger.kind,
        "triggerReference": trigger.reference,
    }


def short_answer(order: Order) -> dict[str, object]:
    """The answer to a create that said `responseRequired: false`."""
    return identity(order) | {"market": order.request.market} | _times(order)


def canceled_answer(order: Order) -> dict[str, object]:
    """The answer to a cancel: ids only, nothing about fills."""
    return identity(order) | {"operatorId": order.request.operator_id}


def identity(order: Order) -> dict[str, object]:
    """The order id, and the client order id where one was given."""
    answer: dict[str, object] = {"orderId": order.order_id}
    if order.request.client_order_id is not None:
        answer["clientOrderId"] = order.request.client_order_id
    return answer


def own_trade_answer(order: Order, fill: Fill, rules: MarketRules, exchange: Exchange) -> dict[str, object]:
    """One row of `GET /trades` for the account's own trades."""
    row = {"id": fill.fill_id} | identity(order)
    row.update(operatorId=order.request.operator_id, timestamp=fill.at_ns // NS_PER_MS, market=order.request.market)
    row["side"] = "buy" if order.is_buy else "sell"
    return row | _fill_values(fill, rules, is_settled=is_settled(fill, exchange))


def _times(order: Order) -> dict[str, object]:
    return {
        "created": order.created_ns // NS_PER_MS,
        "createdNs": order.created_ns,
        "updated": order.updated_ns // NS_PER_MS,
        "updatedNs": order.updated_ns,
    }


def _money(order: Order, rules: MarketRules, exchange: Exchange) -> dict[str, object]:
    fee = order.fee_paid
    if exchange.switches.settle_delay_ms:
        fee = sum(fill.fee for fill in order.fills if is_settled(fill, exchange))
    return {
        "onHold": write_atoms(order.hold),
        "onHoldCurrency": rules.quote if order.is_buy else rules.base,
        "filledAmount": write_amount(order.filled),
        "filledAmountQuote": write_atoms(order.filled_quote),
        "feePaid": write_atoms(fee),
        "feeCurrency": rules.quote,
        "fills": [_fill_answer(fill, rules, exchange) for fill in order.fills],
    }


def _fill_answer(fill: Fill, rules: MarketRules, exchange: Exchange) -> dict[str, object]:
    row: dict[str, object] = {"id": fill.fill_id, "timestamp": fill.at_ns // NS_PER_MS}
    return row | _fill_values(fill, rules, is_settled=is_settled(fill, exchange))


def _fill_values(fill: Fill, rules: MarketRules, *, is_settled: bool) -> dict[str, object]:
    row: dict[str, object] = {
        "amount": write_amount(fill.amount),
        "price": write_price(fill.price),
        "taker": fill.is_taker,
    }
    if is_settled:
        row.update(fee=write_atoms(fill.fee), feeCurrency=rules.quote)
    row["settled"] = is_settled
    return row


def is_settled(fill: Fill, exchange: Exchange) -> bool:
    """Whether the fee of a fill is known."""
    delay_ms = exchange.switches.settle_delay_ms
    return not delay_ms or exchange.clock.steady_ms() >= fill.at_steady_ms + delay_ms
