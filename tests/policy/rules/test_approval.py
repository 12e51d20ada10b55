from decimal import Decimal

import pytest

from policy.model import Approval, Quote
from policy.reading import read_policy
from tests.policy import given

ABOVE_100 = {"required_above": "100"}
CASES = [
    ({"required": "true"}, "50", None, "APPROVAL_REQUIRED"),
    ({"required": "true"}, "50", given.approval(), "OK"),
    ({"required": "true"}, "50", given.approval(approver="bot"), "APPROVER_IS_SUBMITTER"),
    ({"required": "true"}, "50", given.approval(content_hash="hash-2"), "APPROVAL_CONTENT_CHANGED"),
    ({"required": "false"}, "5000", None, "OK"),
    ({"required": "false"}, "50", given.approval(content_hash="hash-2"), "APPROVAL_CONTENT_CHANGED"),
    (ABOVE_100, "99.99", None, "OK"),
    (ABOVE_100, "100", None, "OK"),
    (ABOVE_100, "100.01", None, "APPROVAL_REQUIRED"),
    (ABOVE_100, "100.01", given.approval(), "OK"),
    (ABOVE_100, "100.01", given.approval(approver="bot"), "APPROVER_IS_SUBMITTER"),
    (ABOVE_100, "100", given.approval(approver="bot"), "OK"),
]


@pytest.mark.parametrize(("stated", "quote_amount", "approval", "code"), CASES)
def test_an_approval_is_asked_for_as_the_policy_states(
    stated: dict[str, str], quote_amount: str, approval: Approval | None, code: str
) -> None:
    judged = given.proposal(given.market_buy(quote_amount), approval=approval)
    assert given.verdict_of("approval", given.policy(approval=stated), judged).code == code


def test_without_the_key_an_approval_is_required() -> None:
    tree = given.tree()
    del tree["approval"]
    silent = given.policy(approval={"required": "true"})
    assert read_policy(tree, []) == silent


@pytest.mark.parametrize(
    ("quote", "code"), [(None, "FACT_MISSING"), (given.quote(age_seconds=Decimal("5.1")), "FACT_STALE")]
)
def test_an_order_whose_value_is_unknown_needs_an_approval(quote: Quote | None, code: str) -> None:
    judged_by, seen = given.policy(approval=ABOVE_100), given.facts(quote=quote)
    assert given.verdict_of("approval", judged_by, given.proposal(given.market_sell()), seen).code == code
    approved = given.proposal(given.market_sell(), approval=given.approval())
    assert given.verdict_of("approval", judged_by, approved, seen).code == "OK"
