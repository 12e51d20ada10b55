"""The edge to the whole account: its open orders, and all its orders of a market and a span, page by page.

It spends the claims' points: a match at start keeps the claims waiting, so their share lies idle, and the share for
cancels and look-ups stays whole. Only `app` makes one.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from bitvavo.budget import Purpose, RateBudget
from bitvavo.client import TradeClient
from bitvavo.clock import ExchangeClock, ExchangeClockUnknownError
from bitvavo.endpoints import OPEN_ORDERS, ORDERS
from bitvavo.order import Order
from bitvavo.session import ExchangeUnavailableError
from kernel import logs
from kernel.errors import Unavailable
from policy.model import Side
from trade_service import reasons
from trade_service.account import AccountOrder, Shape

PAGE_ORDERS: Final = 500
"""Half of what the exchange gives at most: a page of orders with many fills each still fits the body's bound."""
PAGES_MAX: Final = 2_000
"""Of one market and span: a million orders, and the exchange's rate limit admits 1.4 million a day in all."""
WAIT_MAX_SECONDS: Final = 10.0
RETRY_SECONDS: Final = 2.0
INVALID_VALUE: Final = 205
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class BitvavoAccount:
    """The one exchange account of this deployment, as a whole."""

    def __init__(self, client: TradeClient, budget: RateBudget, clock: ExchangeClock, operator_id: int) -> None:
        """Take the parts; the budget observes every answer of the client."""
        self._client = client
        self._budget = budget
        self._clock = clock
        self.operator_id = operator_id

    def now_ms(self) -> int | None:
        """Return a lower bound of the exchange's clock; None when it is not known."""
        try:
            return self._clock.signed_timestamp_ms()
        except ExchangeClockUnknownError:
            return None

    async def open_orders(self) -> Sequence[AccountOrder]:
        """Return every open order of every market; none when this replica's points never suffice (it says so).

        Raises:
            Unavailable: the exchange gave no list that can be used.
        """
        points = OPEN_ORDERS.weight_for(None)
        if self._budget.share(Purpose.CLAIM) < points:
            logs.log(
                "account_read_too_dear", level=logs.WARNING, points=points, share=self._budget.share(Purpose.CLAIM)
            )
            return ()
        await self._wait_for(points)
        try:
            return [_account_order(each) for each in await self._client.open_orders()]
        except ExchangeUnavailableError as error:
            raise _unavailable(error) from None

    async def orders(self, market: str, start_ms: int, end_ms: int) -> AsyncIterator[Sequence[AccountOrder]]:
        """Yield every order of a market made in this span, open or not. A market the exchange does not know has none.

        Raises:
            Unavailable: the exchange gave no complete list.
        """
        last: str | None = None
        for _ in range(PAGES_MAX):
            page = await self._page(market, start_ms, end_ms, last)
            yield [_account_order(each) for each in page]
            if len(page) < PAGE_ORDERS:
                return
            if page[-1].order_id == last:
                break
            last = page[-1].order_id
        message = f"the exchange's list of {market} orders does not come to its end"
        raise Unavailable(reasons.EXCHANGE_UNAVAILABLE, message, retry_after_seconds=RETRY_SECONDS)

    async def _page(self, market: str, start_ms: int, end_ms: int, last: str | None) -> Sequence[Order]:
        # A page begins with the order the one before it ended with: the bound is part of the page.
        await self._wait_for(ORDERS.weight)
        try:
            return await self._client.orders(
                market, start_ms=start_ms, end_ms=end_ms, order_id_to=last, limit=PAGE_ORDERS
            )
        except ExchangeUnavailableError as error:
            if error.code == INVALID_VALUE and await self._is_unknown(market):
                logs.log("account_market_unknown", market=market)
                return ()
            raise _unavailable(error) from None

    async def _is_unknown(self, market: str) -> bool:
        """Ask something in which nothing but the market can be invalid: a policy may list one that is gone."""
        await self._wait_for(OPEN_ORDERS.weight)
        try:
            await self._client.open_orders(market)
        except ExchangeUnavailableError as error:
            return error.code == INVALID_VALUE
        return False

    async def _wait_for(self, points: int) -> None:
        while self._budget.take(Purpose.CLAIM, points) is None:
            seconds = self._budget.retry_after_seconds(Purpose.CLAIM, points)
            logs.log("account_read_waits", points=points, seconds=round(seconds, 1))
            await asyncio.sleep(min(seconds, WAIT_MAX_SECONDS))


def _unavailable(error: ExchangeUnavailableError) -> Unavailable:
    message = f"the exchange does not list the account's orders ({error.kind}, code {error.code}); nothing was judged"
    return Unavailable(reasons.EXCHANGE_UNAVAILABLE, message, retry_after_seconds=RETRY_SECONDS)


def _account_order(order: Order) -> AccountOrder:
    side = Side(order.side.upper())
    return AccountOrder(
        order_id=order.order_id,
        client_order_id=order.client_order_id,
        operator_id=order.operator_id,
        shape=Shape(order.market, side, order.amount, order.amount_quote, order.price),
        created_at=EPOCH + timedelta(milliseconds=order.created_ms),
        made_smaller=order.made_smaller,
    )
