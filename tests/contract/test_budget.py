"""BudgetService as its callers see it: one answer allows one call, and what is left is exact."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import grpc
import pytest

from protos.trade.v1 import trade_pb2 as pb
from protos.trade.v1.trade_pb2_grpc import BudgetServiceStub, TradeServiceStub
from tests.contract.refusal import refused
from tests.contract.wishes import new_id, placement

CALLS_PER_HOUR = 3


@pytest.fixture(scope="module")
def grpc_stub_cls() -> type[BudgetServiceStub]:
    return BudgetServiceStub


def reserve(stub: BudgetServiceStub, user: str, reservation_id: str = "") -> pb.ReserveBudgetResponse:
    return stub.ReserveBudget(
        pb.ReserveBudgetRequest(user_id=user, reservation_id=reservation_id or new_id(), purpose="scan:7/BTC-EUR")
    )


def settlement(
    reservation: pb.Reservation,
    outcome: pb.ReservationStatus.ValueType,
    **more: Any,  # noqa: ANN401 - fields of many types
) -> pb.SettleBudgetRequest:
    return pb.SettleBudgetRequest(
        user_id=reservation.user_id, reservation_id=reservation.reservation_id, outcome=outcome, **more
    )


def windows(stub: BudgetServiceStub, user: str) -> dict[str, tuple[str, str, str]]:
    answer = stub.GetBudget(pb.GetBudgetRequest(user_id=user))
    return {each.name: (each.limit, each.used, each.left) for each in answer.windows}


def test_a_reservation_is_created_once(grpc_stub: BudgetServiceStub, user: str) -> None:
    first = reserve(grpc_stub, user)
    assert (first.created, first.verdict.outcome) == (True, pb.VERDICT_OUTCOME_PASS)
    made = first.reservation
    assert (made.user_id, made.purpose, made.status) == (user, "scan:7/BTC-EUR", pb.RESERVATION_STATUS_RESERVED)
    assert made.call_before.ToDatetime() - made.reserved_at.ToDatetime() == timedelta(seconds=30)
    assert not made.HasField("settled_at")
    again = reserve(grpc_stub, user, made.reservation_id)
    assert (again.created, again.reservation) == (False, made)
    assert (again.verdict.outcome, again.verdict.code) == (pb.VERDICT_OUTCOME_PASS, "ALREADY_RESERVED")
    assert windows(grpc_stub, user)["gpt_calls per_hour"] == ("3", "1", "2")


def test_the_call_over_the_limit_is_denied_and_told_when_it_may_come(grpc_stub: BudgetServiceStub, user: str) -> None:
    first = reserve(grpc_stub, user).reservation
    for _ in range(CALLS_PER_HOUR - 1):
        assert reserve(grpc_stub, user).created
    denied = reserve(grpc_stub, user)
    assert not denied.created
    assert not denied.HasField("reservation")
    assert (denied.verdict.outcome, denied.verdict.code) == (pb.VERDICT_OUTCOME_DENY, "BUDGET_GPT_CALLS")
    frees = first.reserved_at.ToDatetime() + timedelta(hours=1)
    assert denied.verdict.next_possible_at.ToDatetime() == frees
    [hour, day, value] = grpc_stub.GetBudget(pb.GetBudgetRequest(user_id=user)).windows
    assert [each.name for each in (hour, day, value)] == [
        "gpt_calls per_hour",
        "gpt_calls per_day",
        "order_value per_day",
    ]
    assert (hour.left, hour.next_free_at.ToDatetime()) == ("0", frees)
    assert not value.HasField("next_free_at")


def test_a_settlement_is_kept_and_may_be_repeated_but_not_changed(grpc_stub: BudgetServiceStub, user: str) -> None:
    reservation = reserve(grpc_stub, user).reservation
    cost = {"model": "gpt-5", "input_tokens": 1200, "output_tokens": 80, "cost": "0.0123", "cost_currency": "USD"}
    request = settlement(reservation, pb.RESERVATION_STATUS_SUCCEEDED, **cost)
    settled = grpc_stub.SettleBudget(request).reservation
    assert settled.status == pb.RESERVATION_STATUS_SUCCEEDED
    assert {name: getattr(settled, name) for name in cost} == cost
    assert settled.HasField("settled_at")
    assert grpc_stub.SettleBudget(request).reservation == settled
    for other in (
        settlement(reservation, pb.RESERVATION_STATUS_FAILED),
        settlement(reservation, pb.RESERVATION_STATUS_NOT_SENT),
        settlement(reservation, pb.RESERVATION_STATUS_SUCCEEDED, **{**cost, "cost": "0.5"}),
    ):
        told = refused(lambda other=other: grpc_stub.SettleBudget(other))  # type: ignore[misc]
        assert (told.code, told.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "RESERVATION_SETTLED")
        assert told.states == [("RESERVATION_STATUS", "SUCCEEDED")]
    assert windows(grpc_stub, user)["gpt_calls per_hour"] == ("3", "1", "2")


@pytest.mark.parametrize(
    ("outcome", "used"),
    [
        (pb.RESERVATION_STATUS_NOT_SENT, "0"),
        (pb.RESERVATION_STATUS_FAILED, "1"),
        (pb.RESERVATION_STATUS_SUCCEEDED, "1"),
    ],
)
def test_only_a_call_that_was_never_made_frees_its_place(
    grpc_stub: BudgetServiceStub, user: str, outcome: pb.ReservationStatus.ValueType, used: str
) -> None:
    reservation = reserve(grpc_stub, user).reservation
    grpc_stub.SettleBudget(settlement(reservation, outcome))
    assert windows(grpc_stub, user)["gpt_calls per_hour"][1] == used
    assert windows(grpc_stub, user)["gpt_calls per_day"][1] == used


def test_settling_what_is_not_there_is_not_found(grpc_stub: BudgetServiceStub, user: str) -> None:
    reservation = reserve(grpc_stub, user).reservation
    reservation.user_id = "x" + user
    told = refused(lambda: grpc_stub.SettleBudget(settlement(reservation, pb.RESERVATION_STATUS_FAILED)))
    assert (told.code, told.reason) == (grpc.StatusCode.NOT_FOUND, "RESERVATION_NOT_FOUND")


def test_the_value_of_a_buy_is_counted(grpc_stub: BudgetServiceStub, trade: TradeServiceStub, user: str) -> None:
    assert windows(grpc_stub, user)["order_value per_day"] == ("500", "0", "500")
    execution = trade.PlaceOrder(placement(user)).execution
    limit, used, left = map(Decimal, windows(grpc_stub, user)["order_value per_day"])
    assert used == Decimal(execution.filled_quote)
    assert left == limit - used
    answer = grpc_stub.GetBudget(pb.GetBudgetRequest(user_id=user))
    assert answer.policy_name == "everybody"
    [value] = [each for each in answer.windows if each.name == "order_value per_day"]
    assert value.next_free_at.ToDatetime() == execution.claimed_at.ToDatetime() + timedelta(hours=24)
