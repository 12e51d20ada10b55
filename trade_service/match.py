"""The match: what the exchange shows of the account against our rows, at every start and from time to time after it.

A start is that of this process or that of the database: claims wait for the first match after it. An order with our
operator id that no row explains freezes this replica: the database was restored, another deployment uses our operator
id, or the code leaked. Orders of others are told, and halt trading if that is wished. Nothing is ever sent or settled
here; docs/decisions/0009-account-match.md has the reasons.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Final

from kernel import logs
from kernel.alarms import raise_alarm
from kernel.errors import Unavailable
from policy.model import Scope, State
from trade_service import reasons
from trade_service.account import Account, AccountOrder, Comparison, MatchStore, OrderKey, client_order_id_of
from trade_service.counters import show_account
from trade_service.ports import AdminStore
from trade_service.readiness import NOT_YET, Condition, Obstacle, Readiness
from trade_service.switch import Setting

ROUND_PAUSE_SECONDS: Final = 0.2
CLOCK_RETRY_SECONDS: Final = 0.2
FOLLOW_UP_SECONDS: Final = 30.0
"""After the first match the recent past is looked at again: what was made just before this start may show up late."""
WATCH_SECONDS: Final = 600.0
ROWS_RETRY_SECONDS: Final = 5.0
RETRY_SECONDS: Final = 60.0
DAY_MS: Final = 86_400_000
OVERLAP_MS: Final = 600_000
"""How far each look reaches back before the one before it, and the first before the newest claim."""
NAMED_MAX: Final = 5
FOREIGN_REMEMBERED_MAX: Final = 10_000
ACTOR: Final = "system"
FOREIGN_ORDERS: Final = "FOREIGN_ORDERS"


class Match:
    """Compares the account with our rows."""

    def __init__(
        self,
        account: Account,
        store: MatchStore,
        admin: AdminStore,
        readiness: Readiness,
        listed_markets: Callable[[], frozenset[str]],
        monotonic: Callable[[], float],
        *,
        halts: bool,
    ) -> None:
        """Take the parts. `listed_markets` reads the policy directory; `halts`: foreign orders halt trading."""
        self._account = account
        self._store = store
        self._admin = admin
        self._readiness = readiness
        self._listed_markets = listed_markets
        self._monotonic = monotonic
        self._halts = halts
        self._origin: str | None = None
        self._since_ms: int | None = None
        self._look_at = self._rows_at = monotonic()
        self._missing: tuple[AccountOrder, ...] = ()
        self._foreign_told: set[OrderKey] = set()

    async def forever(self) -> None:
        """Run rounds until cancelled; an exchange or a database that is away costs a round."""
        while True:
            await self.round()
            await asyncio.sleep(ROUND_PAUSE_SECONDS)

    def note_database(self, origin: str) -> None:
        """Take where a new connection leads, before anything is done over it; match as at a start if that is new.

        A database that was restarted, replaced or restored may have lost what it acknowledged. A claim that waited for
        the connection asks `readiness` once more, inside its transaction.
        """
        if origin == self._origin:
            return
        logs.log("database_met", origin=origin, before=self._origin)
        self._origin, self._since_ms, self._missing = origin, None, ()
        self._look_at = self._monotonic()
        self._readiness.miss(Condition.MATCHED, NOT_YET[Condition.MATCHED])

    async def round(self) -> None:
        """Do what is due now: look for the rows of missing orders, or look at the account."""
        try:
            if self._missing and self._monotonic() >= self._rows_at:
                await self._look_for_rows()
            if self._monotonic() >= self._look_at:
                await self._look()
        except Unavailable as failure:
            self._come_again(failure)

    def _come_again(self, failure: Unavailable) -> None:
        logs.log("account_not_looked_at", reason=failure.reason, why=failure.message)
        waiting = not self._readiness.holds(Condition.MATCHED)
        # While claims are made the looks must not spend their points on an exchange that does not answer.
        self._look_at = self._monotonic() + (failure.retry_after_seconds if waiting else RETRY_SECONDS)
        if waiting and not self._missing:
            self._readiness.miss(Condition.MATCHED, Obstacle(failure.message, failure.reason))

    async def _look_for_rows(self) -> None:
        """Ask the database alone, which costs no points; once every row is back, the account is looked at again."""
        self._rows_at = self._monotonic() + ROWS_RETRY_SECONDS
        comparison = Comparison(self._account.operator_id)
        await self._compare(self._missing, comparison)
        if not comparison.missing:
            self._look_at = self._monotonic()

    async def _look(self) -> None:
        until_ms = self._account.now_ms()
        if until_ms is None:
            message = "the exchange's clock is not known; nothing was judged"
            raise Unavailable(reasons.EXCHANGE_UNAVAILABLE, message, retry_after_seconds=CLOCK_RETRY_SECONDS)
        first, origin = self._since_ms is None, self._origin
        since_ms = await self._beginning(until_ms)
        comparison = await self._read(since_ms, until_ms)
        show_account(len(comparison.missing), len(comparison.foreign))
        await self._tell_foreign(comparison.foreign, first=first)
        if origin != self._origin:  # meanwhile another database answers: this look is worth nothing
            return
        self._missing = comparison.missing
        if self._missing:
            self._freeze()
            return
        self._since_ms = until_ms
        self._look_at = self._monotonic() + (FOLLOW_UP_SECONDS if first else WATCH_SECONDS)
        self._readiness.meet(Condition.MATCHED)

    async def _beginning(self, until_ms: int) -> int:
        """Return from when on orders are looked for: a day back, and never later than the newest claim we know of."""
        if self._since_ms is not None:
            return self._since_ms - OVERLAP_MS
        newest_ms = await self._store.newest_ms()
        day_ago_ms = until_ms - DAY_MS
        return day_ago_ms if newest_ms is None else min(day_ago_ms, newest_ms - OVERLAP_MS)

    async def _read(self, since_ms: int, until_ms: int) -> Comparison:
        """Read open orders everywhere, and all orders since then in every market we may have traded in."""
        comparison = Comparison(self._account.operator_id)
        opened = await self._account.open_orders()
        await self._compare(opened, comparison)
        markets = await self._store.allowed_markets() | self._listed_markets()
        markets |= {order.shape.market for order in opened}
        spans = list(_spans(since_ms, until_ms))
        logs.log("account_match", markets=len(markets), spans=len(spans), reads=len(markets) * len(spans))
        for read, market in enumerate(sorted(markets), start=1):
            async for page in self._pages(market, spans):
                await self._compare(page, comparison)
            logs.log("account_match_progress", market=market, read=read, of=len(markets), orders=comparison.orders)
        logs.log("account_matched", missing=len(comparison.missing), foreign=len(comparison.foreign))
        return comparison

    async def _pages(self, market: str, spans: Sequence[tuple[int, int]]) -> AsyncIterator[Sequence[AccountOrder]]:
        for start_ms, end_ms in spans:
            async for page in self._account.orders(market, start_ms, end_ms):
                yield page

    async def _compare(self, orders: Sequence[AccountOrder], comparison: Comparison) -> None:
        # The rows are read after the orders: a claim commits before its order leaves, so its row is always there.
        ids = {found for order in orders if (found := client_order_id_of(order)) is not None}
        comparison.add(orders, await self._store.known(ids) if ids else {})

    def _freeze(self) -> None:
        count = len(self._missing)
        message = f"orders at the exchange with our operator id that the database does not know: {count}"
        raise_alarm(reasons.ACCOUNT_NOT_MATCHED, f"{message}: {_named(self._missing)}", orders=count)
        obstacle = Obstacle(
            f"{message}; nothing was judged, and nothing trades until their rows are back",
            reasons.ACCOUNT_NOT_MATCHED,
            RETRY_SECONDS,
            {"orders": str(count)},
        )
        self._readiness.miss(Condition.MATCHED, obstacle)
        self._look_at = self._monotonic() + WATCH_SECONDS

    async def _tell_foreign(self, foreign: Sequence[AccountOrder], *, first: bool) -> None:
        news = [order for order in foreign if order.key not in self._foreign_told]
        if not news:
            return
        if len(self._foreign_told) + len(news) > FOREIGN_REMEMBERED_MAX:
            self._foreign_told.clear()
        if self._halts:
            await self._halt(news, first=first)
        self._foreign_told.update(order.key for order in news)
        raise_alarm(FOREIGN_ORDERS, f"orders of somebody else on this account: {len(news)}: {_named(news)}")

    async def _halt(self, news: Sequence[AccountOrder], *, first: bool) -> None:
        """Halt all trading, unless it is halted, or someone let it go on after these orders had been made.

        The second holds at a start only: it looks at orders of a day, which may have been looked into already.
        """
        switch = next((each for each in await self._admin.switches() if each.scope is Scope.GLOBAL), None)
        if switch is not None:
            looked_into = first and switch.changed_at > max(order.created_at for order in news)
            if switch.state is State.HALTED or looked_into:
                return
        cancels = switch is not None and switch.cancel_open_orders
        reason = f"{FOREIGN_ORDERS}: {_named(news)}"
        await self._admin.set_switch(Setting(Scope.GLOBAL, "", State.HALTED, cancels, reason, 0), ACTOR, lambda _: None)
        logs.log("halted", level=logs.WARNING, reason=FOREIGN_ORDERS, orders=len(news))


def _spans(since_ms: int, until_ms: int) -> Iterator[tuple[int, int]]:
    """Cut a stretch of time into spans of at most a day, newest first: the exchange lists no longer ones."""
    while until_ms > since_ms:
        yield max(since_ms, until_ms - DAY_MS), until_ms
        until_ms -= DAY_MS


def _named(orders: Sequence[AccountOrder]) -> str:
    more = len(orders) - NAMED_MAX
    return "; ".join(str(order) for order in orders[:NAMED_MAX]) + (f"; and {more} more" if more > 0 else "")
