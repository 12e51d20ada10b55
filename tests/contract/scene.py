"""What a way to an error may use: stubs, the system behind them, a user of its own."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from protos.trade.v1 import trade_pb2 as pb
from protos.trade.v1.trade_pb2_grpc import AdminServiceStub, BudgetServiceStub, TradeServiceStub
from standalone.system import System
from tests.contract.refusal import Refusal, refused
from tests.contract.wishes import new_id, submission


@dataclass(frozen=True)
class Scene:
    """What a way to an error may use."""

    system: System
    trade: TradeServiceStub
    admin: AdminServiceStub
    budget: BudgetServiceStub
    policies: Path
    user: str

    def key(self) -> dict[str, str]:
        """Return both ids of something nobody has."""
        return {"user_id": self.user, "proposal_id": new_id()}

    def submitted(self) -> pb.Proposal:
        """Return a proposal that the policy allows."""
        return self.trade.SubmitProposal(submission(self.user)).proposal

    def execute(self, proposal: pb.Proposal) -> Refusal:
        """Execute a proposal, to be refused."""
        request = pb.ExecuteProposalRequest(user_id=proposal.user_id, proposal_id=proposal.proposal_id)
        return refused(lambda: self.trade.ExecuteProposal(request, wait_for_ready=True))

    def approve(self, proposal: pb.Proposal, content_hash: str, approver: str) -> Refusal:
        """Approve a proposal, to be refused."""
        request = pb.ApproveProposalRequest(
            user_id=self.user, proposal_id=proposal.proposal_id, content_hash=content_hash, approver=approver
        )
        return refused(lambda: self.trade.ApproveProposal(request))

    def connect(self, role: str) -> "psycopg.Connection[tuple[Any, ...]]":
        """Connect to the trade database as a role."""
        return psycopg.connect(self.system.database_url(role))
