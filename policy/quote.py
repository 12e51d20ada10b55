"""Whether a quote can be used as a fact. Called by every rule that looks at the market."""

from datetime import timedelta
from typing import Final

from policy.model import Quality, Quote
from policy.number import seconds, show_duration, show_number
from policy.verdict import FACT_STALE, Lack, missing

# A market sell is valued by the best bid; a bid older than this values nothing.
MAX_QUOTE_AGE: Final = timedelta(seconds=5)


def lack_of_quote(quote: Quote | None, market: str, max_age: timedelta) -> Lack | None:
    """Return why this quote is no fact about `market`, or None when it is one. An age of exactly `max_age` is fine.

    Cases: none, of another market, not GOOD, too old, crossed (best bid at or above best ask).
    """
    fact = f"quote of {market}"
    if quote is None or quote.market != market:
        return missing(fact)
    if quote.quality is Quality.STALE:
        return Lack(FACT_STALE, fact, "quality STALE", "quality GOOD")
    if quote.quality is not Quality.GOOD:
        return missing(fact, f"quality {quote.quality}", "quality GOOD")
    if not quote.age_seconds <= seconds(max_age):
        return Lack(FACT_STALE, fact, f"{show_number(quote.age_seconds)}s", show_duration(max_age))
    if quote.bids and quote.asks and quote.bids[0].price >= quote.asks[0].price:
        return missing(fact, "crossed", "best bid below best ask")
    return None
