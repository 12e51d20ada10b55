"""Each cell of the counting table, against a table written by hand."""

from datetime import timedelta
from decimal import Decimal

import pytest

from policy.history import (
    counts_as_trade,
    counts_for_flip,
    is_exit,
    is_open,
    is_unresolved,
    last_touched_at,
    value_counted,
)
from policy.model import ExecutionStatus, PastExecution, Side
from tests.policy import given

#                 status, filled   trade, flip,  value, open,  unresolved
TABLE = [
    ("SUBMITTING", "0", True, True, "100", True, True),
    ("SUBMITTING", "0.001", True, True, "100", True, True),
    ("UNKNOWN", "0", True, True, "100", True, True),
    ("SUBMITTED", "0", True, True, "100", True, False),
    ("SUBMITTED", "0.001", True, True, "100", True, False),
    ("FILLED", "0.002", True, True, "60", False, False),
    ("CANCELED", "0.001", True, True, "60", False, False),
    ("CANCELED", "0", True, False, "0", False, False),
    ("REJECTED", "0", False, False, "0", False, False),
    ("NOT_PLACED", "0", False, False, "0", False, False),
]


@pytest.mark.parametrize(("status", "filled", "trade", "flip", "value", "still_open", "unresolved"), TABLE)
def test_each_status_counts_as_the_table_says(
    status: str, filled: str, *, trade: bool, flip: bool, value: str, still_open: bool, unresolved: bool
) -> None:
    filled_value = Decimal(60) if Decimal(filled) else Decimal(0)
    one = given.execution(
        status=ExecutionStatus(status),
        worst_value=Decimal(100),
        filled_amount=Decimal(filled),
        filled_value=filled_value,
    )
    assert counts_as_trade(one) is trade
    assert counts_for_flip(one) is flip
    assert value_counted(one) == Decimal(value)
    assert is_open(one) is still_open
    assert is_unresolved(one) is unresolved


def test_the_table_has_every_status() -> None:
    assert {row[0] for row in TABLE} == set(ExecutionStatus)


def test_a_sell_takes_no_value() -> None:
    assert value_counted(given.execution(given.limit(Side.SELL))) == 0


def test_the_later_of_claim_and_last_fill_is_the_last_touch() -> None:
    assert last_touched_at(given.execution(ago=given.HOUR)) == given.NOW - given.HOUR
    assert last_touched_at(given.execution(ago=given.HOUR, last_fill_at=given.NOW)) == given.NOW
    earlier = given.NOW - timedelta(hours=2)
    assert last_touched_at(given.execution(ago=given.HOUR, last_fill_at=earlier)) == given.NOW - given.HOUR


OPEN_SELL = given.execution(
    given.limit(Side.SELL, amount="0.003"), status=ExecutionStatus.SUBMITTED, filled_amount=Decimal("0.001")
)
EXITS = [
    ("0.00099999", (), True, True),
    ("0.001", (), True, True),
    ("0.00100001", (), True, False),
    ("0.001", (), False, False),
    ("0.001", (given.execution(given.limit(Side.SELL)),), True, True),
    ("0.001", (given.execution(given.limit(Side.SELL, market="ETH-EUR"), status=ExecutionStatus.UNKNOWN),), True, True),
    ("0.001", (OPEN_SELL,), True, False),
]


@pytest.mark.parametrize(("amount", "executions", "complete", "expected"), EXITS)
def test_an_exit_is_a_sell_within_the_position_less_open_sells(
    amount: str, executions: tuple[PastExecution, ...], *, complete: bool, expected: bool
) -> None:
    seen = given.facts(position=Decimal("0.001"), executions=executions, history_complete=complete)
    assert is_exit(given.proposal(given.market_sell(amount)), seen) is expected


def test_only_what_an_open_sell_may_still_sell_is_taken_off() -> None:
    seen = given.facts(position=Decimal("0.003"), executions=(OPEN_SELL,))
    assert is_exit(given.proposal(given.market_sell("0.001")), seen)
    assert not is_exit(given.proposal(given.market_sell("0.00100001")), seen)


def test_a_buy_is_no_exit() -> None:
    assert not is_exit(given.proposal(), given.facts(position=Decimal(100)))
