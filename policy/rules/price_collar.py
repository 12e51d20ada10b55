"""How far from the market an order may trade, to the user's harm."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, ClassVar, Final

from policy.limits import Duration, Percent
from policy.model import OrderType, Quote, Side, Terms, Verdict
from policy.number import EXACT, show_number, show_shortest
from policy.quote import lack_of_quote
from policy.rule import Case
from policy.verdict import Lack, denied, lacking, missing, passed

PRICE_COLLAR: Final = "PRICE_COLLAR"
BOOK_EXHAUSTED: Final = "BOOK_EXHAUSTED"

_ONE: Final = Decimal(1)
_HALF: Final = Decimal("0.5")


@dataclass(frozen=True, slots=True)
class PriceCollarRule:
    """Keeps the price of an order near the middle of the book, on the harmful side only.

    BUY at most mid × (1 + d), SELL at least mid × (1 − d). A market order is judged by the worst price it would
    reach when it walks the book; a book that is too thin denies. The quote must be GOOD and young enough.
    """

    name: ClassVar[str] = "price_collar"
    codes: ClassVar[tuple[str, ...]] = (PRICE_COLLAR, BOOK_EXHAUSTED)

    max_deviation: Annotated[Decimal, Percent(Decimal(50))]
    max_quote_age: Annotated[timedelta, Duration(timedelta(seconds=1), timedelta(seconds=60))]

    def judge(self, case: Case) -> Verdict:
        """Compare the worst price with the collar around mid."""
        terms = case.proposal.terms
        quote = case.facts.quote
        lack = _lack(quote, terms, self.max_quote_age)
        if quote is None or lack is not None:
            return lacking(self.name, lack or missing("quote"))
        worst = worst_price(terms, quote)
        bound = self._bound(terms.side, quote)
        limit = f"{'at most' if terms.side is Side.BUY else 'at least'} {show_shortest(bound)}"
        if worst is None:
            message = f"the book of {terms.market} is too thin for this order in {_levels(terms.side, quote)} levels"
            return denied(self.name, BOOK_EXHAUSTED, "book exhausted", limit, message)
        harmful = worst > bound if terms.side is Side.BUY else worst < bound
        if harmful:
            message = f"price {show_number(worst)} is too far from the middle of the book"
            return denied(self.name, PRICE_COLLAR, show_number(worst), limit, message)
        return passed(self.name, show_number(worst), limit, "the price is near the middle of the book")

    def _bound(self, side: Side, quote: Quote) -> Decimal:
        mid = EXACT.multiply(EXACT.add(quote.bids[0].price, quote.asks[0].price), _HALF)
        factor = EXACT.add(_ONE, self.max_deviation) if side is Side.BUY else EXACT.subtract(_ONE, self.max_deviation)
        return EXACT.multiply(mid, factor)


def worst_price(terms: Terms, quote: Quote) -> Decimal | None:
    """Return the worst price the order may trade at: its limit, or the last level it needs; None if levels run out."""
    if terms.order_type is OrderType.LIMIT:
        return terms.price
    wanted = terms.quote_amount if terms.side is Side.BUY else terms.amount
    if wanted is None:
        return None
    for level in quote.asks if terms.side is Side.BUY else quote.bids:
        offered = EXACT.multiply(level.size, level.price) if terms.side is Side.BUY else level.size
        wanted = EXACT.subtract(wanted, offered)
        if wanted <= 0:
            return level.price
    return None


def _lack(quote: Quote | None, terms: Terms, max_age: timedelta) -> Lack | None:
    lack = lack_of_quote(quote, terms.market, max_age)
    if lack is None and quote is not None and not (quote.bids and quote.asks):
        return missing(f"middle of the book of {terms.market}", "one side is empty", "a bid and an ask")
    return lack


def _levels(side: Side, quote: Quote) -> int:
    return len(quote.asks if side is Side.BUY else quote.bids)
