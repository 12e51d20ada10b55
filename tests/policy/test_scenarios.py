"""Policy cases as files: a policy, a proposal, a past, and what is wanted. A new case needs no Python."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from policy.engine import decide
from policy.load import parse_policy
from policy.model import ExecutionStatus, PastExecution, Side, State, Terms
from policy.presets import preset_text
from tests.policy import given

FILES = sorted((Path(__file__).parent / "scenarios").glob("*.yaml"))
SCENARIOS = [
    pytest.param(scenario, id=f"{file.stem}: {scenario['name']}")
    for file in FILES
    for scenario in yaml.load(file.read_text(encoding="utf-8"), yaml.BaseLoader)  # noqa: S506 - every scalar a string
]


def terms_of(order: dict[str, str]) -> Terms:
    market, side = order.get("market", "BTC-EUR"), Side(order["side"])
    if "price" in order:
        return given.limit(side, order["amount"], order["price"], market)
    return (
        given.market_buy(order["quote_amount"], market)
        if side is Side.BUY
        else given.market_sell(order["amount"], market)
    )


def past_of(number: int, row: dict[str, Any]) -> PastExecution:
    filled = Decimal(row.get("filled_value", "0"))
    return given.execution(
        terms_of(row["order"]),
        number=number,
        ago=timedelta(minutes=int(row["minutes_ago"])),
        status=ExecutionStatus(row["status"]),
        worst_value=Decimal(row.get("worst_value", "100")),
        filled_value=filled,
        filled_amount=filled / 50_000,
    )


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_scenario_is_decided_as_wanted(scenario: dict[str, Any]) -> None:
    policy = parse_policy(preset_text(scenario["policy"], ("alice",)), scenario["policy"])
    judged = given.proposal(terms_of(scenario["proposal"]), confidence=int(scenario.get("confidence", "75")))
    if "approved_by" in scenario:
        judged = replace(judged, approval=given.approval(scenario["approved_by"]))
    market = judged.terms.market
    seen = given.facts(
        market_rules=given.market_rules(market=market),
        quote=given.quote(market=market),
        executions=tuple(past_of(number, row) for number, row in enumerate(scenario.get("past", []), start=2)),
        position=Decimal(scenario.get("position", "0")),
        trading_states=(given.state(kind=State(scenario.get("trading", "ACTIVE"))),),
    )
    decision = decide(policy, judged, seen)
    remarkable = {verdict.rule: verdict.code for verdict in decision.verdicts if verdict.code != "OK"}
    assert decision.outcome.value == scenario["wanted"]["outcome"]
    assert remarkable == scenario["wanted"].get("codes", {})
