"""`trade.v1.TradeService`: each method reads its request, asks one use case, and writes the answer."""

from datetime import datetime
from typing import Final, TypeVar
from uuid import UUID

from kernel.errors import Forbidden, NotFound
from kernel.inflight import InFlight
from kernel.rpc.actor import current_actor, require
from kernel.rpc.call import Context, add_trailer
from kernel.rpc.rights import APPROVE, OVERRIDE, PROPOSE
from policy.model import DecisionOutcome, ExecutionStatus
from protos.trade.v1 import trade_pb2 as pb
from protos.trade.v1.trade_pb2_grpc import TradeServiceServicer
from trade_service import reasons
from trade_service.cancel import Cancel
from trade_service.execute import Answer, Execute
from trade_service.execution import Execution, StoredDecision
from trade_service.ports import ExecutionStore, ProposalStore, ReadingStore
from trade_service.proposal import ProposalStatus, StoredProposal
from trade_service.rpc.answers import decision_message, execution_message, proposal_message
from trade_service.rpc.pages import next_token, page_of
from trade_service.rpc.requests import override_of, placed, submitted
from trade_service.submit import Submit

DECISION_TRAILER: Final = "interlock-decision-id"
EXECUTION_TRAILER: Final = "interlock-execution-id"

Word = TypeVar("Word", ProposalStatus, ExecutionStatus, DecisionOutcome)


class TradeRpc(TradeServiceServicer):
    """Proposals, their decisions and their one execution each."""

    def __init__(
        self,
        submit: Submit,
        execute: Execute,
        cancel: Cancel,
        proposals: ProposalStore,
        executions: ExecutionStore,
        reading: ReadingStore,
        in_flight: InFlight,
    ) -> None:
        """Take the use cases and what is read directly."""
        self._submit = submit
        self._execute = execute
        self._cancel = cancel
        self._proposals = proposals
        self._executions = executions
        self._reading = reading
        self._in_flight = in_flight

    async def SubmitProposal(self, request: pb.SubmitProposalRequest, _: Context) -> pb.SubmitProposalResponse:
        """Store a proposal, once."""
        stored, created = await self._submit.submit(submitted(request), current_actor().name)
        return pb.SubmitProposalResponse(proposal=proposal_message(stored), created=created)

    async def GetProposal(self, request: pb.GetProposalRequest, _: Context) -> pb.GetProposalResponse:
        """Read one proposal."""
        look = await self._proposals.look(request.user_id, UUID(request.proposal_id))
        if look is None:
            message = f"no proposal {request.proposal_id} of this user"
            raise NotFound(reasons.PROPOSAL_NOT_FOUND, message)
        return pb.GetProposalResponse(proposal=proposal_message(look.proposal))

    async def ListProposals(self, request: pb.ListProposalsRequest, _: Context) -> pb.ListProposalsResponse:
        """List proposals, newest first."""
        status = _enum(ProposalStatus, pb.ProposalStatus.Name(request.status), "PROPOSAL_STATUS_")
        page, filters = page_of(request, "proposals", request.user_id, status, request.market)
        found = await self._reading.proposals(request.user_id, status, request.market, page)
        token = next_token(page, filters, [(one.submitted_at, one.content.proposal_id) for one in found])
        return pb.ListProposalsResponse(proposals=map(proposal_message, found), next_page_token=token)

    async def ApproveProposal(self, request: pb.ApproveProposalRequest, _: Context) -> pb.ApproveProposalResponse:
        """Record a human's yes."""
        actor = current_actor()
        if request.overrides:
            require(OVERRIDE)
        person = request.approver or actor.name
        approvers = (person, actor.name) if actor.authenticated else (person,)
        overrides = [override_of(one, person) for one in request.overrides]
        stored = await self._submit.approve(
            request.user_id, UUID(request.proposal_id), request.content_hash, approvers, overrides
        )
        return pb.ApproveProposalResponse(proposal=proposal_message(stored))

    async def DeclineProposal(self, request: pb.DeclineProposalRequest, _: Context) -> pb.DeclineProposalResponse:
        """Close a proposal."""
        actor = current_actor().name
        stored = await self._submit.decline(
            request.user_id, UUID(request.proposal_id), actor, request.reason, _require_may_decline
        )
        return pb.DeclineProposalResponse(proposal=proposal_message(stored))

    async def CheckProposal(self, request: pb.CheckProposalRequest, _: Context) -> pb.CheckProposalResponse:
        """Judge, and change nothing."""
        decision = await self._execute.check(request.user_id, UUID(request.proposal_id))
        return pb.CheckProposalResponse(decision=decision_message(decision))

    async def ExecuteProposal(self, request: pb.ExecuteProposalRequest, _: Context) -> pb.ExecuteProposalResponse:
        """Judge, and trade once. From here on the work is the server's: a cancelled call does not cancel it."""
        work = self._execute.execute(request.user_id, UUID(request.proposal_id), current_actor().name)
        answer = await self._in_flight.finish(work)
        _tell_ids(answer)
        return pb.ExecuteProposalResponse(
            decision=decision_message(answer.decision),
            execution=None if answer.execution is None else execution_message(answer.execution),
            replayed=answer.replayed,
        )

    async def PlaceOrder(self, request: pb.PlaceOrderRequest, _: Context) -> pb.PlaceOrderResponse:
        """Submit and execute in one attempt."""
        stored, answer = await self._in_flight.finish(self._place(request, current_actor().name))
        _tell_ids(answer)
        return pb.PlaceOrderResponse(
            proposal=proposal_message(stored),
            decision=decision_message(answer.decision),
            execution=None if answer.execution is None else execution_message(answer.execution),
            replayed=answer.replayed,
        )

    async def GetExecution(self, request: pb.GetExecutionRequest, _: Context) -> pb.GetExecutionResponse:
        """Read one execution with its events."""
        found = await self._executions.execution(request.user_id, UUID(request.proposal_id), events=True)
        if found is None:
            message = f"no execution of proposal {request.proposal_id} of this user"
            raise NotFound(reasons.EXECUTION_NOT_FOUND, message)
        return pb.GetExecutionResponse(execution=execution_message(found))

    async def ListExecutions(self, request: pb.ListExecutionsRequest, _: Context) -> pb.ListExecutionsResponse:
        """List executions, newest first."""
        status = _enum(ExecutionStatus, pb.ExecutionStatus.Name(request.status), "EXECUTION_STATUS_")
        page, filters = page_of(request, "executions", request.user_id, status, request.market)
        found = await self._reading.executions(request.user_id, status, request.market, page)
        token = next_token(page, filters, [(one.claimed_at, one.execution_id) for one in found])
        return pb.ListExecutionsResponse(executions=map(execution_message, found), next_page_token=token)

    async def CancelExecution(self, request: pb.CancelExecutionRequest, _: Context) -> pb.CancelExecutionResponse:
        """Ask for a cancel; the server's work, as an execution is."""
        actor = current_actor().name
        work = self._cancel.cancel(request.user_id, UUID(request.proposal_id), actor, request.reason)
        execution = await self._in_flight.finish(work)
        add_trailer(EXECUTION_TRAILER, str(execution.execution_id))
        return pb.CancelExecutionResponse(execution=execution_message(execution))

    async def GetDecision(self, request: pb.GetDecisionRequest, _: Context) -> pb.GetDecisionResponse:
        """Read one decision with its facts."""
        found = await self._reading.decision(request.user_id, UUID(request.decision_id))
        if found is None:
            raise NotFound(reasons.DECISION_NOT_FOUND, f"no decision {request.decision_id} of this user")
        return pb.GetDecisionResponse(decision=decision_message(found))

    async def ListDecisions(self, request: pb.ListDecisionsRequest, _: Context) -> pb.ListDecisionsResponse:
        """List decisions, newest first."""
        outcome = _enum(DecisionOutcome, pb.DecisionOutcome.Name(request.outcome), "DECISION_OUTCOME_")
        proposal_id = UUID(request.proposal_id) if request.proposal_id else None
        page, filters = page_of(request, "decisions", request.user_id, outcome, request.proposal_id)
        found = await self._reading.decisions(request.user_id, proposal_id, outcome, page)
        token = next_token(page, filters, [_listed(one) for one in found])
        return pb.ListDecisionsResponse(decisions=map(decision_message, found), next_page_token=token)

    async def _place(self, request: pb.PlaceOrderRequest, actor: str) -> tuple[StoredProposal, Answer]:
        content = placed(request)
        await self._submit.submit(content, actor)
        answer = await self._execute.execute(content.user_id, content.proposal_id, actor, closes=True)
        look = await self._proposals.look(content.user_id, content.proposal_id)
        assert look is not None  # noqa: S101 - submitted above, never deleted
        return look.proposal, answer


def _require_may_decline(stored: StoredProposal) -> None:
    """Pass an approver, or a proposer whose own proposal it is."""
    actor = current_actor()
    if actor.may(APPROVE) or (actor.may(PROPOSE) and stored.submitted_by == actor.name):
        return
    message = f"{actor.name} may decline only what it submitted, or needs the right {APPROVE}"
    raise Forbidden(reasons.RIGHT_MISSING, message, metadata={"right": APPROVE})


def _tell_ids(answer: Answer) -> None:
    add_trailer(DECISION_TRAILER, str(answer.decision.decision_id))
    if isinstance(answer.execution, Execution):
        add_trailer(EXECUTION_TRAILER, str(answer.execution.execution_id))


def _enum(kind: type[Word], name: str, prefix: str) -> Word | None:
    """Turn PREFIX_VALUE into the value of `kind`; unspecified is none."""
    value = name.removeprefix(prefix)
    return None if value == "UNSPECIFIED" else kind(value)


def _listed(one: StoredDecision) -> tuple[datetime, UUID]:
    assert one.decision_id is not None  # noqa: S101 - a stored one has its id
    return one.decision.decided_at, one.decision_id
