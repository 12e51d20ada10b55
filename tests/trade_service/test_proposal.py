"""The content of a proposal: its hash, and what a changed repeat is told."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from policy.model import ExecutionStatus, OrderType, Side, TimeInForce
from tests.policy import given as rules
from trade_service.execution import OPEN, Settlement, proposal_status_after
from trade_service.proposal import Content, ProposalStatus

FIRST = Content("alice", UUID(int=1), rules.limit(), 75, "because", None, None, placed=False)

CHANGES: dict[str, dict[str, Any]] = {
    "terms.market": {"terms": replace(FIRST.terms, market="ETH-EUR")},
    "terms.side": {"terms": replace(FIRST.terms, side=Side.SELL)},
    "terms.order_type": {"terms": replace(FIRST.terms, order_type=OrderType.MARKET)},
    "terms.amount": {"terms": replace(FIRST.terms, amount=Decimal("0.002"))},
    "terms.price": {"terms": replace(FIRST.terms, price=None)},
    "terms.quote_amount": {"terms": replace(FIRST.terms, quote_amount=Decimal(5))},
    "terms.time_in_force": {"terms": replace(FIRST.terms, time_in_force=TimeInForce.IOC)},
    "terms.post_only": {"terms": replace(FIRST.terms, post_only=True)},
    "confidence": {"confidence": 76},
    "rationale": {"rationale": "because "},
    "valid_for": {"valid_for": timedelta(microseconds=1)},
    "cancel_after": {"cancel_after": timedelta(minutes=1)},
    "method": {"placed": True},
}


def test_every_field_of_the_content_has_a_case_here() -> None:
    assert list(CHANGES) == list(FIRST.fields())


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_field_changes_the_hash_and_is_named(name: str) -> None:
    changed = replace(FIRST, **CHANGES[name])
    assert changed.content_hash() != FIRST.content_hash()
    assert FIRST.differing(changed) == (name,)


def test_the_same_content_has_the_same_hash_for_ever() -> None:
    assert (
        FIRST.content_hash()
        == replace(FIRST).content_hash()
        == "ffa1e25f3271413ff9a2d6a5ae3a85cf93aee5f690b63c12951b86e1fd634176"
    )
    assert FIRST.differing(replace(FIRST)) == ()


@pytest.mark.parametrize("changes", [{"user_id": "bob"}, {"proposal_id": UUID(int=2)}])
def test_the_hash_belongs_to_one_user_and_one_id(changes: dict[str, Any]) -> None:
    other = replace(FIRST, **changes)
    assert other.content_hash() != FIRST.content_hash()
    assert FIRST.differing(other) == ()


def test_a_separator_inside_a_text_is_no_separator() -> None:
    first = replace(FIRST, rationale='a","valid_for":"1')
    assert first.content_hash() != replace(FIRST, rationale="a", valid_for=timedelta(seconds=1)).content_hash()


@pytest.mark.parametrize(
    ("status", "filled", "expected"),
    [
        ("SUBMITTING", 0, "EXECUTING"),
        ("UNKNOWN", 0, "EXECUTING"),
        ("SUBMITTED", 0, "EXECUTING"),
        ("SUBMITTED", 1, "EXECUTING"),
        ("FILLED", 1, "EXECUTED"),
        ("CANCELED", 0, "FAILED"),
        ("CANCELED", 1, "EXECUTED"),
        ("REJECTED", 0, "FAILED"),
        ("NOT_PLACED", 0, "FAILED"),
    ],
)
def test_an_execution_leaves_its_proposal_here(status: str, filled: int, expected: str) -> None:
    found = proposal_status_after(ExecutionStatus(status), filled=Decimal(filled) > 0)
    assert found is ProposalStatus(expected)


@pytest.mark.parametrize("status", ExecutionStatus)
def test_a_settlement_is_final_unless_something_may_follow(status: ExecutionStatus) -> None:
    assert Settlement(status, frozenset(), "E").final is (status not in OPEN)
    assert {"SUBMITTING", "UNKNOWN", "SUBMITTED"} == OPEN
