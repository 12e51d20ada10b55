"""An order as the exchange keeps it, and its fills; amounts, prices and atoms as in `fixed`."""

from __future__ import annotations

from dataclasses import dataclass, field

from exchange_sim.accounts import Account

NEW = "new"
AWAITING_TRIGGER = "awaitingTrigger"
PARTIALLY_FILLED = "partiallyFilled"
FILLED = "filled"
CANCELED = "canceled"
EXPIRED = "expired"

LIMIT = "limit"
MARKET = "market"
STOP_LOSS = "stopLoss"
STOP_LOSS_LIMIT = "stopLossLimit"
TAKE_PROFIT = "takeProfit"
TAKE_PROFIT_LIMIT = "takeProfitLimit"
ORDER_TYPES = (MARKET, LIMIT, STOP_LOSS, STOP_LOSS_LIMIT, TAKE_PROFIT, TAKE_PROFIT_LIMIT)
LIMIT_TYPES = frozenset({LIMIT, STOP_LOSS_LIMIT, TAKE_PROFIT_LIMIT})
STOPS = frozenset({STOP_LOSS, STOP_LOSS_LIMIT})

DECREMENT_AND_CANCEL = "decrementAndCancel"
CANCEL_OLDEST = "cancelOldest"
CANCEL_NEWEST = "cancelNewest"
CANCEL_BOTH = "cancelBoth"


@dataclass(frozen=True, slots=True)
class Trigger:
    """When a trigger order becomes active: a price, and what is compared with it."""

    amount: int
    reference: str
    kind: str = "price"


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """What a client asked for, after its form was checked; `amount` or `quote` is set, never both."""

    market: str
    is_buy: bool
    order_type: str
    operator_id: int
    amount: int | None = None
    quote: int | None = None
    price: int | None = None
    client_order_id: str | None = None
    time_in_force: str = "GTC"
    post_only: bool = False
    self_trade_prevention: str = DECREMENT_AND_CANCEL
    response_required: bool = True
    trigger: Trigger | None = None
    group: int | None = None


@dataclass(frozen=True, slots=True)
class Fill:
    """One match of one order; fee in quote atoms, time in Unix ns and in steady ms."""

    fill_id: str
    amount: int
    price: int
    is_taker: bool
    fee: int
    at_ns: int
    at_steady_ms: int


@dataclass(slots=True, eq=False)
class Order:
    """One order from creation to its final state. `remaining` counts base, `quote_remaining` quote atoms.

    `request` is what the client wants now: an update or a self-trade replaces it by a changed one.
    """

    order_id: str
    account: Account
    request: OrderRequest
    created_ns: int
    created_steady_ms: int
    remaining: int
    quote_remaining: int = 0
    is_buy: bool = False
    price: int = 0
    status: str = NEW
    updated_ns: int = 0
    closed_steady_ms: int | None = None
    hold: int = 0
    filled: int = 0
    filled_quote: int = 0
    fee_paid: int = 0
    # Sums behind a rounding per order: exact debits or credits (10^-8 atoms), and what was moved so far.
    scaled_moves: int = 0
    moved: int = 0
    fills: list[Fill] = field(default_factory=list)
    restatement: str | None = None
    is_resting: bool = False
    # While a cancel is not yet visible to reads: the last answer before it, and until when (steady ms).
    stale_answer: dict[str, object] | None = None
    stale_until_ms: int = 0
    # While an update keeps the order out of reach of other updates and cancels (steady ms).
    busy_until_ms: int = 0

    @property
    def is_open(self) -> bool:
        """Whether the exchange may still fill it."""
        return self.closed_steady_ms is None

    @property
    def is_waiting(self) -> bool:
        """Whether it is a trigger order that has not fired."""
        return self.status == AWAITING_TRIGGER
