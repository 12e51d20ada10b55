"""Everything that can happen to the one POST of an order: the answer lost, late, broken, lying, refused.

All cases run side by side, once, each with a user of its own; each then has its claims.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from protos.trade.v1 import trade_pb2 as pb
from tests.e2e.caller import Caller, buy
from tests.e2e.stage import Stage
from tests.e2e.truth import creates

STAYS_SECONDS = 4.0
"""How long an execution without an order is watched: several look-ups, every lag of the exchange over."""
LATE_MS = 4_500
"""Past the window and past the sender's patience."""
PAST_WINDOW_MS = 2_300
FOUND = ["CLAIMED", "ANSWER_UNCLEAR", "FOUND"]
LOST = ["CLAIMED", "ANSWER_UNCLEAR"]
REFUSED = ["CLAIMED", "REJECTED"]
FOREIGN = {
    "orderId": "00000000-0000-0000-0000-0000000000ff", "market": "BTC-EUR", "created": 1, "updated": 1,
    "status": "filled", "side": "buy", "orderType": "market", "clientOrderId": "00000000-0000-0000-0000-0000000000fe",
    "amountQuote": "10", "filledAmount": "1", "filledAmountQuote": "10", "feePaid": "0", "feeCurrency": "EUR",
    "fills": [], "operatorId": 1001, "onHold": "0", "onHoldCurrency": "EUR", "selfTradePrevention": "cancelBoth",
    "visible": True, "timeInForce": "GTC", "postOnly": False,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """A fault of the POST, and how its execution ends."""

    fault: str
    ends: str
    events: list[str]
    more: Mapping[str, object] = field(default_factory=dict)
    code: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was seen of a case."""

    user: str
    answered: pb.ExecuteProposalResponse
    row: Mapping[str, Any]
    events: list[str]
    posts: int
    orders: int
    next_same_market: pb.Decision
    next_other_market: pb.Decision


def found(fault: str, **more: object) -> Case:
    """An order that exists and whose answer proves nothing: looked up."""
    return Case(fault, "FILLED", FOUND, more)


def lost(fault: str, **more: object) -> Case:
    """No order, and nothing that proves it."""
    return Case(fault, "UNKNOWN", LOST, more)


def refused(code: int, fault: str = "error_code", **more: object) -> Case:
    """A refusal on the closed list."""
    return Case(fault, "REJECTED", REFUSED, {"code": code, **more}, code)


CASES = {
    "answer dropped": found("drop_response"),
    "answer reset": found("drop_response", how="reset"),
    "answer never": found("drop_response", how="hang"),
    "answer past window and patience": found("delay_response", ms=LATE_MS),
    "answer within patience": Case("delay_response", "FILLED", ["CLAIMED", "SETTLED"], {"ms": PAST_WINDOW_MS}),
    "answer cut": found("reset_mid_body"),
    "500 after executing": found("error_5xx_after_executing", status=500),
    "502 after executing": found("error_5xx_after_executing", status=502),
    "503 after executing": found("error_5xx_after_executing", status=503),
    "504 after executing": found("error_5xx_after_executing", status=504),
    "101 after executing": found("error_code", code=101),
    "109 after executing": found("error_code", code=109),
    "html of success": found("html", status=200, executes=True),
    "html of refusal, order made": found("html", status=403, executes=True),
    "json cut": found("truncated_json"),
    "body over the cap": found("oversized_body"),
    "another's order, ours made": found("replace_body", body=json.dumps(FOREIGN)),
    "not JSON, ours made": found("replace_body", body="NaN"),
    "a refusal with status 200, order made": found("replace_body", body='{"errorCode": 216, "error": "no"}'),
    "request dropped": lost("drop_request"),
    "request reset": lost("drop_request", how="reset"),
    "500 before executing": lost("error_5xx_before", status=500),
    "503 before executing": lost("error_5xx_before"),
    "101 before executing": lost("error_code", code=101, executes=False),
    "107": lost("error_code", code=107),
    "108": lost("error_code", code=108),
    "111": lost("error_code", code=111),
    "109 before executing": lost("error_code", code=109, executes=False),
    "220 without an order": lost("error_code", code=220),
    "403 html": lost("html"),
    "redirect": lost("redirect"),
    "permanent redirect": lost("redirect", status=308),
    "another's order, none made": lost("replace_body", body=json.dumps(FOREIGN), executes=False),
    "request past its window": refused(304, "delay_request", ms=PAST_WINDOW_MS),
    "205": refused(205),
    "216": refused(216),
    "217": refused(217),
}


@pytest.fixture(scope="module")
def outcomes(stage: Stage) -> dict[str, Outcome]:
    """Run all cases."""
    return asyncio.run(run_all(stage))


async def run_all(stage: Stage) -> dict[str, Outcome]:
    async with stage.caller() as caller:
        results = await asyncio.gather(*(run(stage, caller, case, n % 2) for n, case in enumerate(CASES.values())))
    return dict(zip(CASES, results, strict=True))


async def run(stage: Stage, caller: Caller, case: Case, replica: int) -> Outcome:
    user = stage.user()
    proposal = await caller.submit(user, buy())
    order_id = stage.truth.client_order_id(user, proposal.proposal_id)
    stage.fault(case.fault, "POST", order_id, **case.more)
    answered = await caller.execute(proposal, replica)
    if case.ends == "UNKNOWN":
        await asyncio.sleep(STAYS_SECONDS)
    row = await stage.truth.becomes(user, proposal.proposal_id, case.ends)
    events = stage.truth.rows("SELECT type FROM execution_events WHERE user_id = %s ORDER BY number", user)
    again = await caller.execute(proposal, 1 - replica)
    assert again.replayed
    assert again.execution.execution_id == answered.execution.execution_id
    requests = stage.simulator.requests(order_id)
    orders = len(stage.simulator.orders(order_id))
    following = [(await caller.place(user, buy(market), replica)).decision for market in ("BTC-EUR", "ETH-EUR")]
    types = [each["type"] for each in events]
    return Outcome(user, answered, row, types, len(list(creates(requests))), orders, *following)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", CASES)
def test_one_post_at_most_one_order_and_the_row_tells_the_truth(outcomes: dict[str, Outcome], name: str) -> None:
    case, seen = CASES[name], outcomes[name]
    assert seen.posts == 1
    assert seen.orders == (1 if case.ends == "FILLED" else 0)
    assert (seen.row["status"], seen.events) == (case.ends, case.events)
    assert seen.row["reject_code"] == case.code
    assert (seen.row["order_id"] is None) == (case.ends != "FILLED")


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.events in (FOUND, LOST)])
def test_a_caller_is_told_unknown_and_never_a_guess(outcomes: dict[str, Outcome], name: str) -> None:
    answered = outcomes[name].answered
    assert not answered.replayed
    assert answered.execution.status == pb.EXECUTION_STATUS_UNKNOWN


@pytest.mark.parametrize("name", CASES)
def test_an_unknown_execution_closes_its_market_and_no_other(outcomes: dict[str, Outcome], name: str) -> None:
    seen, unknown = outcomes[name], CASES[name].ends == "UNKNOWN"
    codes = [verdict.code for verdict in seen.next_same_market.verdicts if verdict.rule == "unresolved"]
    assert codes == ["UNRESOLVED" if unknown else "OK"]
    assert seen.next_same_market.outcome == (pb.DECISION_OUTCOME_DENY if unknown else pb.DECISION_OUTCOME_ALLOW)
    assert seen.next_other_market.outcome == pb.DECISION_OUTCOME_ALLOW


def test_no_redirect_was_followed(stage: Stage, outcomes: dict[str, Outcome]) -> None:
    assert not [each for each in stage.simulator.requests() if each["path"].startswith("/v2/moved")]


def test_every_fault_took_place(stage: Stage, outcomes: dict[str, Outcome]) -> None:
    injected = stage.simulator.admin("GET", "faults")["injected"]
    assert {case.fault for case in CASES.values()} <= injected.keys()
