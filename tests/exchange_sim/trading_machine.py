"""Random trading: all money adds up to the atom, and where nobody runs out of it a brute-force model agrees."""

from dataclasses import dataclass, replace
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from exchange_sim import house_moves, trading
from exchange_sim.accounts import Account
from exchange_sim.exchange import Exchange
from exchange_sim.fixed import ATOM_DIGITS, PRICE_DIGITS
from exchange_sim.order import (
    LIMIT,
    LIMIT_TYPES,
    MARKET,
    ORDER_TYPES,
    STOPS,
    Order,
    OrderRequest,
    Trigger,
)
from exchange_sim.order_form import SELF_TRADE_PREVENTIONS, TIMES_IN_FORCE
from exchange_sim.refusal import Refusal
from exchange_sim.rules import default_row, read_rules
from exchange_sim.switches import Switches
from exchange_sim.triggers import REFERENCES
from tests.exchange_sim.brute_force import BruteForce, Modelled, Wish
from tests.exchange_sim.feed_mirror import Mirror
from tests.exchange_sim.hand_clock import HandClock
from tests.exchange_sim.sound_market import SoundMarket

TICK = 10**PRICE_DIGITS // 100
STEP = 10**6
POOR, RICH = 30, 1_000_000
AMOUNT = st.integers(1, 20) | st.integers(1, 400)
PRICE = st.integers(97, 103)
WHO = st.sampled_from([0, 1, 2])
SIDE = st.booleans()
FORCE = st.sampled_from(["GTC", "GTC", "GTC", *TIMES_IN_FORCE])
PREVENTION = st.sampled_from(SELF_TRADE_PREVENTIONS)
TRIGGERED = st.sampled_from([kind for kind in ORDER_TYPES if kind not in (MARKET, LIMIT)])
OPEN_STATES = {"new": "open", "partiallyFilled": "open", "awaitingTrigger": "waiting"}


@dataclass(eq=False)
class Pair:
    """One order at the exchange and in the model."""

    order: Order
    modelled: Modelled


class Trading(SoundMarket):
    """Three accounts and, in some runs, a house; small numbers so that rounding always bites."""

    orders: ClassVar[int] = 0

    @initialize(
        rounding=st.sampled_from(["per_fill", "per_order"]),
        hold=st.sampled_from(["taker", "maker"]),
        protection=st.sampled_from([None, 1, 3, 10]),
        refills=st.booleans(),
        is_modelled=st.booleans(),
        has_house=st.booleans(),
    )
    def open(
        self,
        rounding: str,
        hold: str,
        protection: int | None,
        refills: bool,  # noqa: FBT001  drawn
        is_modelled: bool,  # noqa: FBT001
        has_house: bool,  # noqa: FBT001
    ) -> None:
        switches = Switches(
            fee_rounding=rounding,
            post_only_hold=hold,
            market_protection_per_cent=protection,
            house_refills=refills,
            update_busy_ms=0,
            book_batch_ms=0,
        )
        self.exchange = Exchange(clock=HandClock(), switches=switches)
        row = default_row("BTC-EUR") | {"quantityDecimals": 2, "minOrderInQuoteAsset": "0", "tickSize": "0.01"}
        self.venue = self.exchange.open_market(read_rules(row | {"minOrderInBaseAsset": "0"}))
        # The model knows no money, so it is asked where nobody runs out of it.
        self.deposited = RICH if is_modelled else POOR
        self.accounts = [Account(f"a{number}") for number in range(3)]
        for account in self.accounts:
            self.exchange.accounts[account.name] = account
            account.deposit("EUR", self.deposited * 10**ATOM_DIGITS, 0)
            account.deposit("BTC", self.deposited * 10**ATOM_DIGITS, 0)
        self.mirror = Mirror(self.venue)
        self.exchange.feed.subscribe(self.mirror)
        self.model = BruteForce(protection) if is_modelled else None
        self.pairs: list[Pair] = []
        self.has_house = has_house and not is_modelled
        if self.has_house:
            self.set_house(100)

    def set_house(self, middle: int) -> None:
        bids = [((middle - step) * TICK, 10**7 * step) for step in (1, 2, 3)]
        asks = [((middle + step) * TICK, 10**7 * step) for step in (1, 2, 3)]
        house_moves.set_levels(self.exchange, self.venue, bids, asks)

    @rule(who=WHO, is_buy=SIDE, amount=AMOUNT, price=PRICE, force=FORCE, post_only=st.booleans(), prevention=PREVENTION)
    def limit(
        self,
        who: int,
        is_buy: bool,  # noqa: FBT001
        amount: int,
        price: int,
        force: str,
        post_only: bool,  # noqa: FBT001
        prevention: str,
    ) -> None:
        wish = Wish(who, is_buy, amount, price, force, post_only and force == "GTC", prevention)
        self.place(LIMIT, wish)

    @rule(who=WHO, is_buy=SIDE, amount=AMOUNT, prevention=PREVENTION)
    def market(self, who: int, is_buy: bool, amount: int, prevention: str) -> None:  # noqa: FBT001  drawn
        self.place(MARKET, Wish(who, is_buy, amount, prevention=prevention))

    @rule(
        who=WHO,
        is_buy=SIDE,
        amount=AMOUNT,
        price=PRICE,
        kind=TRIGGERED,
        trigger=PRICE,
        reference=st.sampled_from(REFERENCES),
        prevention=PREVENTION,
    )
    def triggered(
        self,
        who: int,
        is_buy: bool,  # noqa: FBT001
        amount: int,
        price: int,
        kind: str,
        trigger: int,
        reference: str,
        prevention: str,
    ) -> None:
        above = is_buy is (kind in STOPS)
        limit = price if kind in LIMIT_TYPES else None
        self.place(kind, Wish(who, is_buy, amount, limit, prevention=prevention, trigger=(trigger, reference, above)))

    @rule(who=WHO, is_buy=SIDE, cents=st.integers(1, 500), prevention=PREVENTION, trigger=st.none() | PRICE)
    def by_quote(
        self,
        who: int,
        is_buy: bool,  # noqa: FBT001  drawn
        cents: int,
        prevention: str,
        trigger: int | None,
    ) -> None:
        if self.model is not None:
            return
        quote = cents * 10 ** (ATOM_DIGITS - 2)
        waits = None if trigger is None else Trigger(trigger * TICK, "lastTrade")
        kind = MARKET if trigger is None else "stopLoss"
        request = OrderRequest("BTC-EUR", is_buy, kind, 1, quote=quote, self_trade_prevention=prevention, trigger=waits)
        order = self.ask(who, request)
        if order is not None and is_buy:
            wanted = order.request.quote or 0
            assert order.filled_quote + order.fee_paid + order.quote_remaining == wanted

    @rule(
        number=st.integers(0, 30),
        amount=st.none() | AMOUNT,
        price=st.none() | PRICE,
        trigger=st.none() | PRICE,
        force=st.none() | FORCE,
        prevention=st.none() | PREVENTION,
    )
    def update(
        self,
        number: int,
        amount: int | None,
        price: int | None,
        trigger: int | None,
        force: str | None,
        prevention: str | None,
    ) -> None:
        order = self.chosen(number)
        if order is None or order.request.quote is not None:
            return
        request = order.request
        is_limit, old = request.price is not None, request.trigger
        waits = old if old is None or trigger is None or not order.is_waiting else replace(old, amount=trigger * TICK)
        changed = replace(
            request,
            amount=request.amount if amount is None else amount * STEP,
            price=request.price if price is None or not is_limit else price * TICK,
            time_in_force=request.time_in_force if force is None or not is_limit or request.post_only else force,
            self_trade_prevention=prevention or request.self_trade_prevention,
            trigger=waits,
        )
        before = self.snapshot()
        try:
            trading.update(self.exchange, self.venue, order, changed)
        except Refusal:
            assert self.snapshot() == before
            assert self.model is None or (changed.amount or 0) <= order.filled
            return
        self.check_update(order, changed)

    @rule(number=st.integers(0, 30))
    def cancel(self, number: int) -> None:
        order = self.chosen(number)
        if order is not None:
            trading.cancel(self.exchange, self.venue, order)
            self.check_cancel([order])

    @rule(who=WHO)
    def cancel_all(self, who: int) -> None:
        orders = list(self.accounts[who].open_orders.values())
        canceled = trading.cancel_many(self.exchange, [(self.venue, order) for order in orders])
        assert canceled == orders
        self.check_cancel(orders)

    @rule(middle=PRICE)
    def move_house(self, middle: int) -> None:
        if self.has_house:
            self.set_house(middle)

    @rule(is_buy=SIDE, price=PRICE, size=st.integers(0, 3))
    def change_house(self, is_buy: bool, price: int, size: int) -> None:  # noqa: FBT001  drawn
        if self.has_house:
            level = [(price * TICK, size * 10**7)]
            house_moves.change_levels(self.exchange, self.venue, *((level, []) if is_buy else ([], level)))

    def chosen(self, number: int) -> Order | None:
        orders = [order for account in self.accounts for order in account.open_orders.values()]
        return orders[number % len(orders)] if orders else None

    def place(self, kind: str, wish: Wish) -> None:
        trigger = None if wish.trigger is None else Trigger(wish.trigger[0] * TICK, wish.trigger[1])
        request = OrderRequest(
            "BTC-EUR",
            wish.is_buy,
            kind,
            1,
            amount=wish.amount * STEP,
            price=None if wish.price is None else wish.price * TICK,
            time_in_force=wish.force,
            post_only=wish.post_only,
            self_trade_prevention=wish.prevention,
            trigger=trigger,
        )
        order = self.ask(wish.who, request)
        if self.model is not None:
            assert order is not None
            self.pairs.append(Pair(order, self.model.place(wish)))
            self.compare()

    def ask(self, who: int, request: OrderRequest) -> Order | None:
        before = self.snapshot()
        try:
            order = trading.place(self.exchange, self.accounts[who], request)
        except Refusal:
            assert self.snapshot() == before
            return None
        Trading.orders += 1
        return order

    def snapshot(self) -> list[tuple[int, int]]:
        return [(each.available, each.held) for account in self.accounts for each in account.balances.values()]

    def check_update(self, order: Order, request: OrderRequest) -> None:
        if self.model is None:
            return
        pair = next(each for each in self.pairs if each.order is order)
        old, trigger = pair.modelled.wish, request.trigger
        wish = replace(
            old,
            amount=(request.amount or 0) // STEP,
            price=None if request.price is None else request.price // TICK,
            force=request.time_in_force,
            prevention=request.self_trade_prevention,
            trigger=(trigger.amount // TICK, *old.trigger[1:]) if trigger and old.trigger else None,
        )
        self.model.update(pair.modelled, wish)
        self.compare()

    def check_cancel(self, orders: list[Order]) -> None:
        if self.model is not None:
            self.model.cancel([each.modelled for each in self.pairs if each.order in orders])
            self.compare()

    def compare(self) -> None:
        for pair in self.pairs:
            order, modelled = pair.order, pair.modelled
            assert OPEN_STATES.get(order.status, order.status) == modelled.state
            assert order.remaining == modelled.left * STEP
            assert [(fill.price // TICK, fill.amount // STEP) for fill in order.fills] == modelled.fills
