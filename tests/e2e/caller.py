"""A client of the replicas, on grpc.aio, as a caller would write it; and what a failure says, decoded."""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from uuid import uuid4

import grpc
import grpc.aio
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]  # the package has no stubs

from protos.trade.v1 import trade_pb2 as pb
from protos.trade.v1.trade_pb2_grpc import AdminServiceStub, TradeServiceStub

if TYPE_CHECKING:
    from protos.trade.v1.trade_pb2_grpc import AdminServiceAsyncStub, TradeServiceAsyncStub

CALL_SECONDS = 25.0
GTC = pb.TIME_IN_FORCE_GTC


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as a caller sees it."""

    code: grpc.StatusCode
    reason: str
    retry_seconds: float | None
    violations: tuple[str, ...]
    """Type, subject and description of each."""
    metadata: Mapping[str, str]


class Caller:
    """Stubs of every replica; calls name the replica, the first by default."""

    def __init__(self, addresses: Sequence[str], told: list[str]) -> None:
        self._addresses = addresses
        self._told = told
        self.trade: list[TradeServiceAsyncStub] = []
        self.admin: list[AdminServiceAsyncStub] = []

    async def __aenter__(self) -> Self:
        self._stack = AsyncExitStack()
        for address in self._addresses:
            options = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)]
            channel = await self._stack.enter_async_context(grpc.aio.insecure_channel(address, options=options))
            self.trade.append(TradeServiceStub(channel))
            self.admin.append(AdminServiceStub(channel))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def submit(
        self, user: str, terms: pb.OrderTerms, replica: int = 0, cancel_after: float = 0
    ) -> pb.SubmitProposalRequest:
        """Submit a new proposal; returns what was asked, whose ids name it from now on."""
        request = pb.SubmitProposalRequest(
            user_id=user, proposal_id=str(uuid4()), terms=terms, confidence=75, cancel_after=span(cancel_after)
        )
        await self.trade[replica].SubmitProposal(request, timeout=CALL_SECONDS)
        return request

    async def execute(
        self, of: pb.SubmitProposalRequest, replica: int = 0, seconds: float = CALL_SECONDS
    ) -> pb.ExecuteProposalResponse:
        """Execute a submitted proposal."""
        request = pb.ExecuteProposalRequest(user_id=of.user_id, proposal_id=of.proposal_id)
        return await self.trade[replica].ExecuteProposal(request, timeout=seconds)

    async def place(
        self, user: str, terms: pb.OrderTerms, replica: int = 0, seconds: float = CALL_SECONDS
    ) -> pb.PlaceOrderResponse:
        """Submit and execute in one call."""
        request = pb.PlaceOrderRequest(user_id=user, proposal_id=str(uuid4()), terms=terms, confidence=75)
        return await self.trade[replica].PlaceOrder(request, timeout=seconds)

    async def execution(self, user: str, proposal_id: str, replica: int = 0) -> pb.Execution:
        """Read an execution with its events."""
        request = pb.GetExecutionRequest(user_id=user, proposal_id=proposal_id)
        return (await self.trade[replica].GetExecution(request, timeout=CALL_SECONDS)).execution

    async def cancel(self, user: str, proposal_id: str, replica: int = 0) -> pb.Execution:
        """Ask for a cancel."""
        request = pb.CancelExecutionRequest(user_id=user, proposal_id=proposal_id, reason="a test")
        return (await self.trade[replica].CancelExecution(request, timeout=CALL_SECONDS)).execution

    async def decline(self, of: pb.SubmitProposalRequest, replica: int = 0) -> pb.DeclineProposalResponse:
        """Decline a submitted proposal."""
        request = pb.DeclineProposalRequest(user_id=of.user_id, proposal_id=of.proposal_id, reason="a test")
        return await self.trade[replica].DeclineProposal(request, timeout=CALL_SECONDS)

    def failure(self, error: BaseException | None) -> Failure:
        """Decode an error, and remember its words for the search for secrets."""
        assert isinstance(error, grpc.aio.AioRpcError), error
        metadata = {key: value for key, value in error.trailing_metadata() or ()}  # noqa: C416 - not a plain mapping
        self._told.append(f"{error.details()} {metadata}")
        status = status_pb2.Status.FromString(metadata.get("grpc-status-details-bin", b""))
        info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
        precondition = error_details_pb2.PreconditionFailure()
        retry_seconds = None
        for detail in status.details:
            detail.Unpack(info)
            detail.Unpack(precondition)
            if detail.Unpack(retry):
                retry_seconds = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
        violations = tuple(f"{one.type} {one.subject} {one.description}" for one in precondition.violations)
        return Failure(error.code(), info.reason, retry_seconds, violations, dict(info.metadata))


def buy(market: str = "BTC-EUR", quote_amount: str = "10") -> pb.OrderTerms:
    """Return a market order that fills at once."""
    return pb.OrderTerms(market=market, side=pb.SIDE_BUY, order_type=pb.ORDER_TYPE_MARKET, quote_amount=quote_amount)


def bid(market: str, amount: str, price: str) -> pb.OrderTerms:
    """Return a limit order that rests when its price is below the book's asks."""
    return pb.OrderTerms(
        market=market, side=pb.SIDE_BUY, order_type=pb.ORDER_TYPE_LIMIT, amount=amount, price=price, time_in_force=GTC
    )


def span(seconds: float) -> Duration | None:
    """Return a span of time, absent for none."""
    if not seconds:
        return None
    message = Duration()
    message.FromMilliseconds(round(seconds * 1000))
    return message
