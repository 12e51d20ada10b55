"""SubmitProposal, ApproveProposal and DeclineProposal: everything a proposal goes through before its claim."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from kernel.errors import Conflict, FieldViolation, Forbidden, Invalid, NotFound, NotNow, StateViolation
from policy.model import Override
from policy.policy import Policy
from trade_service import reasons
from trade_service.judge import closed
from trade_service.policies import PolicyBook
from trade_service.ports import ProposalChange, ProposalStore
from trade_service.proposal import EXECUTABLE, Content, ProposalStatus, StoredProposal

TTL_WITHOUT_POLICY: Final = timedelta(hours=1)
"""A proposal of a user without a policy is stored; executing it is denied, with a decision that says why."""
OVERRIDE_MAX: Final = timedelta(hours=24)


class Submit:
    """Proposals before their claim."""

    def __init__(self, proposals: ProposalStore, policies: PolicyBook) -> None:
        """Take the parts."""
        self._proposals = proposals
        self._policies = policies

    async def submit(self, content: Content, actor: str) -> tuple[StoredProposal, bool]:
        """Store a proposal; answer it, and whether this call created it.

        Raises:
            Invalid: it is new and asks to live longer than the policy lets it.
            Conflict: the id is taken by other content; the differing fields are named.
        """
        if self._policies.generation == 0:
            await self._policies.refresh()
        policy = self._policies.for_user(content.user_id)
        longest = policy.proposal_ttl if isinstance(policy, Policy) else TTL_WITHOUT_POLICY
        wanted = content.valid_for or longest

        def refuse(stored: StoredProposal) -> None:
            if stored.content_hash != content.content_hash():
                raise _mismatch(content, stored)

        if wanted <= longest:
            return await self._proposals.submit(content, actor, wanted, refuse=refuse)
        # A repeat answers what is stored, whatever the policy has become since.
        look = await self._proposals.look(content.user_id, content.proposal_id)
        if look is None:
            raise _lives_too_long(longest)
        refuse(look.proposal)
        return look.proposal, False

    async def approve(
        self,
        user_id: str,
        proposal_id: UUID,
        content_hash: str,
        approvers: Sequence[str],
        overrides: Sequence[Override],
    ) -> StoredProposal:
        """Record an approver's yes for the content he saw; a second one may add overrides.

        `approvers`: the person, then whoever speaks for him, if that was proved. None of them may be the submitter.

        Raises:
            NotFound: no such proposal. NotNow: it is closed, or has other content. Forbidden: the approver submitted
            it. Invalid: an override in the past or too far ahead.
        """

        def change(stored: StoredProposal, now: datetime) -> ProposalChange | None:
            _require_open(stored, now)
            _require_seen(stored, content_hash)
            _require_others(stored, approvers)
            _require_overrides(overrides, now)
            if stored.approval is not None and not overrides:
                return None
            merged = {one.rule: one for one in (*stored.overrides, *overrides)}
            return ProposalChange(
                ProposalStatus.APPROVED,
                approver=approvers[0],
                approved_hash=content_hash,
                overrides=tuple(merged.values()),
            )

        return _found(await self._proposals.change(user_id, proposal_id, change), proposal_id)

    async def decline(
        self, user_id: str, proposal_id: UUID, actor: str, reason: str, permit: Callable[[StoredProposal], None]
    ) -> StoredProposal:
        """Close a proposal for ever. Answering OK means that no claim of it exists, or ever will.

        `permit` sees the proposal, and raises when the caller may not decline it.

        Raises:
            NotFound: no such proposal. NotNow: it was claimed, or its time was over.
        """

        def change(stored: StoredProposal, _: datetime) -> ProposalChange | None:
            permit(stored)
            if stored.status is ProposalStatus.DECLINED:
                return None
            if stored.status not in EXECUTABLE:
                raise closed(stored.status)
            return ProposalChange(ProposalStatus.DECLINED, closed_by=actor, closed_reason=reason)

        return _found(await self._proposals.change(user_id, proposal_id, change), proposal_id)


def _found(proposal: StoredProposal | None, proposal_id: UUID) -> StoredProposal:
    if proposal is None:
        raise NotFound(reasons.PROPOSAL_NOT_FOUND, f"no proposal {proposal_id} of this user")
    return proposal


def _lives_too_long(longest: timedelta) -> Invalid:
    description = f"at most {longest.total_seconds():g} s, the policy's proposal_ttl"
    violation = FieldViolation("valid_for", description)
    return Invalid(reasons.INVALID_REQUEST, f"invalid request: valid_for: {description}", (violation,))


def _mismatch(content: Content, stored: StoredProposal) -> Conflict:
    fields = ",".join(stored.content.differing(content))
    message = f"proposal {content.proposal_id} exists with other content ({fields}); use a new id for a new trade"
    return Conflict(reasons.PROPOSAL_MISMATCH, message, metadata={"fields": fields})


def _require_open(stored: StoredProposal, now: datetime) -> None:
    if stored.status not in EXECUTABLE:
        raise closed(stored.status)
    if stored.expires_at <= now:
        raise closed(ProposalStatus.EXPIRED)


def _require_seen(stored: StoredProposal, content_hash: str) -> None:
    if stored.content_hash != content_hash:
        message = "the content approved is not the content stored; read the proposal and approve its content_hash"
        violation = StateViolation("CONTENT_HASH", stored.content_hash, message)
        metadata = {"content_hash": stored.content_hash}
        raise NotNow(reasons.CONTENT_HASH_MISMATCH, message, (violation,), metadata=metadata)


def _require_others(stored: StoredProposal, approvers: Sequence[str]) -> None:
    if stored.submitted_by in approvers:
        message = f"{stored.submitted_by} submitted this proposal and may not approve it"
        raise Forbidden(reasons.APPROVER_IS_SUBMITTER, message)


def _require_overrides(overrides: Sequence[Override], now: datetime) -> None:
    wrong = tuple(
        FieldViolation(f"overrides[{index}].until", f"in the future, at most {OVERRIDE_MAX} ahead")
        for index, one in enumerate(overrides)
        if not now < one.until <= now + OVERRIDE_MAX
    )
    if wrong:
        raise Invalid(reasons.INVALID_REQUEST, "invalid request: overrides", wrong)
