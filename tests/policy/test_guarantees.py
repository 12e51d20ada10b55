"""The pure half of G4 to G7; the other half is the transaction that asks."""

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from policy.budget import judge_reservation
from policy.canonical import CanonicalPolicyError, policy_from_canonical
from policy.engine import decide
from policy.load import PolicyLoadError, load_directory, parse_policy
from policy.model import DecisionOutcome, ExecutionStatus, Side, VerdictOutcome
from policy.policy import MissingReason, PolicyMissing, PolicySet, canonical_json
from policy.presets import preset_text
from tests.policy import given

DENY = DecisionOutcome.DENY
HUNTER = preset_text("hunter", ("alice",))
ALLOWLIST = "  allowlist: {markets: [BTC-EUR, ETH-EUR, ADA-EUR, SOL-EUR]}\n"


@pytest.mark.parametrize(
    "stated", ["", "  allowlist:\n", "  allowlist: {}\n", "  allowlist: {markets:}\n", "  allowlist: []\n",
               "  allowlist: {disabled: because}\n", "  allowlist: {markets: BTC-EUR}\n"]
)  # fmt: skip
def test_g4_an_empty_or_missing_allowlist_denies(stated: str) -> None:
    empty = parse_policy(HUNTER.replace(ALLOWLIST, "  allowlist: {markets: []}\n"), "hunter.yaml")
    decision = decide(empty, given.proposal(approval=given.approval()), given.facts())
    assert decision.outcome is DENY
    assert [one.code for one in decision.verdicts if one.outcome is not VerdictOutcome.PASS] == ["ALLOWLIST_EMPTY"]
    assert ALLOWLIST in HUNTER
    with pytest.raises(PolicyLoadError) as refused:
        parse_policy(HUNTER.replace(ALLOWLIST, stated), "hunter.yaml")
    assert all(problem.key.startswith("rules.allowlist") for problem in refused.value.problems)


@pytest.mark.parametrize("missing", ["market_rules", "quote"])
def test_g4_a_missing_or_stale_fact_denies(missing: str) -> None:
    policy = parse_policy(HUNTER, "hunter.yaml")
    assert decide(policy, given.proposal(), given.facts()).outcome is DecisionOutcome.ALLOW
    assert decide(policy, given.proposal(), given.facts(**{missing: None})).outcome is DENY
    old = Decimal(3601)
    stale = {"market_rules": given.market_rules(age_seconds=old), "quote": given.quote(age_seconds=old)}
    assert decide(policy, given.proposal(), given.facts(**{missing: stale[missing]})).outcome is DENY
    assert decide(policy, given.proposal(), given.facts(history_complete=False)).outcome is DENY


def test_g4_no_policy_for_a_user_denies() -> None:
    missing = PolicySet((parse_policy(HUNTER, "hunter.yaml"),)).for_user("mallory")
    assert missing == PolicyMissing(MissingReason.NO_POLICY)
    assert decide(missing, given.proposal(user_id="mallory"), given.facts()).outcome is DENY


def test_g4_one_invalid_file_refuses_the_whole_directory(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(HUNTER)
    assert load_directory(tmp_path).policies
    (tmp_path / "bad.yaml").write_text(preset_text("observer", ("bob",)).replace("24h", "25h"))
    with pytest.raises(PolicyLoadError) as refused:
        load_directory(tmp_path)
    assert {Path(problem.file).name for problem in refused.value.problems} == {"bad.yaml"}


@pytest.mark.parametrize("rule", given.RULES)
def test_g4_a_policy_that_lacks_a_core_rule_cannot_exist(rule: str) -> None:
    tree = json.loads(canonical_json(given.policy()))
    del tree["rules"][rule]
    with pytest.raises(CanonicalPolicyError, match=f"rules.{rule}: found nothing"):
        policy_from_canonical(json.dumps(tree))
    rules = tuple(one for one in given.policy().rules if one.name != rule)
    with pytest.raises(ValueError, match="rules must be all of"):
        replace(given.policy(), rules=rules)


def test_g5_a_second_order_within_the_cooldown_is_denied() -> None:
    for status in ExecutionStatus:
        earlier = given.execution(status=status, ago=timedelta(minutes=30) - given.EPSILON)
        decision = decide(given.policy(), given.proposal(), given.facts(executions=(earlier,)))
        never_existed = status in {ExecutionStatus.REJECTED, ExecutionStatus.NOT_PLACED}
        assert (decision.outcome is DENY) is not never_existed


def test_g6_the_opposite_order_within_the_period_is_denied() -> None:
    bought = given.execution(ago=timedelta(hours=2) - given.EPSILON)
    seen = given.facts(executions=(bought,))
    assert decide(given.policy(), given.proposal(given.limit(Side.SELL)), seen).outcome is DENY
    assert decide(given.policy(), given.proposal(given.limit(Side.BUY)), seen).outcome is DecisionOutcome.ALLOW


def test_g7_order_value_and_model_calls_stay_within_their_budgets() -> None:
    spent = given.execution(given.limit(market="ETH-EUR"), ago=given.HOUR * 3, filled_value=Decimal("450.01"))
    assert decide(given.policy(), given.proposal(), given.facts(executions=(spent,))).outcome is DENY
    calls = tuple(given.NOW - timedelta(minutes=minute) for minute in range(3))
    assert judge_reservation(given.policy(), calls[:2], given.NOW).outcome is VerdictOutcome.PASS
    assert judge_reservation(given.policy(), calls, given.NOW).outcome is VerdictOutcome.DENY
