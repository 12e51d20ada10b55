"""Which markets may be traded; the only core rule that cannot be disabled."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

from policy.limits import MARKET, Listed
from policy.model import Verdict
from policy.rule import Case
from policy.verdict import denied, passed

ALLOWLIST_EMPTY: Final = "ALLOWLIST_EMPTY"
MARKET_NOT_ALLOWED: Final = "MARKET_NOT_ALLOWED"

MAX_MARKETS: Final = 500
_MARKETS_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class AllowlistRule:
    """Admits the listed markets and no other; an empty list admits nothing."""

    name: ClassVar[str] = "allowlist"
    codes: ClassVar[tuple[str, ...]] = (ALLOWLIST_EMPTY, MARKET_NOT_ALLOWED)

    markets: Annotated[tuple[str, ...], Listed(MARKET, 0, MAX_MARKETS)]

    def judge(self, case: Case) -> Verdict:
        """Look the market up, letter for letter."""
        market = case.proposal.terms.market
        if not self.markets:
            return denied(self.name, ALLOWLIST_EMPTY, market, "no market", "the allowlist is empty, nothing may trade")
        if market not in self.markets:
            return denied(self.name, MARKET_NOT_ALLOWED, market, self._limit(), f"{market} is not on the allowlist")
        return passed(self.name, market, self._limit(), f"{market} is on the allowlist")

    def _limit(self) -> str:
        more = len(self.markets) - _MARKETS_SHOWN
        shown = ", ".join(self.markets[:_MARKETS_SHOWN])
        return f"{shown} and {more} more" if more > 0 else shown
