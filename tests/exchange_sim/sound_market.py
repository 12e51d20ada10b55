"""What holds after every step of random trading, whatever was done: of money, holds, the book and the feed."""

from hypothesis.stateful import RuleBasedStateMachine, invariant

from exchange_sim.accounts import Account
from exchange_sim.exchange import Exchange
from exchange_sim.fixed import ATOM_DIGITS
from exchange_sim.venue import Venue
from tests.exchange_sim.feed_mirror import Mirror


class SoundMarket(RuleBasedStateMachine):
    """One market of three accounts; the trading itself is a subclass's."""

    exchange: Exchange
    venue: Venue
    accounts: list[Account]
    deposited: int
    mirror: Mirror

    @invariant()
    def money_adds_up(self) -> None:
        if not hasattr(self, "exchange"):
            return
        for symbol in ("EUR", "BTC"):
            here = sum(a.balance(symbol).available + a.balance(symbol).held for a in self.accounts)
            house = self.exchange.house.account.balance(symbol).available
            assert here + house + self.exchange.fees.get(symbol, 0) == 3 * self.deposited * 10**ATOM_DIGITS

    @invariant()
    def nothing_is_below_zero_and_holds_match_orders(self) -> None:
        if not hasattr(self, "exchange"):
            return
        for account in self.accounts:
            for symbol, balance in account.balances.items():
                assert balance.available >= 0
                mine = [o for o in account.open_orders.values() if ("EUR" if o.is_buy else "BTC") == symbol]
                assert all(order.hold >= 0 for order in mine)
                assert balance.held == sum(order.hold for order in mine)

    @invariant()
    def a_resting_order_holds_what_the_rest_of_it_may_cost(self) -> None:
        if not hasattr(self, "exchange"):
            return
        for order in self.venue.orders.values():
            if not order.is_resting:
                continue
            if not order.is_buy:
                assert order.hold == order.remaining * 10 ** (ATOM_DIGITS - 8)
                continue
            rate = 15 if order.request.post_only and self.exchange.switches.post_only_hold == "maker" else 25
            cents = -(-order.remaining * order.price * (10_000 + rate) // 10_000 // 10 ** (ATOM_DIGITS - 2))
            assert order.hold == cents * 10 ** (ATOM_DIGITS - 2)

    @invariant()
    def the_book_is_never_crossed_and_its_totals_are_its_orders(self) -> None:
        if not hasattr(self, "exchange"):
            return
        bid, ask = self.venue.book.bids.best(), self.venue.book.asks.best()
        assert bid is None or ask is None or bid.price < ask.price
        for side in (self.venue.book.bids, self.venue.book.asks):
            for level in side.levels():
                assert 0 < level.total == sum(order.remaining for order in level.orders())

    @invariant()
    def the_feed_tells_the_whole_truth(self) -> None:
        if not hasattr(self, "exchange"):
            return
        book = self.venue.book
        shown = {
            (is_buy, level.price): level.total
            for is_buy in (True, False)
            for level in book.own_side(is_buy=is_buy).levels()
        }
        assert {level: total for level, total in self.mirror.levels.items() if total} == shown
        assert self.mirror.nonce == self.venue.nonce
        assert self.mirror.traded_amount == sum(trade.amount for trade in self.venue.tape.trades)
        for order in self.venue.orders.values():
            assert self.mirror.filled.get(order.order_id, 0) == order.filled
