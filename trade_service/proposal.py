"""A proposal as it is stored: content that never changes, and the status that moves."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from kernel.decimals import plain
from policy.model import Approval, Override, Proposal, Terms


class ProposalStatus(StrEnum):
    """Where a proposal stands; the database enforces the moves (trigger `trade_proposals_status`)."""

    PROPOSED = "PROPOSED"
    APPROVED = "APPROVED"
    DECLINED = "DECLINED"
    EXPIRED = "EXPIRED"
    EXECUTING = "EXECUTING"
    EXECUTED = "EXECUTED"
    FAILED = "FAILED"


EXECUTABLE = frozenset({ProposalStatus.PROPOSED, ProposalStatus.APPROVED})


@dataclass(frozen=True, slots=True)
class Content:
    """All that a caller says about a trade. `placed`: said by PlaceOrder, so that a denial closes the proposal."""

    user_id: str
    proposal_id: UUID
    terms: Terms
    confidence: int
    rationale: str
    valid_for: timedelta | None
    cancel_after: timedelta | None
    placed: bool

    def fields(self) -> dict[str, str]:
        """Return every part by its name in the request, as text; absent parts are empty."""
        terms = self.terms
        return {
            "terms.market": terms.market,
            "terms.side": terms.side,
            "terms.order_type": terms.order_type,
            "terms.amount": _digits(terms.amount),
            "terms.price": _digits(terms.price),
            "terms.quote_amount": _digits(terms.quote_amount),
            "terms.time_in_force": terms.time_in_force or "",
            "terms.post_only": str(terms.post_only),
            "confidence": str(self.confidence),
            "rationale": self.rationale,
            "valid_for": _seconds(self.valid_for),
            "cancel_after": _seconds(self.cancel_after),
            "method": "PlaceOrder" if self.placed else "SubmitProposal",
        }

    def content_hash(self) -> str:
        """Return the SHA-256, hex, of the content with user and id: what an approver approves."""
        whole = {"user_id": self.user_id, "proposal_id": str(self.proposal_id), **self.fields()}
        return hashlib.sha256(json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def differing(self, other: "Content") -> tuple[str, ...]:
        """Name the fields in which `other` differs; the id is the key, this only detects a changed repeat."""
        theirs = other.fields()
        return tuple(name for name, value in self.fields().items() if value != theirs[name])


@dataclass(frozen=True, slots=True)
class StoredProposal:
    """One row of `trade_proposals`."""

    content: Content
    content_hash: str
    status: ProposalStatus
    submitted_by: str
    submitted_at: datetime
    expires_at: datetime
    approval: Approval | None
    overrides: tuple[Override, ...]

    def judged(self) -> Proposal:
        """Return it as the policy engine sees it."""
        return Proposal(
            user_id=self.content.user_id,
            proposal_id=self.content.proposal_id,
            terms=self.content.terms,
            confidence=self.content.confidence,
            content_hash=self.content_hash,
            submitted_by=self.submitted_by,
            submitted_at=self.submitted_at,
            expires_at=self.expires_at,
            approval=self.approval,
            overrides=self.overrides,
        )


def _digits(value: Decimal | None) -> str:
    return "" if value is None else plain(value)


def _seconds(value: timedelta | None) -> str:
    return "" if value is None else f"{value.total_seconds():.6f}"
