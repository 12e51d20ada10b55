"""What must hold for any history, proposal or file, searched by Hypothesis."""

from datetime import datetime, timedelta
from decimal import Decimal

import yaml
from hypothesis import given as searched
from hypothesis import settings
from hypothesis import strategies as st

from policy.engine import decide
from policy.load import PolicyLoadError, parse_policy
from policy.model import DecisionOutcome, ExecutionStatus, PastExecution, Side, Terms
from policy.policy import Policy, policy_tree
from policy.presets import preset_text
from tests.policy import given

MARKETS = ("BTC-EUR", "ETH-EUR")
SECONDS = st.integers(-5, 90_000)
EDGES = st.sampled_from([0, 599, 600, 1799, 1800, 1801, 3599, 3600, 3601, 7199, 7200, 86_399, 86_400, 86_401])


@st.composite
def executions(draw: st.DrawFn) -> PastExecution:
    ago = timedelta(seconds=draw(SECONDS | EDGES))
    fill = draw(st.none() | st.integers(0, 3600))
    terms = given.limit(draw(st.sampled_from(Side)), draw(st.sampled_from(["0.001", "0.002"])), "50000",
                        draw(st.sampled_from(MARKETS)))  # fmt: skip
    filled = draw(st.sampled_from([0, 0, 40, 99]))
    return given.execution(
        terms,
        ago=ago,
        number=draw(st.integers(2, 10_000)),
        status=draw(st.sampled_from(ExecutionStatus)),
        last_fill_at=None if fill is None else given.NOW - ago + timedelta(seconds=fill),
        worst_value=Decimal(draw(st.sampled_from([50, 100]))),
        filled_value=Decimal(filled),
        filled_amount=Decimal(filled) / 50_000,
    )


HISTORIES = st.lists(executions(), max_size=12).map(tuple)
TERMS = st.sampled_from(
    [given.limit(), given.limit(Side.SELL), given.limit(amount="0.002"), given.market_buy("50"), given.market_sell()]
)


def outcome(policy: Policy, terms: Terms, history: tuple[PastExecution, ...]) -> DecisionOutcome:
    return decide(policy, given.proposal(terms), given.facts(executions=history)).outcome


# --- an independent evaluator: integers of seconds and plain loops, written from the documentation alone ---

LIVE = ("SUBMITTING", "UNKNOWN", "SUBMITTED")


def age(moment: datetime) -> int:
    return round((given.NOW - moment).total_seconds())


def reference(terms: Terms, history: tuple[PastExecution, ...]) -> dict[str, bool]:
    """What each counting rule of the default policy should deny."""
    trades_hour = trades_day = attempts = 0
    cooling = flipping = repeating = unresolved = False
    spent = Decimal(0)
    for one in history:
        status, since = one.status.value, age(one.claimed_at)
        touched = since if one.last_fill_at is None else min(since, age(one.last_fill_at))
        same_market = one.terms.market == terms.market
        happened = status in LIVE or status in ("FILLED", "CANCELED")
        attempts += since < 3600
        trades_hour += happened and since < 3600
        trades_day += happened and since < 86_400
        cooling |= happened and same_market and touched < 1800
        traded = status == "FILLED" or (status == "CANCELED" and one.filled_amount != 0)
        opposite = same_market and one.terms.side != terms.side
        flipping |= opposite and (status in LIVE or (traded and touched < 7200))
        repeating |= (
            happened
            and same_market
            and one.terms.side == terms.side
            and since < 600
            and one.terms.amount == terms.amount
        )
        unresolved |= same_market and status in ("SUBMITTING", "UNKNOWN")
        if one.terms.side is Side.BUY and since < 86_400:
            spent += one.worst_value if status in LIVE else one.filled_value if happened else 0
    value = terms.quote_amount or (terms.amount or Decimal(0)) * (terms.price or Decimal(0))
    return {
        "unresolved": unresolved,
        "cooldown": cooling,
        "anti_flip": flipping,
        "trade_caps": trades_hour >= 2 or trades_day >= 3 or attempts >= 10,
        "budget": terms.side is Side.BUY and spent + value > 500,
        "repeat_intent": repeating,
    }


@settings(max_examples=250, deadline=None)
@searched(TERMS, HISTORIES)
def test_an_independent_evaluator_agrees_on_any_history(terms: Terms, history: tuple[PastExecution, ...]) -> None:
    decision = decide(given.policy(), given.proposal(terms), given.facts(executions=history))
    expected = reference(terms, history)
    denied = {
        verdict.rule: verdict.outcome.value != "PASS" for verdict in decision.verdicts if verdict.rule in expected
    }
    assert denied == expected


@settings(max_examples=150, deadline=None)
@searched(TERMS, HISTORIES)
def test_at_the_moment_it_names_a_rule_alone_would_pass_and_not_before(
    terms: Terms, history: tuple[PastExecution, ...]
) -> None:
    decision = decide(given.policy(), given.proposal(terms), given.facts(executions=history))
    for verdict in decision.verdicts:
        if verdict.next_possible_at is not None:
            for moment, passes in ((verdict.next_possible_at, True), (verdict.next_possible_at - given.EPSILON, False)):
                later = given.facts(executions=history, now=moment)
                again = given.verdict_of(verdict.rule, None, given.proposal(terms), later)
                assert (again.outcome.value == "PASS") is passes


LOWERED = st.sampled_from(
    [
        {"allowlist": {"markets": ["ETH-EUR"]}},
        {"allowlist": {"markets": ["BTC-EUR"]}},
        {"allowlist": {"markets": []}},
        {"order_value": {"min": "25", "max": "60"}},
        {"order_value": {"min": "60", "max": "200"}},
        {"confidence": {"allowed": ["50", "100"]}},
        {"cooldown": {"per": "market", "period": "31m"}},
        {"cooldown": {"per": "user", "period": "30m"}},
        {"anti_flip": {"period": "24h"}},
        {"trade_caps": {"per_hour": "1", "per_day": "3", "attempts_per_hour": "10"}},
        {"trade_caps": {"per_hour": "2", "per_day": "2", "attempts_per_hour": "10"}},
        {"trade_caps": {"per_hour": "2", "per_day": "3", "attempts_per_hour": "1"}},
        {"budget": {"gpt_calls": {"per_hour": "3", "per_day": "10"}, "order_value": {"per_day": "100"}}},
        {
            "budget": {
                "gpt_calls": {"per_hour": "3", "per_day": "10"},
                "order_value": {"per_hour": "60", "per_day": "500"},
            }
        },
        {"repeat_intent": {"window": "1h"}},
        {"price_collar": {"max_deviation": "0.1%", "max_quote_age": "5s"}},
    ]
)


@settings(max_examples=250, deadline=None)
@searched(LOWERED, TERMS, HISTORIES)
def test_a_tighter_limit_never_turns_a_denial_into_leave(
    tighter: dict[str, object], terms: Terms, history: tuple[PastExecution, ...]
) -> None:
    if outcome(given.policy(), terms, history) is DecisionOutcome.DENY:
        assert outcome(given.policy(tighter), terms, history) is DecisionOutcome.DENY


@settings(max_examples=150, deadline=None)
@searched(TERMS, HISTORIES, executions())
def test_one_more_order_in_the_past_never_turns_a_denial_into_leave(
    terms: Terms, history: tuple[PastExecution, ...], more: PastExecution
) -> None:
    if outcome(given.policy(), terms, history) is DecisionOutcome.DENY:
        assert outcome(given.policy(), terms, (*history, more)) is DecisionOutcome.DENY


HUNTER = preset_text("hunter", ("alice",))
LETTERS = st.text(alphabet="0123456789.%\"'[]{}:,-_&*!<|>#\n abhmsEURx٣", min_size=0, max_size=4)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """The file with up to three cuts, insertions or swaps in it."""
    text = HUNTER
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 6)))
        text = text[:start] + draw(LETTERS) + text[end:]
    return text


def meaning(node: object) -> object:
    """What a tree of strings says, by rules of its own: numbers as numbers, durations in seconds, lists unordered."""
    if isinstance(node, dict):
        return {key: meaning(part) for key, part in node.items()}
    if isinstance(node, list):
        return sorted((meaning(part) for part in node), key=repr)
    text = str(node)
    unit = {"s": 1, "m": 60, "h": 3600, "d": 86_400}.get(text[-1:], 0)
    if unit and text[:-1].isdecimal():
        return int(text[:-1]) * unit
    return Decimal(text.rstrip("%")) if text.rstrip("%").replace(".", "").isdecimal() else text


def loaded(text: str) -> Policy | None:
    try:
        return parse_policy(text, "mutated.yaml")
    except PolicyLoadError:
        return None


@settings(max_examples=700, deadline=None)
@searched(mutated())
def test_a_mutated_file_is_refused_or_means_what_another_reader_reads(text: str) -> None:
    policy = loaded(text)
    if policy is None:
        return
    read = yaml.load(text, yaml.BaseLoader)  # noqa: S506 - every scalar a string
    assert meaning(policy_tree(policy)) == meaning({"approval": {"required": "true"}} | read)
