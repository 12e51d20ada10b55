"""The demo's gRPC client: the generated stubs, with the words a person would use."""

from datetime import UTC, datetime
from decimal import Decimal
from types import TracebackType
from typing import Self
from uuid import uuid4

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import ErrorInfo  # type: ignore[import-untyped]  # nor has this one
from grpc_status import rpc_status  # type: ignore[import-untyped]  # the package has no stubs

from protos.market.v1 import market_pb2 as market_pb
from protos.market.v1.market_pb2_grpc import MarketServiceStub
from protos.trade.v1 import trade_pb2 as pb
from protos.trade.v1.trade_pb2_grpc import AdminServiceStub, TradeServiceStub

CALL_TIMEOUT_SECONDS = 20.0


class Client:
    """Both services, asked on one thread or several."""

    def __init__(self, market_address: str, trade_address: str) -> None:
        """Open a channel to each; leaving the block closes them."""
        self._channels = (grpc.insecure_channel(market_address), grpc.insecure_channel(trade_address))
        self._market = MarketServiceStub(self._channels[0])
        self._trade = TradeServiceStub(self._channels[1])
        self._admin = AdminServiceStub(self._channels[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close both channels."""
        for channel in self._channels:
            channel.close()

    def market(self, name: str) -> market_pb.Market:
        """Return the exchange's rules of a market."""
        request = market_pb.GetMarketRequest(market=name)
        return self._market.GetMarket(request, timeout=CALL_TIMEOUT_SECONDS).market

    def best_ask(self, market: str) -> Decimal:
        """Return the lowest price at which somebody sells now."""
        request = market_pb.GetTickerRequest(market=market)
        return Decimal(self._market.GetTicker(request, timeout=CALL_TIMEOUT_SECONDS).ticker.ask)

    def submit(self, user: str, terms: pb.OrderTerms, confidence: int, rationale: str) -> pb.Proposal:
        """Submit a proposal under a new id."""
        request = pb.SubmitProposalRequest(
            user_id=user, proposal_id=str(uuid4()), terms=terms, confidence=confidence, rationale=rationale
        )
        return self._trade.SubmitProposal(request, timeout=CALL_TIMEOUT_SECONDS).proposal

    def approve(self, proposal: pb.Proposal, approver: str) -> pb.Proposal:
        """Approve what is in that proposal, as that person."""
        request = pb.ApproveProposalRequest(
            user_id=proposal.user_id,
            proposal_id=proposal.proposal_id,
            content_hash=proposal.content_hash,
            approver=approver,
        )
        return self._trade.ApproveProposal(request, timeout=CALL_TIMEOUT_SECONDS).proposal

    def execute(self, proposal: pb.Proposal) -> pb.ExecuteProposalResponse:
        """Execute a proposal, or learn what became of it."""
        request = pb.ExecuteProposalRequest(user_id=proposal.user_id, proposal_id=proposal.proposal_id)
        return self._trade.ExecuteProposal(request, timeout=CALL_TIMEOUT_SECONDS)

    def check(self, proposal: pb.Proposal) -> pb.Decision:
        """Learn what executing would decide now."""
        request = pb.CheckProposalRequest(user_id=proposal.user_id, proposal_id=proposal.proposal_id)
        return self._trade.CheckProposal(request, timeout=CALL_TIMEOUT_SECONDS).decision

    def execution(self, proposal: pb.Proposal) -> pb.Execution:
        """Read the execution of a proposal with its events."""
        request = pb.GetExecutionRequest(user_id=proposal.user_id, proposal_id=proposal.proposal_id)
        return self._trade.GetExecution(request, timeout=CALL_TIMEOUT_SECONDS).execution

    def set_trading(
        self, state: "pb.TradingState.ValueType", reason: str, expected_generation: int = 0
    ) -> pb.TradingSwitch:
        """Set the global trading state."""
        request = pb.SetTradingStateRequest(
            scope=pb.TRADING_SCOPE_GLOBAL, state=state, reason=reason, expected_generation=expected_generation
        )
        return self._admin.SetTradingState(request, timeout=CALL_TIMEOUT_SECONDS).switch


def buy_for(market: str, quote_amount: str) -> pb.OrderTerms:
    """Terms that spend that much of the quote asset at the market."""
    return pb.OrderTerms(market=market, side=pb.SIDE_BUY, order_type=pb.ORDER_TYPE_MARKET, quote_amount=quote_amount)


def limit_buy(market: str, amount: str, price: str) -> pb.OrderTerms:
    """Terms that buy an amount at that price or better."""
    return pb.OrderTerms(market=market, side=pb.SIDE_BUY, order_type=pb.ORDER_TYPE_LIMIT, amount=amount, price=price)


def error_of(error: grpc.RpcError) -> tuple[str, str, dict[str, str]]:
    """Return status, reason and metadata of a failed call; reason and metadata are empty when it never arrived."""
    status = error.code().name
    answer = rpc_status.from_call(error)
    for detail in answer.details if answer else ():
        info = ErrorInfo()
        if detail.Unpack(info):
            return status, info.reason, dict(info.metadata)
    return status, "", {}


def moment(stamp: Timestamp) -> datetime:
    """Return a timestamp of an answer as an aware datetime."""
    return stamp.ToDatetime(tzinfo=UTC)
