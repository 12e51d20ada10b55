"""The edge to trade_service: budgets and proposals, over gRPC. Nothing here can approve or execute.

Every call may be repeated: reservations and proposals have ids that follow from job and slot.
"""

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar
from uuid import UUID

import grpc
import grpc.aio
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ErrorInfo  # type: ignore[import-untyped]  # the packages have no stubs
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from kernel.decimals import plain
from kernel.errors import Failure, NotNow, Unavailable
from market_service.scan.job import Content, Opinion, Side
from market_service.scan.ports import Permission, Reserved, SettledAs, Usage
from protos.trade.v1 import trade_pb2 as pb

if TYPE_CHECKING:
    from protos.trade.v1.trade_pb2_grpc import BudgetServiceAsyncStub, TradeServiceAsyncStub

Request = TypeVar("Request")
Response = TypeVar("Response")

CALL_TIMEOUT_SECONDS: Final = 5.0
ATTEMPTS_MAX: Final = 3
"""For what may be repeated without harm: a settlement, a proposal."""
PAUSE_SECONDS: Final = 0.3
PURPOSE_MAX_CHARS: Final = 200
RATIONALE_MAX_CHARS: Final = 4_000
TRADE_UNAVAILABLE: Final = "TRADE_UNAVAILABLE"

_SIDES: Final = {Side.BUY: pb.SIDE_BUY, Side.SELL: pb.SIDE_SELL}
_OUTCOMES: Final = {
    SettledAs.SUCCEEDED: pb.RESERVATION_STATUS_SUCCEEDED,
    SettledAs.FAILED: pb.RESERVATION_STATUS_FAILED,
    SettledAs.NOT_SENT: pb.RESERVATION_STATUS_NOT_SENT,
}
_SILENT: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    }
)
"""It may have acted or not, and may answer later; any other status is an answer."""


class Desk:
    """trade_service, as a client with the rights `budget` and `propose`."""

    def __init__(self, budget: "BudgetServiceAsyncStub", trade: "TradeServiceAsyncStub") -> None:
        """Use the channel's stubs."""
        self._budget = budget
        self._trade = trade

    async def reserve(self, user_id: str, reservation_id: UUID, purpose: str) -> Permission:
        """Reserve one model call. Asked once: after a lost answer a repeat could not allow the call any more.

        Raises:
            Unavailable: no answer. NotNow: refused.
        """
        request = pb.ReserveBudgetRequest(
            user_id=user_id, reservation_id=str(reservation_id), purpose=purpose[:PURPOSE_MAX_CHARS]
        )
        answer = await _ask(self._budget.ReserveBudget, request)
        if answer.created:
            length = answer.reservation.call_before.ToDatetime() - answer.reservation.reserved_at.ToDatetime()
            return Permission(Reserved.CREATED, length.total_seconds())
        return Permission(Reserved.REPEATED if answer.HasField("reservation") else Reserved.DENIED, 0.0)

    async def settle(self, user_id: str, reservation_id: UUID, outcome: SettledAs, usage: Usage) -> None:
        """Say how the call ended.

        Raises:
            Unavailable: no answer. NotNow: refused.
        """
        request = pb.SettleBudgetRequest(
            user_id=user_id,
            reservation_id=str(reservation_id),
            outcome=_OUTCOMES[outcome],
            model=usage.model,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cost="" if usage.cost is None else plain(usage.cost),
            cost_currency="" if usage.cost is None else usage.currency,
        )
        await _ask_again(self._budget.SettleBudget, request)

    async def submit(self, content: Content, proposal_id: UUID, opinion: Opinion, rationale: str) -> None:
        """Submit a market order as a proposal; a repeat with the same content is fine.

        Raises:
            Unavailable: no answer. NotNow: refused.
        """
        amount = "" if opinion.amount is None else plain(opinion.amount)
        buys = opinion.side is Side.BUY
        terms = pb.OrderTerms(
            market=content.market,
            side=_SIDES[opinion.side],
            order_type=pb.ORDER_TYPE_MARKET,
            amount="" if buys else amount,
            quote_amount=amount if buys else "",
        )
        request = pb.SubmitProposalRequest(
            user_id=content.user_id,
            proposal_id=str(proposal_id),
            terms=terms,
            confidence=opinion.confidence,
            rationale=rationale[:RATIONALE_MAX_CHARS],
        )
        if content.valid_for is not None:
            length = Duration()
            length.FromTimedelta(content.valid_for)
            request.valid_for.CopyFrom(length)
        await _ask_again(self._trade.SubmitProposal, request)


async def _ask_again(method: "grpc.aio.UnaryUnaryMultiCallable[Request, Response]", request: Request) -> Response:
    for _ in range(ATTEMPTS_MAX - 1):
        try:
            return await _ask(method, request)
        except Unavailable:
            await asyncio.sleep(PAUSE_SECONDS)
    return await _ask(method, request)


async def _ask(method: "grpc.aio.UnaryUnaryMultiCallable[Request, Response]", request: Request) -> Response:
    try:
        return await method(request, timeout=CALL_TIMEOUT_SECONDS)
    except grpc.aio.AioRpcError as error:
        raise _failure(error) from None


def _failure(error: grpc.aio.AioRpcError) -> Failure:
    code = error.code()
    if code in _SILENT:
        return Unavailable(TRADE_UNAVAILABLE, f"trade_service does not answer ({code.name})")
    return NotNow(f"TRADE_{_reason(error) or code.name}", f"trade_service refused ({code.name})")


def _reason(error: grpc.aio.AioRpcError) -> str:
    """Return the reason of the ErrorInfo, which is an enum's word; empty when there is none."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            info = ErrorInfo()
            for detail in Status.FromString(value).details:
                if detail.Unpack(info):
                    return str(info.reason)
    return ""
