"""What the policy tests start from: a policy, a proposal and facts that are allowed, to be changed one at a time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from policy.engine import decide
from policy.model import (
    Approval,
    ExecutionStatus,
    Facts,
    Level,
    MarketRules,
    OrderType,
    PastExecution,
    Proposal,
    Quality,
    Quote,
    Scope,
    Side,
    State,
    Terms,
    TimeInForce,
    TradingState,
    Verdict,
)
from policy.policy import Policy
from policy.reading import read_policy

NOW = datetime(2026, 9, 24, 12, 0, tzinfo=UTC)
EPSILON = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(hours=24)
EXITS_APPLY = {"cooldown": "apply", "anti_flip": "apply", "trade_caps": "apply", "order_value": "apply"}
OUR_ID = UUID("00000000-0000-4000-8000-000000000001")

RULES = {
    "allowlist": {"markets": ["BTC-EUR", "ETH-EUR"]},
    "order_value": {"min": "25", "max": "200"},
    "confidence": {"allowed": ["50", "75", "100"]},
    "cooldown": {"per": "market", "period": "30m"},
    "anti_flip": {"period": "2h"},
    "trade_caps": {"per_hour": "2", "per_day": "3", "attempts_per_hour": "10"},
    "budget": {"gpt_calls": {"per_hour": "3", "per_day": "10"}, "order_value": {"per_day": "500"}},
    "repeat_intent": {"window": "10m"},
}


def tree(rules: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any field
    """A policy file as a tree; `rules` replaces single rules."""
    return {
        "apiVersion": "interlock/v1",
        "kind": "TradingPolicy",
        "name": "tested",
        "applies_to": {"users": ["alice"]},
        "quote_currency": "EUR",
        "approval": {"required": "false"},
        "proposal_ttl": "1h",
        "exits": EXITS_APPLY,
        "rules": RULES | (rules or {}),
    } | changes


def policy(rules: dict[str, Any] | None = None, **changes: Any) -> Policy:  # noqa: ANN401 - any field
    flaws: list[Any] = []
    result = read_policy(tree(rules, **changes), flaws)
    assert result is not None, flaws
    return result


def limit(side: Side = Side.BUY, amount: str = "0.001", price: str = "50000", market: str = "BTC-EUR") -> Terms:
    return Terms(market, side, OrderType.LIMIT, Decimal(amount), Decimal(price), time_in_force=TimeInForce.GTC)


def market_buy(quote_amount: str = "50", market: str = "BTC-EUR") -> Terms:
    return Terms(market, Side.BUY, OrderType.MARKET, quote_amount=Decimal(quote_amount))


def market_sell(amount: str = "0.001", market: str = "BTC-EUR") -> Terms:
    return Terms(market, Side.SELL, OrderType.MARKET, amount=Decimal(amount))


def proposal(terms: Terms | None = None, **changes: Any) -> Proposal:  # noqa: ANN401 - any field
    start = Proposal("alice", OUR_ID, terms or limit(), 75, "hash-1", "bot", NOW - HOUR, NOW + HOUR)
    return replace(start, **changes)


def approval(approver: str = "carol", content_hash: str = "hash-1") -> Approval:
    return Approval(approver, content_hash, NOW - timedelta(minutes=1))


def execution(terms: Terms | None = None, *, ago: timedelta = DAY, number: int = 2, **changes: Any) -> PastExecution:  # noqa: ANN401 - any field
    """An earlier order, FILLED `ago` without a recorded fill time."""
    start = PastExecution(
        UUID(int=number),
        terms or limit(amount="0.002"),
        ExecutionStatus.FILLED,
        NOW - ago,
        None,
        Decimal(100),
        Decimal(99),
        Decimal("0.002"),
    )
    return replace(start, **changes)


def market_rules(**changes: Any) -> MarketRules:  # noqa: ANN401 - any field
    start = MarketRules(
        "BTC-EUR",
        "trading",
        "BTC",
        "EUR",
        tick_size=Decimal(1),
        quantity_decimals=8,
        notional_decimals=2,
        min_base=Decimal("0.0001"),
        min_quote=Decimal(5),
        max_base=Decimal(100),
        max_quote=Decimal(1000000),
        order_types=("market", "limit"),
        age_seconds=Decimal(10),
    )
    return replace(start, **changes)


def quote(**changes: Any) -> Quote:  # noqa: ANN401 - any field
    """Middle 50000, one unit at the top of each side, three below."""
    bids = (Level(Decimal(49990), Decimal(1)), Level(Decimal(49900), Decimal(3)))
    asks = (Level(Decimal(50010), Decimal(1)), Level(Decimal(50100), Decimal(3)))
    return replace(Quote("BTC-EUR", bids, asks, Quality.GOOD, Decimal(1)), **changes)


def state(scope: Scope = Scope.GLOBAL, subject: str = "", kind: State = State.ACTIVE) -> TradingState:
    return TradingState(scope, subject, kind, "as told")


def facts(**changes: Any) -> Facts:  # noqa: ANN401 - any field
    start = Facts(
        now=NOW,
        trading_states=(state(),),
        market_rules=market_rules(),
        quote=quote(),
        executions=(),
        history_complete=True,
        position=Decimal(0),
        clock_went_back=False,
        exchange_clock_known=True,
    )
    return replace(start, **changes)


def verdict_of(
    rule: str, judged_by: Policy | None = None, judged: Proposal | None = None, seen: Facts | None = None
) -> Verdict:
    """The one verdict of a rule in a whole decision."""
    decision = decide(judged_by or policy(), judged or proposal(), seen or facts())
    (verdict,) = [one for one in decision.verdicts if one.rule == rule]
    return verdict
