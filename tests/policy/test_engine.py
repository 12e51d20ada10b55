from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Context, Decimal, localcontext
from typing import ClassVar

import pytest

from policy.engine import decide
from policy.model import (
    DecisionOutcome,
    ExecutionStatus,
    Facts,
    OrderType,
    Override,
    Proposal,
    Quality,
    Quote,
    Side,
    State,
    Terms,
    Verdict,
    VerdictOutcome,
)
from policy.policy import MissingReason, Policy, PolicyMissing
from policy.rule import Case
from tests.policy import given

ALWAYS = ["trading_state", "market_rules", "unresolved", "approval"]
MINUTE = timedelta(minutes=1)


def codes(policy: Policy | PolicyMissing, judged: Proposal, seen: Facts) -> dict[str, str]:
    return {verdict.rule: verdict.code for verdict in decide(policy, judged, seen).verdicts}


def test_all_rules_are_judged_in_order_and_all_pass() -> None:
    policy = given.policy({"price_collar": {"max_deviation": "1%", "max_quote_age": "5s"}})
    decision = decide(policy, given.proposal(), given.facts())
    assert decision.outcome is DecisionOutcome.ALLOW
    assert [verdict.rule for verdict in decision.verdicts] == [*ALWAYS, *given.RULES, "price_collar"]
    assert (decision.policy_name, decision.policy_sha256) == ("tested", policy.sha256)
    assert decision.decided_at == given.NOW


def test_every_denial_is_reported_not_only_the_first() -> None:
    judged = given.proposal(given.limit(amount="1", market="BTC-EUR"), confidence=1)
    seen = given.facts(trading_states=(given.state(kind=State.HALTED),), executions=(given.execution(ago=MINUTE),))
    found = codes(given.policy({"allowlist": {"markets": []}}, approval={"required": "true"}), judged, seen)
    denied = {rule for rule, code in found.items() if code != "OK"}
    assert denied == {
        "trading_state",
        "approval",
        "allowlist",
        "order_value",
        "confidence",
        "cooldown",
        "budget",
    }


@pytest.mark.parametrize("reason", MissingReason)
def test_without_a_policy_everything_is_denied_and_still_judged(reason: MissingReason) -> None:
    decision = decide(PolicyMissing(reason), given.proposal(), given.facts())
    assert decision.outcome is DecisionOutcome.DENY
    assert [verdict.rule for verdict in decision.verdicts] == ["policy", *ALWAYS]
    assert decision.verdicts[0].code == reason
    assert decision.verdicts[-1].code == "APPROVAL_REQUIRED"
    approved = decide(PolicyMissing(reason), given.proposal(approval=given.approval()), given.facts())
    assert approved.outcome is DecisionOutcome.DENY


@pytest.mark.parametrize(
    ("known", "went_back", "expected"),
    [
        (True, False, []),
        (False, False, ["EXCHANGE_CLOCK_UNKNOWN"]),
        (True, True, ["DATABASE_CLOCK_WENT_BACK"]),
        (False, True, ["EXCHANGE_CLOCK_UNKNOWN", "DATABASE_CLOCK_WENT_BACK"]),
    ],
)
def test_a_doubtful_clock_denies(*, known: bool, went_back: bool, expected: list[str]) -> None:
    seen = given.facts(exchange_clock_known=known, clock_went_back=went_back)
    decision = decide(given.policy(), given.proposal(), seen)
    assert [verdict.code for verdict in decision.verdicts if verdict.rule == "clock"] == expected
    assert (decision.outcome is DecisionOutcome.ALLOW) is (not expected)
    assert all(verdict.rule == "clock" for verdict in decision.verdicts[: len(expected)])


@dataclass(frozen=True, slots=True)
class Broken:
    """A rule that cannot be judged."""

    name: ClassVar[str] = "cooldown"
    codes: ClassVar[tuple[str, ...]] = ()

    def judge(self, case: Case) -> Verdict:
        raise RuntimeError(f"secret of {case.proposal.user_id}")


def with_broken_cooldown() -> Policy:
    policy = given.policy()
    return replace(policy, rules=tuple(Broken() if rule.name == "cooldown" else rule for rule in policy.rules))


def test_an_error_in_a_rule_is_its_own_outcome_and_denies() -> None:
    decision = decide(with_broken_cooldown(), given.proposal(), given.facts())
    (verdict,) = [one for one in decision.verdicts if one.rule == "cooldown"]
    assert (verdict.outcome, verdict.code) == (VerdictOutcome.ERROR, "RULE_ERROR")
    assert decision.outcome is DecisionOutcome.DENY
    assert "secret" not in str(verdict)
    assert len(decision.verdicts) == len(ALWAYS) + len(given.RULES)


def override(rule: str = "cooldown", **changes: object) -> Override:
    return replace(Override(rule, "carol", "news", given.NOW + MINUTE), **changes)  # type: ignore[arg-type]


def test_an_override_never_lifts_an_error() -> None:
    decision = decide(with_broken_cooldown(), given.proposal(overrides=(override(),)), given.facts())
    assert decision.outcome is DecisionOutcome.DENY


@pytest.mark.parametrize("number", ["NaN", "sNaN", "Infinity"])
def test_a_number_that_is_none_denies_and_raises_nothing(number: str) -> None:
    terms = replace(given.limit(), amount=Decimal(number))
    assert decide(given.policy(), given.proposal(terms), given.facts()).outcome is DecisionOutcome.DENY


RECENT_BUY = given.facts(executions=(given.execution(ago=MINUTE),), position=Decimal("0.002"))
OVERRIDES = [
    (override(), "OVERRIDDEN"),
    (override(until=given.NOW + given.EPSILON), "OVERRIDDEN"),
    (override(until=given.NOW), "COOLDOWN"),
    (override(until=given.NOW - given.EPSILON), "COOLDOWN"),
    (override("anti_flip"), "COOLDOWN"),
    (override(actor="bot"), "COOLDOWN"),
    (override(reason=" "), "COOLDOWN"),
]


@pytest.mark.parametrize(("stated", "code"), OVERRIDES)
def test_an_override_lifts_its_rule_until_its_end(stated: Override, code: str) -> None:
    verdict = given.verdict_of("cooldown", judged=given.proposal(overrides=(stated,)), seen=RECENT_BUY)
    assert verdict.code == code
    if code == "OVERRIDDEN":
        assert verdict.outcome is VerdictOutcome.PASS
        assert all(word in verdict.message for word in ("COOLDOWN", "carol", "news"))
        assert verdict.next_possible_at is None


def test_an_override_says_nothing_where_nothing_was_denied() -> None:
    assert given.verdict_of("cooldown", judged=given.proposal(overrides=(override(),))).code == "OK"


def test_an_override_never_lifts_a_missing_fact() -> None:
    seen = given.facts(history_complete=False)
    assert (
        given.verdict_of("cooldown", judged=given.proposal(overrides=(override(),)), seen=seen).code == "FACT_MISSING"
    )


@pytest.mark.parametrize("rule", sorted(set(given.RULES) - {"cooldown", "anti_flip"}))
def test_no_other_rule_can_be_overridden(rule: str) -> None:
    seen = replace(RECENT_BUY, executions=tuple(given.execution(ago=MINUTE, number=n) for n in range(2, 9)))
    judged = given.proposal(given.limit(amount="0.02"), confidence=1, overrides=(override(rule),))
    assert "OVERRIDDEN" not in codes(given.policy(), judged, seen).values()


EXEMPT = ["cooldown", "anti_flip", "trade_caps", "order_value"]


@pytest.mark.parametrize("exempt", EXEMPT)
def test_an_exit_passes_the_rules_that_exempt_it_and_no_other(exempt: str) -> None:
    policy = given.policy(exits=given.EXITS_APPLY | {exempt: "exempt"}, rules={"trade_caps": _CAPS_OF_ONE})
    judged = given.proposal(given.market_sell("0.002"))
    seen = replace(RECENT_BUY, quote=None)
    found = codes(policy, judged, seen)
    expected = {
        "cooldown": "COOLDOWN",
        "anti_flip": "ANTI_FLIP",
        "trade_caps": "TRADE_CAP",
        "order_value": "FACT_MISSING",
    }
    assert {rule: found[rule] for rule in EXEMPT} == expected | {exempt: "EXEMPT_EXIT"}


_CAPS_OF_ONE = {"per_hour": "1", "per_day": "1", "attempts_per_hour": "1"}


def test_a_sell_beyond_the_position_is_no_exit() -> None:
    policy = given.policy(exits=dict.fromkeys(EXEMPT, "exempt"))
    found = codes(policy, given.proposal(given.market_sell("0.00200001")), RECENT_BUY)
    assert "EXEMPT_EXIT" not in found.values()
    assert "EXEMPT_EXIT" not in codes(policy, given.proposal(given.limit(Side.BUY)), RECENT_BUY).values()


def test_a_disabled_rule_passes_and_says_why() -> None:
    policy = given.policy({"cooldown": {"disabled": "a test account"}})
    verdict = given.verdict_of("cooldown", policy, seen=RECENT_BUY)
    assert (verdict.outcome, verdict.code, verdict.message) == (VerdictOutcome.PASS, "DISABLED", "a test account")


@dataclass(frozen=True, slots=True)
class Multiplying:
    """A rule that calculates with plain operators."""

    name: ClassVar[str] = "cooldown"
    codes: ClassVar[tuple[str, ...]] = ()

    def judge(self, case: Case) -> Verdict:
        product = Decimal("1.00000000000000000001") * Decimal("1.00000000000000000001")
        return Verdict("cooldown", VerdictOutcome.PASS, "OK", str(product), case.proposal.user_id, "")


def test_the_arithmetic_of_the_caller_changes_nothing() -> None:
    policy = given.policy()
    policy = replace(policy, rules=tuple(Multiplying() if one.name == "cooldown" else one for one in policy.rules))
    with localcontext(Context(prec=2)):
        verdict = given.verdict_of("cooldown", policy)
    assert verdict.observed == "1.0000000000000000000200000000000000000001"


def test_an_order_without_an_answer_keeps_every_rule_counting() -> None:
    unknown = given.execution(given.limit(Side.SELL), status=ExecutionStatus.UNKNOWN, ago=MINUTE)
    found = codes(given.policy({"trade_caps": _CAPS_OF_ONE}), given.proposal(), given.facts(executions=(unknown,)))
    denied = {rule for rule, code in found.items() if code != "OK"}
    assert denied == {"unresolved", "cooldown", "anti_flip", "trade_caps"}


VALUED_BY_NOTHING = {
    "order_value disabled": given.policy({"order_value": {"disabled": "a test"}}, approval={"required": "false"}),
    "an exit exempt from it": given.policy(exits=dict.fromkeys(EXEMPT, "exempt"), approval={"required": "false"}),
}
POOR_QUOTES = [
    (None, "FACT_MISSING"),
    (given.quote(bids=()), "FACT_MISSING"),
    (given.quote(quality=Quality.STALE), "FACT_STALE"),
    (given.quote(age_seconds=Decimal("5.001")), "FACT_STALE"),
]


@pytest.mark.parametrize("policy", VALUED_BY_NOTHING.values(), ids=VALUED_BY_NOTHING)
@pytest.mark.parametrize(("quote", "code"), POOR_QUOTES)
def test_g4_an_order_that_nobody_can_value_is_denied_though_every_rule_passes(
    policy: Policy, quote: Quote | None, code: str
) -> None:
    seen = given.facts(quote=quote, position=Decimal(1))
    decision = decide(policy, given.proposal(given.market_sell()), seen)
    *rules, last = decision.verdicts
    assert decision.outcome is DecisionOutcome.DENY
    assert {verdict.outcome for verdict in rules} == {VerdictOutcome.PASS}
    assert (last.rule, last.outcome, last.code) == ("value", VerdictOutcome.DENY, code)


@pytest.mark.parametrize("policy", VALUED_BY_NOTHING.values(), ids=VALUED_BY_NOTHING)
@pytest.mark.parametrize("terms", [given.market_sell(), given.market_buy(), given.limit(Side.SELL)])
def test_an_order_with_a_value_has_no_verdict_about_that(policy: Policy, terms: Terms) -> None:
    quote = given.quote() if terms.order_type is OrderType.MARKET and terms.side is Side.SELL else None
    decision = decide(policy, given.proposal(terms), given.facts(quote=quote, position=Decimal(1)))
    assert decision.outcome is DecisionOutcome.ALLOW
    assert "value" not in {verdict.rule for verdict in decision.verdicts}


def test_what_a_rule_has_denied_is_not_denied_again_for_its_value() -> None:
    found = codes(given.policy(), given.proposal(given.market_sell()), given.facts(quote=None))
    assert found["order_value"] == "FACT_MISSING"
    assert "value" not in found


def test_a_value_that_cannot_be_calculated_denies_and_raises_nothing() -> None:
    policy = VALUED_BY_NOTHING["order_value disabled"]
    decision = decide(
        policy, given.proposal(given.market_sell()), given.facts(quote=given.quote(bids=(None,), asks=()))
    )
    assert (decision.verdicts[-1].rule, decision.verdicts[-1].code) == ("value", "RULE_ERROR")
