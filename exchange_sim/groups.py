"""Cancel-on-disconnect groups: a timer per account and group number that cancels its orders unless it is prolonged.

Timers run on the exchange's own clock. Callers: the endpoint that sets them, and whoever lets time pass.
"""

from __future__ import annotations

import asyncio

from exchange_sim import trading
from exchange_sim.accounts import Account
from exchange_sim.exchange import Exchange

DISCONNECTED = "cancelOnDisconnect"
MS_PER_S = 1_000
CHECK_INTERVAL_S = 0.05


def set_timer(exchange: Exchange, account: Account, group: int, seconds: int) -> int:
    """Start or prolong a timer, 0 seconds remove it, and tell when it ends (Unix ms; 0 removed)."""
    if not seconds:
        exchange.groups.pop((account.name, group), None)
        return 0
    expires_ms = exchange.now_ms() + seconds * MS_PER_S
    exchange.groups[account.name, group] = expires_ms
    return expires_ms


def expire_groups(exchange: Exchange) -> None:
    """Cancel the open orders of each group whose timer has ended."""
    now_ms = exchange.now_ms()
    for (name, group), expires_ms in list(exchange.groups.items()):
        if expires_ms > now_ms:
            continue
        del exchange.groups[name, group]
        orders = exchange.accounts[name].open_orders.items()
        chosen = [(exchange.venues[market], order) for (market, _), order in orders if order.request.group == group]
        trading.cancel_many(exchange, chosen, DISCONNECTED)


async def watch_groups(exchange: Exchange) -> None:
    """Let timers end in time although no request arrives; runs until cancelled."""
    while True:
        await asyncio.sleep(CHECK_INTERVAL_S)
        if exchange.groups:
            expire_groups(exchange)
