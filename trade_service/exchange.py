"""The edge to the exchange: what its answers prove, as settlements. Only `app` makes one, only `send` sends by it."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from bitvavo.budget import Permit, Purpose, RateBudget
from bitvavo.client import TradeClient
from bitvavo.clock import ExchangeClock, ExchangeClockUnknownError
from bitvavo.order import Order as ExchangeOrder
from bitvavo.order import order_body
from bitvavo.reply import Accepted, Found, NotThere, Rejected, Unclear
from bitvavo.session import ExchangeUnavailableError
from kernel import logs
from kernel.alarms import raise_alarm
from kernel.decimals import plain
from policy.model import ExecutionStatus, Side, Terms
from trade_service.account import Shape, shape_of
from trade_service.authority import Order
from trade_service.execution import NOT_SENT, UNRESOLVED, Fill, OrderFacts, Settlement, Target
from trade_service.ports import LookUp

ANSWER_MARGIN_SECONDS: Final = 1.5
"""How long after the end of the window an answer is still waited for: then the order exists, or never will."""
CLOCK_PAUSE_SECONDS: Final = 10.0
CLOCK_RETRY_SECONDS: Final = 1.0
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
FOREIGN_ORDER: Final = "FOREIGN_ORDER"
FILLED: Final = "filled"
ANY_OPEN: Final = UNRESOLVED | {ExecutionStatus.SUBMITTED}
LOOK_UP_POINTS: Final = 1
LIST_POINTS: Final = 5
LIST_MARGIN_MS: Final = 10_000
LIST_SPAN_MS: Final = 600_000
"""The list is asked for from just before the signing to ten minutes after it: longer than any window."""
NO_ANSWER: Final = LookUp(answered=False, settlement=None)
NOT_THERE: Final = LookUp(answered=True, settlement=None)
SENDER: Final = frozenset({ExecutionStatus.SUBMITTING})


class BitvavoExchange:
    """The one exchange account of this deployment."""

    def __init__(
        self,
        client: TradeClient,
        budget: RateBudget,
        clock: ExchangeClock,
        operator_id: int,
    ) -> None:
        """Take the parts; the budget observes every answer of the client."""
        self._client = client
        self._budget = budget
        self._clock = clock
        self.operator_id = operator_id

    def permit(self) -> Permit | None:
        """Take one point of the claims' share."""
        return self._budget.take(Purpose.CLAIM, 1)

    def retry_after_seconds(self) -> float:
        """Say when a permit may be had again."""
        return self._budget.retry_after_seconds(Purpose.CLAIM)

    def timestamp_ms(self) -> int | None:
        """Return a lower bound of the exchange's clock; None when it is not known well enough to sign by."""
        try:
            return self._clock.signed_timestamp_ms()
        except ExchangeClockUnknownError:
            return None

    def body(self, terms: Terms, client_order_id: UUID) -> bytes:
        """Write the exact bytes of an order: the digits are the caller's own."""
        limit = terms.time_in_force is not None
        return order_body(
            market=terms.market,
            side=terms.side.lower(),
            order_type=terms.order_type.lower(),
            operator_id=self.operator_id,
            client_order_id=str(client_order_id),
            amount=_digits(terms.amount),
            amount_quote=_digits(terms.quote_amount),
            price=_digits(terms.price),
            time_in_force=terms.time_in_force,
            post_only=terms.post_only if limit else None,
        )

    async def create(self, order: Order) -> Settlement:
        """Send these bytes, once, and say what the answer proves."""
        execution = order.execution
        reply = await self._client.create_order(
            execution.body,
            timestamp_ms=execution.signed_timestamp_ms,
            window_ms=execution.window_ms,
            timeout_seconds=execution.window_ms / 1000 + ANSWER_MARGIN_SECONDS,
            client_order_id=str(execution.client_order_id),
            market=order.market,
        )
        # Cases: the exchange shows the order; it refused for good; no byte left this machine; anything else.
        match reply:
            case Accepted(found):
                return settlement_of(found, UNRESOLVED, "SETTLED")
            case Rejected(code, _, status):
                refusal = {"http_status": status, "code": code}
                return Settlement(ExecutionStatus.REJECTED, UNRESOLVED, "REJECTED", refusal, reject_code=code)
            case Unclear(reason, _, _, True):
                return Settlement(ExecutionStatus.NOT_PLACED, SENDER, NOT_SENT, {"not_sent": reason})
            case Unclear(reason, status, code, _):
                doubt = {"unclear": reason, "http_status": status, "code": code}
                return Settlement(ExecutionStatus.UNKNOWN, SENDER, "ANSWER_UNCLEAR", doubt)

    async def look_up(self, target: Target) -> LookUp:
        """Ask for our order by its client order id, then in the market's list: the first soon forgets closed orders.

        Only finding it proves something; "not there" is no proof that it never will be. The list is asked too when the
        first shows an order that is not ours: it names one order of a client order id, and ours may be another.
        """
        single = await self._look_up_one(target)
        if single.settlement is not None or not single.answered:
            return single
        return await self._look_up_list(target)

    async def _look_up_one(self, target: Target) -> LookUp:
        if self._budget.take(Purpose.RECONCILE, LOOK_UP_POINTS) is None:
            return NO_ANSWER
        reply = await self._client.get_order(target.terms.market, str(target.client_order_id))
        match reply:
            case Found(order):
                return _adopted(order, target)
            case NotThere():
                return NOT_THERE
            case Unclear(reason):
                logs.log("look_up_unclear", execution_id=str(target.execution_id), reason=reason)
                return NO_ANSWER

    async def _look_up_list(self, target: Target) -> LookUp:
        if self._budget.take(Purpose.RECONCILE, LIST_POINTS) is None:
            return NO_ANSWER
        start_ms = target.signed_timestamp_ms - LIST_MARGIN_MS
        try:
            orders = await self._client.orders(target.terms.market, start_ms=start_ms, end_ms=start_ms + LIST_SPAN_MS)
        except ExchangeUnavailableError as error:
            logs.log("look_up_unclear", execution_id=str(target.execution_id), reason=error.kind)
            return NO_ANSWER
        named = [each for each in orders if each.client_order_id == str(target.client_order_id)]
        order = next((each for each in named if is_ours(each, target)), next(iter(named), None))
        return NOT_THERE if order is None else _adopted(order, target)

    async def cancel(self, target: Target) -> None:
        """Ask for a cancel; whatever comes back, the order is read afterwards."""
        if self._budget.take(Purpose.RECONCILE, 1) is None:
            return
        reply = await self._client.cancel_order(target.terms.market, str(target.client_order_id), target.operator_id)
        logs.log("cancel_asked", execution_id=str(target.execution_id), answer=type(reply).__name__)


async def keep_clock(client: TradeClient, clock: ExchangeClock) -> None:
    """Read the exchange's clock for ever; without a recent reading claims are denied, and nothing else happens."""
    while True:
        try:
            told = await client.time()
            clock.observe(told.server_ms, told.sent_at, told.received_at)
            pause = CLOCK_PAUSE_SECONDS
        except ExchangeUnavailableError as error:
            logs.log("exchange_clock_unread", kind=error.kind)
            pause = CLOCK_RETRY_SECONDS
        await asyncio.sleep(pause)


def settlement_of(order: ExchangeOrder, from_statuses: frozenset[ExecutionStatus], event: str) -> Settlement:
    """Return what the exchange's own object makes of an execution: an order id always wins."""
    status = ExecutionStatus.SUBMITTED
    if order.final:
        status = ExecutionStatus.FILLED if order.status == FILLED else ExecutionStatus.CANCELED
    facts = OrderFacts(
        order_id=order.order_id,
        exchange_status=order.status,
        filled_amount=order.filled_amount,
        filled_quote=order.filled_amount_quote,
        fee_paid=order.fee_paid or Decimal(0),
        fee_currency=order.fee_currency or "",
        fills=tuple(
            Fill(
                fill_id=fill.id,
                amount=fill.amount,
                price=fill.price,
                fee=fill.fee,
                fee_currency=fill.fee_currency,
                taker=fill.taker,
                filled_at=EPOCH + timedelta(milliseconds=fill.timestamp_ms),
            )
            for fill in order.fills
        ),
    )
    evidence = {"order_id": order.order_id, "exchange_status": order.status, "why": order.restatement_reason}
    return Settlement(status, from_statuses, event, evidence, order=facts)


def is_ours(order: ExchangeOrder, target: Target) -> bool:
    """Say whether an order under our client order id is the one we asked for; another one is foreign.

    Once its order id is known, that alone says it. Before, it must be what was asked for: smaller only where the
    exchange says that it made it so, when it met another order of the same account.
    """
    if target.order_id:
        return (order.market, order.order_id) == (target.terms.market, target.order_id)
    shape = Shape(order.market, Side(order.side.upper()), order.amount, order.amount_quote, order.price)
    return shape.is_of(shape_of(target.terms), made_smaller=order.made_smaller)


def _adopted(order: ExchangeOrder, target: Target) -> LookUp:
    """Return what a found order makes of the execution, unless it is not the one we asked for."""
    if is_ours(order, target):
        return LookUp(answered=True, settlement=settlement_of(order, ANY_OPEN, "FOUND"))
    message = "an order under our client order id is not the one that was asked for; nothing was adopted"
    raise_alarm(FOREIGN_ORDER, message, subject=str(target.client_order_id), execution_id=str(target.execution_id))
    return NOT_THERE


def _digits(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)
