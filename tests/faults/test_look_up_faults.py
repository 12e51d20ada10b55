"""A look-up that fails, lies or is refused proves nothing: UNKNOWN stays UNKNOWN until the order itself is seen."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.caller import Caller, buy
from tests.e2e.stage import ALLOWED, Stage
from tests.e2e.truth import creates
from tests.faults.test_create_faults import FOREIGN

HURT_SECONDS = 3.0
"""Several look-ups of both replicas."""
CASES: dict[str, dict[str, object]] = {
    "html": {"fault": "html"},
    "html with status 200": {"fault": "html", "status": 200},
    "500": {"fault": "error_5xx_before", "status": 500},
    "503": {"fault": "error_5xx_before"},
    "json cut": {"fault": "truncated_json"},
    "an empty list": {"fault": "replace_body", "body": "[]"},
    "an empty object": {"fault": "replace_body", "body": "{}"},
    "another's order": {"fault": "replace_body", "body": json.dumps(FOREIGN)},
    "body over the cap": {"fault": "oversized_body", "size_bytes": 9 * 1024 * 1024},
    "answer cut": {"fault": "reset_mid_body"},
    "request dropped": {"fault": "drop_request"},
    "redirect": {"fault": "redirect"},
    "not found": {"fault": "error_code", "code": 240},
    "key not known": {"fault": "error_code", "code": 305},
    "no right to view": {"fault": "error_code", "code": 311},
    "maybe done": {"fault": "error_code", "code": 109},
}


@dataclass(frozen=True, slots=True)
class Seen:
    """An execution while its look-ups were hurt, and afterwards."""

    hurt_look_ups: int
    while_hurt: Mapping[str, Any]
    events_while_hurt: list[str]
    afterwards: Mapping[str, Any]
    posts: int
    orders: int


@pytest.fixture(scope="module")
def seen(stage: Stage) -> dict[str, Seen]:
    """Run all cases, each in a market of its own: a list is asked for by market."""
    return asyncio.run(run_all(stage))


async def run_all(stage: Stage) -> dict[str, Seen]:
    async with stage.caller() as caller:
        results = await asyncio.gather(
            *(run(stage, caller, market, dict(fault)) for market, fault in zip(ALLOWED, CASES.values(), strict=False))
        )
    return dict(zip(CASES, results, strict=True))


async def run(stage: Stage, caller: Caller, market: str, fault: dict[str, Any]) -> Seen:
    user = stage.user()
    proposal = await caller.submit(user, buy(market, "20"))
    order_id = stage.truth.client_order_id(user, proposal.proposal_id)
    rule = stage.fault(fault.pop("fault"), "GET", f"market={market}", times=None, **fault)
    stage.fault("drop_response", "POST", order_id)
    await caller.execute(proposal)
    await asyncio.sleep(HURT_SECONDS)
    row = stage.truth.execution(user, proposal.proposal_id)
    assert row is not None
    events = stage.truth.rows("SELECT type FROM execution_events WHERE user_id = %s ORDER BY number", user)
    looked_up = sum(each["method"] == "GET" for each in stage.simulator.requests(order_id))
    stage.simulator.admin("DELETE", f"faults?id={rule}")
    after = await stage.truth.becomes(user, proposal.proposal_id, "FILLED")
    posts = len(list(creates(stage.simulator.requests(order_id))))
    types = [each["type"] for each in events]
    return Seen(looked_up, row, types, after, posts, len(stage.simulator.orders(order_id)))


@pytest.mark.parametrize("name", CASES)
def test_a_hurt_look_up_changes_nothing_and_the_order_is_found_later(seen: dict[str, Seen], name: str) -> None:
    result = seen[name]
    assert result.hurt_look_ups > 1
    assert (result.while_hurt["status"], result.events_while_hurt) == ("UNKNOWN", ["CLAIMED", "ANSWER_UNCLEAR"])
    assert result.afterwards["order_id"]
    assert (result.posts, result.orders) == (1, 1)
