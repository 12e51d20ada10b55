"""`trade.v1.BudgetService`."""

from uuid import UUID

from kernel.rpc.actor import current_actor
from kernel.rpc.call import Context
from protos.trade.v1 import trade_pb2 as pb
from protos.trade.v1.trade_pb2_grpc import BudgetServiceServicer
from trade_service.budget import Budget
from trade_service.reservation import Outcome, ReservationStatus
from trade_service.rpc.answers import moment, reservation_message, verdict_message, window_message
from trade_service.rpc.requests import decimal_or_none


class BudgetRpc(BudgetServiceServicer):
    """Model calls reserved before they are made."""

    def __init__(self, budget: Budget) -> None:
        """Take the use case."""
        self._budget = budget

    async def ReserveBudget(self, request: pb.ReserveBudgetRequest, _: Context) -> pb.ReserveBudgetResponse:
        """Reserve one call."""
        reservation, created, verdict = await self._budget.reserve(
            request.user_id, UUID(request.reservation_id), request.purpose, current_actor().name
        )
        return pb.ReserveBudgetResponse(
            reservation=None if reservation is None else reservation_message(reservation),
            created=created,
            verdict=verdict_message(verdict),
        )

    async def SettleBudget(self, request: pb.SettleBudgetRequest, _: Context) -> pb.SettleBudgetResponse:
        """Say how a reserved call ended."""
        status = pb.ReservationStatus.Name(request.outcome).removeprefix("RESERVATION_STATUS_")
        outcome = Outcome(
            status=ReservationStatus(status),
            model=request.model,
            input_tokens=request.input_tokens,
            output_tokens=request.output_tokens,
            cost=decimal_or_none(request.cost),
            cost_currency=request.cost_currency,
        )
        reservation = await self._budget.settle(request.user_id, UUID(request.reservation_id), outcome)
        return pb.SettleBudgetResponse(reservation=reservation_message(reservation))

    async def GetBudget(self, request: pb.GetBudgetRequest, _: Context) -> pb.GetBudgetResponse:
        """Say what is left, and when more comes."""
        windows, policy_name, as_of = await self._budget.left(request.user_id)
        return pb.GetBudgetResponse(windows=map(window_message, windows), policy_name=policy_name, as_of=moment(as_of))
