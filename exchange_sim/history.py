"""The account's history of deposits and trades, page by page: https://docs.bitvavo.com/docs/rest-api/."""

from __future__ import annotations

from datetime import UTC, datetime

from exchange_sim import parameters
from exchange_sim.accounts import Account, Deposit
from exchange_sim.endpoint import Call
from exchange_sim.exchange import Exchange
from exchange_sim.fixed import write_amount, write_atoms, write_price
from exchange_sim.order import Fill, Order

MOST_ITEMS = 100
MOST_PAGES = 1_000_000
END_OF_TIME_MS = 2**53
NS_PER_MS = 1_000_000


def history_answer(call: Call) -> object:
    """One page of `GET /account/history`, newest first."""
    start_ms = parameters.whole(call.parameters, "fromDate", 0, 0, END_OF_TIME_MS)
    end_ms = parameters.whole(call.parameters, "toDate", END_OF_TIME_MS, 0, END_OF_TIME_MS)
    page = parameters.whole(call.parameters, "page", 1, 1, MOST_PAGES)
    size = parameters.whole(call.parameters, "maxItems", MOST_ITEMS, 1, MOST_ITEMS)
    wanted = call.parameters.get("type")
    items = [
        item
        for at_ms, item in _all_items(call.exchange, call.account)
        if start_ms <= at_ms <= end_ms and wanted in (None, item["type"])
    ]
    pages = max(1, -(-len(items) // size))
    rows = items[(page - 1) * size : page * size]
    return {"items": rows, "currentPage": page, "totalPages": pages, "maxItems": size}


def _all_items(exchange: Exchange, account: Account) -> list[tuple[int, dict[str, object]]]:
    items = [(each.at_ms, _deposit(number, each)) for number, each in enumerate(account.deposits)]
    for market, rows in account.fills.items():
        quote, base = exchange.venues[market].rules.quote, exchange.venues[market].rules.base
        items += [(fill.at_ns // NS_PER_MS, _trade(order, fill, base, quote)) for order, fill in rows]
    return sorted(items, key=lambda item: item[0], reverse=True)


def _deposit(number: int, deposit: Deposit) -> dict[str, object]:
    return {
        "transactionId": f"00000000-0000-4000-8000-{number:012x}",
        "executedAt": moment(deposit.at_ms),
        "type": "deposit",
        "receivedCurrency": deposit.symbol,
        "receivedAmount": write_atoms(deposit.atoms),
        "feesCurrency": deposit.symbol,
        "feesAmount": "0",
        "address": None,
    }


def _trade(order: Order, fill: Fill, base: str, quote: str) -> dict[str, object]:
    amount, value = write_amount(fill.amount), write_atoms(fill.amount * fill.price)
    sent, received = ((quote, value), (base, amount)) if order.is_buy else ((base, amount), (quote, value))
    return {
        "transactionId": fill.fill_id,
        "executedAt": moment(fill.at_ns // NS_PER_MS),
        "type": "buy" if order.is_buy else "sell",
        "priceCurrency": quote,
        "priceAmount": write_price(fill.price),
        "sentCurrency": sent[0],
        "sentAmount": sent[1],
        "receivedCurrency": received[0],
        "receivedAmount": received[1],
        "feesCurrency": quote,
        "feesAmount": write_atoms(fill.fee),
        "address": None,
    }


def moment(at_ms: int) -> str:
    """A moment as the exchange writes it: ISO 8601 in UTC with milliseconds."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
