"""A caller of trade_service over mutual TLS, with the certificate that the README's commands unpacked."""

import os
from types import TracebackType
from typing import Final, Self
from uuid import uuid4

import grpc

from protos.trade.v1 import trade_pb2 as pb
from protos.trade.v1.trade_pb2_grpc import TradeServiceStub
from tests.containers.docker import ROOT

CALL_SECONDS: Final = 15.0
USER: Final = "carol"
"""The README's commands and the canary trade for alice, and the policy allows two trades an hour."""


class Caller:
    """One of the development's callers, by name."""

    def __init__(self, name: str, user: str = USER) -> None:
        """Open a channel, to speak for a user; leaving the block closes it."""
        self._user = user
        authority, certificate, key = (
            (ROOT / ".local" / "callers" / name / file).read_bytes() for file in ("ca.pem", "cert.pem", "key.pem")
        )
        credentials = grpc.ssl_channel_credentials(authority, key, certificate)
        self._channel = grpc.secure_channel(f"127.0.0.1:{os.environ.get('TRADE_PORT', '50052')}", credentials)
        self._trade = TradeServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._channel.close()

    def submit(self, market: str, rationale: str = "") -> str:
        """Submit a small proposal to buy, and return its id."""
        terms = pb.OrderTerms(market=market, side=pb.SIDE_BUY, order_type=pb.ORDER_TYPE_MARKET, quote_amount="50")
        request = pb.SubmitProposalRequest(
            user_id=self._user, proposal_id=str(uuid4()), terms=terms, confidence=75, rationale=rationale
        )
        self._trade.SubmitProposal(request, timeout=CALL_SECONDS, wait_for_ready=True)
        return request.proposal_id

    def execute(self, proposal_id: str) -> pb.ExecuteProposalResponse:
        """Execute it, or learn what became of it."""
        request = pb.ExecuteProposalRequest(user_id=self._user, proposal_id=proposal_id)
        return self._trade.ExecuteProposal(request, timeout=CALL_SECONDS, wait_for_ready=True)

    def attempt(self, proposal_id: str) -> None:
        """Execute it, and take a lost answer for an answer."""
        request = pb.ExecuteProposalRequest(user_id=self._user, proposal_id=proposal_id)
        try:
            self._trade.ExecuteProposal(request, timeout=CALL_SECONDS)
        except grpc.RpcError:
            return

    def status(self, proposal_id: str) -> "pb.ExecutionStatus.ValueType":
        """Return the status of its execution; unspecified while nobody answers."""
        request = pb.GetExecutionRequest(user_id=self._user, proposal_id=proposal_id)
        try:
            return self._trade.GetExecution(request, timeout=CALL_SECONDS).execution.status
        except grpc.RpcError:
            return pb.EXECUTION_STATUS_UNSPECIFIED

    def get(self, proposal_id: str) -> pb.Proposal:
        """Read a proposal."""
        request = pb.GetProposalRequest(user_id=self._user, proposal_id=proposal_id)
        return self._trade.GetProposal(request, timeout=CALL_SECONDS, wait_for_ready=True).proposal

    def listed(self) -> pb.ListProposalsResponse:
        """List the user's proposals."""
        return self._trade.ListProposals(pb.ListProposalsRequest(user_id=self._user), timeout=CALL_SECONDS)

    def check(self, proposal_id: str) -> pb.Decision:
        """Learn what executing would decide now."""
        request = pb.CheckProposalRequest(user_id=self._user, proposal_id=proposal_id)
        return self._trade.CheckProposal(request, timeout=CALL_SECONDS, wait_for_ready=True).decision
