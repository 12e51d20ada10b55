"""Every rule there is, by hand and in the order judged. A new rule is one line here and one file in `rules/`."""

from typing import Final

from policy.rule import Rule
from policy.rules.allowlist import AllowlistRule
from policy.rules.anti_flip import AntiFlipRule
from policy.rules.approval import ApprovalRule
from policy.rules.budget import BudgetRule
from policy.rules.confidence import ConfidenceRule
from policy.rules.cooldown import CooldownRule
from policy.rules.market_rules import MarketRulesRule
from policy.rules.order_value import OrderValueRule
from policy.rules.price_collar import PriceCollarRule
from policy.rules.repeat_intent import RepeatIntentRule
from policy.rules.trade_caps import TradeCapsRule
from policy.rules.trading_state import TradingStateRule
from policy.rules.unresolved import UnresolvedRule

# Judged for every proposal, before the rules of its policy, even without a policy.
ALWAYS_JUDGED: Final[tuple[type[Rule], ...]] = (TradingStateRule, MarketRulesRule, UnresolvedRule, ApprovalRule)

# Every policy carries these, or says why it does not.
CORE: Final[tuple[type[Rule], ...]] = (
    AllowlistRule,
    OrderValueRule,
    ConfidenceRule,
    CooldownRule,
    AntiFlipRule,
    TradeCapsRule,
    BudgetRule,
    RepeatIntentRule,
)

# A policy may carry these.
FURTHER: Final[tuple[type[Rule], ...]] = (PriceCollarRule,)

RULES: Final[tuple[type[Rule], ...]] = (*CORE, *FURTHER)
NEVER_DISABLED: Final = frozenset({AllowlistRule.name})

BY_NAME: Final = {rule.name: rule for rule in RULES}
CORE_NAMES: Final = tuple(rule.name for rule in CORE)
