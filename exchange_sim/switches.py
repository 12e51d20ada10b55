"""Every behaviour of the exchange that its documents leave open, as a named switch.

The default is the case that is worst for a client that guards money. `POST /_sim/switches` changes them while running;
docs/simulator.md has the table, and a test keeps the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace


def _choice(default: str, *others: str) -> str:
    value: str = field(default=default, metadata={"choices": (default, *others)})
    return value


@dataclass(frozen=True, slots=True)
class Switches:
    """The doubtful behaviours, all at their worst; times in milliseconds, `None` means without limit."""

    order_read_lag_ms: int = 500
    orders_read_lag_ms: int = 500
    trades_read_lag_ms: int = 500
    cancel_read_lag_ms: int = 500
    closed_order_retention_ms: int | None = 5_000
    settle_delay_ms: int = 0
    future_timestamp_tolerance_ms: int | None = 0
    operator_id_missing_code: int = field(default=203, metadata={"choices": (203, 205)})
    signed_body: str = _choice("either", "raw", "compact")
    checks_first: str = _choice("validation", "permission")
    cancel_checks_first: str = _choice("right", "order")
    trade_only_key_reads_orders: bool = False
    closed_client_order_id: str = _choice("accepted", "refused")
    orders_window_limited: bool = True
    order_ids: str = _choice("per_market", "global")
    unknown_parameters: str = _choice("refused", "ignored")
    fee_rounding: str = _choice("per_fill", "per_order")
    post_only_hold: str = _choice("taker", "maker")
    unfilled_rest_status: str = _choice("expired", "canceled")
    signed_bucket: str = _choice("account", "key")
    filtered_shape: str = _choice("object", "array")
    empty_ticker_side: str = _choice("absent", "null")
    quiet_ticker_24h: str = _choice("null", "absent")
    zero_balances: str = _choice("omitted", "listed")
    account_capabilities: bool = False
    house_refills: bool = True
    trigger_direction: str = _choice("documented", "reversed")
    market_protection_per_cent: int | None = 10
    update_busy_ms: int = 50
    group_refusal_code: int = field(default=433, metadata={"choices": (433, 205)})
    nothing_to_cancel: str = _choice("empty_list", "not_found")
    withdrawal_checks_first: str = _choice("validation", "permission")
    staking_balance_weight: int = field(default=5, metadata={"choices": (5, 1)})
    report_quantity_name: str = _choice("quantity", "size")
    order_read_refusal_code: int = field(default=310, metadata={"choices": (310, 311)})
    account_channel_needs_view: bool = True
    account_event_order: str = _choice("shuffled", "in_order")
    socket_errors: str = _choice("action", "event")
    candle_event: str = _choice("candle", "candles")
    delta_after_subscribe: bool = True
    book_batch_ms: int = 100
    ping_interval_ms: int = 50_000


def changed(switches: Switches, changes: Mapping[str, object]) -> Switches:
    """Give the switches with some of them changed.

    Raises:
        ValueError: an unknown name, or a value the switch does not have.
    """
    known = {each.name: each for each in fields(Switches)}
    for name, value in changes.items():
        if name not in known:
            raise ValueError(f"no switch is called {name}")
        if not _fits(known[name].type, known[name].metadata.get("choices"), value):
            raise ValueError(f"switch {name} cannot be {value!r}")
    return replace(switches, **dict(changes))  # type: ignore[arg-type]


def _fits(kind: object, choices: tuple[object, ...] | None, value: object) -> bool:
    if choices is not None:
        return value in choices and not isinstance(value, bool)
    if kind == "bool":
        return isinstance(value, bool)
    if value is None:
        return kind == "int | None"
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
