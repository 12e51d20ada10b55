"""What the exchange accepts in a market, as a rule: always judged, after the trading state."""

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, Final

from policy.grid import MISFIT_CODES, Misfit, misfits
from policy.model import MarketRules, Verdict
from policy.number import seconds, show_duration, show_number
from policy.rule import Case
from policy.verdict import FACT_STALE, Lack, denied, lacking, missing, passed

MARKET_NOT_TRADING: Final = "MARKET_NOT_TRADING"
ORDER_TYPE_NOT_OFFERED: Final = "ORDER_TYPE_NOT_OFFERED"
WRONG_QUOTE_CURRENCY: Final = "WRONG_QUOTE_CURRENCY"

MAX_MARKET_RULES_AGE: Final = timedelta(hours=1)
_TRADING: Final = "trading"


@dataclass(frozen=True, slots=True)
class MarketRulesRule:
    """Denies what the exchange would refuse: market, order type, tick, decimals, minimum, maximum. Nothing is rounded.

    The facts may be 1 h old at most. A misfit names the nearest legal values.
    """

    name: ClassVar[str] = "market_rules"
    codes: ClassVar[tuple[str, ...]] = (
        MARKET_NOT_TRADING,
        ORDER_TYPE_NOT_OFFERED,
        WRONG_QUOTE_CURRENCY,
        *MISFIT_CODES,
    )

    def judge(self, case: Case) -> Verdict:
        """Compare the terms with the market; the first misfit gives the code, the message names all."""
        rules = case.facts.market_rules
        lack = _lack(rules, case.proposal.terms.market)
        if rules is None or lack is not None:
            return lacking(self.name, lack or missing("market rules"))
        found = (*_market_misfits(rules, case), *misfits(case.proposal.terms, rules))
        if not found:
            return passed(self.name, "fits", f"rules of {rules.market}", "the exchange offers this order")
        first = found[0]
        message = "; ".join(misfit.message for misfit in found)
        return denied(self.name, first.code, first.observed, first.limit, message)


def _lack(rules: MarketRules | None, market: str) -> Lack | None:
    fact = f"market rules of {market}"
    if rules is None or rules.market != market:
        return missing(fact)
    if not rules.age_seconds <= seconds(MAX_MARKET_RULES_AGE):
        return Lack(FACT_STALE, fact, f"{show_number(rules.age_seconds)}s", show_duration(MAX_MARKET_RULES_AGE))
    return None


def _market_misfits(rules: MarketRules, case: Case) -> tuple[Misfit, ...]:
    found = []
    if rules.status.lower() != _TRADING:
        message = f"{rules.market} is not trading, it is {rules.status}"
        found.append(Misfit(MARKET_NOT_TRADING, rules.status, _TRADING, message))
    wanted = case.proposal.terms.order_type.lower()
    offered = [order_type.lower() for order_type in rules.order_types]
    if wanted not in offered:
        message = f"{rules.market} offers no {wanted} orders"
        found.append(Misfit(ORDER_TYPE_NOT_OFFERED, wanted, ", ".join(offered), message))
    if case.quote_currency and rules.quote != case.quote_currency:
        message = f"the policy counts in {case.quote_currency}, {rules.market} trades in {rules.quote}"
        found.append(Misfit(WRONG_QUOTE_CURRENCY, rules.quote, case.quote_currency, message))
    return tuple(found)
