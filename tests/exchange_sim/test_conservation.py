"""Random trading against two models: all money adds up to the atom, and matching follows price, then time."""

from dataclasses import dataclass

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from exchange_sim import trading
from exchange_sim.accounts import Account
from exchange_sim.exchange import Exchange
from exchange_sim.fixed import ATOM_DIGITS, PRICE_DIGITS
from exchange_sim.order import LIMIT, MARKET, Order, OrderRequest
from exchange_sim.refusal import Refusal
from exchange_sim.rules import default_row, read_rules
from exchange_sim.switches import Switches
from tests.exchange_sim.hand_clock import HandClock

TICK = 10**PRICE_DIGITS // 100
AMOUNT = st.integers(1, 400)
PRICE = st.integers(95, 105)
WHO = st.sampled_from([0, 1, 2])


@dataclass(eq=False)
class Resting:
    """The brute-force model's idea of a resting order."""

    order: Order
    is_buy: bool
    price: int
    arrived: int
    left: int


class Trading(RuleBasedStateMachine):
    """Three accounts and, in some runs, a house; small numbers so that rounding always bites."""

    @initialize(rounding=st.sampled_from(["per_fill", "per_order"]), refills=st.booleans(), has_house=st.booleans())
    def open(self, rounding: str, refills: bool, has_house: bool) -> None:  # noqa: FBT001  drawn
        switches = Switches(fee_rounding=rounding, house_refills=refills)
        self.exchange = Exchange(clock=HandClock(), switches=switches)
        row = default_row("BTC-EUR") | {"quantityDecimals": 2, "minOrderInQuoteAsset": "0", "tickSize": "0.01"}
        self.venue = self.exchange.open_market(read_rules(row))
        self.accounts = [Account(f"a{number}") for number in range(3)]
        for account in self.accounts:
            self.exchange.accounts[account.name] = account
            account.deposit("EUR", 30 * 10**ATOM_DIGITS, 0)
            account.deposit("BTC", 30 * 10**ATOM_DIGITS, 0)
        self.has_house = has_house
        if has_house:
            self.set_house(100)
        self.model: list[Resting] = []
        self.arrivals = 0

    def set_house(self, middle: int) -> None:
        bids = [((middle - step) * TICK, 10**7 * step) for step in (1, 2, 3)]
        asks = [((middle + step) * TICK, 10**7 * step) for step in (1, 2, 3)]
        trading.set_levels(self.exchange, self.venue, bids, asks)

    @rule(
        who=WHO, is_buy=st.booleans(), amount=AMOUNT, price=PRICE, force=st.sampled_from(["GTC", "GTC", "IOC", "FOK"])
    )
    def limit(self, who: int, is_buy: bool, amount: int, price: int, force: str) -> None:  # noqa: FBT001  drawn
        request = OrderRequest(
            "BTC-EUR", is_buy, LIMIT, 1, amount=amount * 10**6, price=price * TICK, time_in_force=force
        )
        order = self.place(who, request)
        if order is not None and not self.has_house:
            self.check_against_model(order, request)

    @rule(who=WHO, is_buy=st.booleans(), amount=AMOUNT)
    def market(self, who: int, is_buy: bool, amount: int) -> None:  # noqa: FBT001  drawn
        request = OrderRequest("BTC-EUR", is_buy, MARKET, 1, amount=amount * 10**6)
        order = self.place(who, request)
        if order is not None and not self.has_house:
            self.check_against_model(order, request)

    @rule(who=WHO, is_buy=st.booleans(), cents=st.integers(1, 500))
    def market_by_quote(self, who: int, is_buy: bool, cents: int) -> None:  # noqa: FBT001  drawn
        quote = cents * 10 ** (ATOM_DIGITS - 2)
        order = self.place(who, OrderRequest("BTC-EUR", is_buy, MARKET, 1, quote=quote))
        if order is None:
            return
        if is_buy:
            assert order.filled_quote + order.fee_paid + order.quote_remaining == quote
        self.model = [each for each in self.model if each.order.is_open]
        for each in self.model:
            each.left = each.order.remaining

    @rule(number=st.integers(0, 30))
    def cancel(self, number: int) -> None:
        open_orders = [order for account in self.accounts for order in account.open_orders.values()]
        if open_orders:
            order = open_orders[number % len(open_orders)]
            trading.cancel(self.exchange, self.venue, order)
            self.model = [each for each in self.model if each.order is not order]

    @rule(middle=PRICE)
    def move_house(self, middle: int) -> None:
        if self.has_house:
            self.set_house(middle)

    def place(self, who: int, request: OrderRequest) -> Order | None:
        before = self.snapshot()
        try:
            return trading.place(self.exchange, self.accounts[who], request)
        except Refusal:
            assert self.snapshot() == before
            return None

    def snapshot(self) -> list[tuple[int, int]]:
        return [(each.available, each.held) for account in self.accounts for each in account.balances.values()]

    def check_against_model(self, order: Order, request: OrderRequest) -> None:
        """Sort everything, take from the front: the plainest statement of price-time priority."""
        opposite = [each for each in self.model if each.is_buy is not request.is_buy]
        opposite.sort(key=lambda each: (each.price if request.is_buy else -each.price, each.arrived))
        within = [each for each in opposite if request.price is None or _reaches(request, each.price)]
        left, expected = request.amount or 0, []
        if request.time_in_force == "FOK" and sum(each.left for each in within) < left:
            within = []
        for each in within:
            taken = min(left, each.left)
            if taken:
                expected.append((each.price, taken))
                each.left -= taken
                left -= taken
        assert [(fill.price, fill.amount) for fill in order.fills] == expected
        self.model = [each for each in self.model if each.left]
        for each in self.model:
            assert each.order.remaining == each.left
        if left and request.price is not None and request.time_in_force == "GTC":
            self.arrivals += 1
            self.model.append(Resting(order, request.is_buy, request.price, self.arrivals, left))
        assert order.is_open is bool(left and request.price is not None and request.time_in_force == "GTC")

    @invariant()
    def money_adds_up(self) -> None:
        if not hasattr(self, "exchange"):
            return
        for symbol in ("EUR", "BTC"):
            here = sum(a.balance(symbol).available + a.balance(symbol).held for a in self.accounts)
            house = self.exchange.house.account.balance(symbol).available
            assert here + house + self.exchange.fees.get(symbol, 0) == 90 * 10**ATOM_DIGITS

    @invariant()
    def nothing_is_below_zero_and_holds_match_orders(self) -> None:
        if not hasattr(self, "exchange"):
            return
        for account in self.accounts:
            for symbol, balance in account.balances.items():
                assert balance.available >= 0
                mine = (o for o in account.open_orders.values() if ("EUR" if o.is_buy else "BTC") == symbol)
                assert balance.held == sum(order.hold for order in mine)

    @invariant()
    def the_book_is_never_crossed_and_its_totals_are_its_orders(self) -> None:
        if not hasattr(self, "exchange"):
            return
        bid, ask = self.venue.book.bids.best(), self.venue.book.asks.best()
        assert bid is None or ask is None or bid.price < ask.price
        for side in (self.venue.book.bids, self.venue.book.asks):
            for level in side.levels():
                assert 0 < level.total == sum(order.remaining for order in level.orders())


def _reaches(request: OrderRequest, price: int) -> bool:
    limit = request.price or 0
    return price <= limit if request.is_buy else price >= limit


TestTrading = Trading.TestCase
TestTrading.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)
