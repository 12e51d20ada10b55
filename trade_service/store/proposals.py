"""Proposals outside their claim: submitted, looked at, approved, declined."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, LiteralString
from uuid import UUID

import orjson

from kernel.db import Database, Row, Statement
from trade_service.claiming import Look
from trade_service.ports import ProposalChange
from trade_service.proposal import Content, ProposalStatus, StoredProposal
from trade_service.store import user
from trade_service.store.fresh import Fresh
from trade_service.store.rows import decision_of, execution_of, fill_of, override_json, proposal_of

# Idempotent by (user, proposal): a repeat inserts nothing and reads what is there.
SUBMIT: Final[LiteralString] = """
INSERT INTO trade_proposals (user_id, proposal_id, market, side, order_type, amount, price, quote_amount, time_in_force,
    post_only, confidence, rationale, valid_for, cancel_after, content_hash, placed, submitted_by, submitted_at,
    expires_at, status)
SELECT %(user_id)s, %(proposal_id)s, %(market)s, %(side)s, %(order_type)s, %(amount)s, %(price)s, %(quote_amount)s,
    %(time_in_force)s, %(post_only)s, %(confidence)s, %(rationale)s, %(valid_for)s, %(cancel_after)s, %(content_hash)s,
    %(placed)s, %(actor)s, now, now + %(ttl)s, 'PROPOSED'
FROM (SELECT clock_timestamp() AS now) AS clock
ON CONFLICT (user_id, proposal_id) DO NOTHING
RETURNING *
"""

READ: Final[LiteralString] = """
SELECT * FROM trade_proposals WHERE user_id = %(user_id)s AND proposal_id = %(proposal_id)s
"""

# What an execution asks first. A proposal that nobody judged yet, the usual case, is known by this statement alone.
LOOK: Final[LiteralString] = """
SELECT p.*, EXISTS (SELECT FROM decisions d WHERE d.user_id = p.user_id AND d.proposal_id = p.proposal_id) AS judged
FROM trade_proposals p WHERE p.user_id = %(user_id)s AND p.proposal_id = %(proposal_id)s
"""

READ_EXECUTION: Final[LiteralString] = """
SELECT * FROM trade_executions WHERE user_id = %(user_id)s AND proposal_id = %(proposal_id)s
"""

# The decision that allowed the execution when there is one (it is the only ALLOW), else the last denial.
READ_DECISION: Final[LiteralString] = """
SELECT user_id, decision_id, proposal_id, outcome, verdicts, policy_name, policy_sha256, policy_generation, decided_at,
    extract(epoch FROM clock_timestamp() - decided_at)::float8 AS age_seconds
FROM decisions WHERE user_id = %(user_id)s AND proposal_id = %(proposal_id)s
ORDER BY outcome = 'ALLOW' DESC, decided_at DESC LIMIT 1
"""

READ_FILLS: Final[LiteralString] = """
SELECT h.* FROM trade_executions e JOIN trade_history h USING (user_id, execution_id)
WHERE e.user_id = %(user_id)s AND e.proposal_id = %(proposal_id)s ORDER BY h.filled_at, h.fill_id
"""

CHANGE: Final[LiteralString] = """
UPDATE trade_proposals SET
    status = %(status)s,
    approver = coalesce(%(approver)s, approver),
    approved_hash = coalesce(%(approved_hash)s, approved_hash),
    approved_at = CASE WHEN %(approver)s::text IS NULL THEN approved_at ELSE %(now)s END,
    overrides = coalesce(%(overrides)s::jsonb, overrides),
    closed_by = coalesce(%(closed_by)s, closed_by),
    closed_reason = coalesce(%(closed_reason)s, closed_reason)
WHERE user_id = %(user_id)s AND proposal_id = %(proposal_id)s
RETURNING *
"""


class ProposalRows:
    """Submits, looks and changes."""

    def __init__(self, database: Database) -> None:
        """Use the pool of the serving role."""
        self._database = database
        self._fresh = Fresh()

    async def submit(
        self, content: Content, actor: str, ttl: timedelta, *, refuse: Callable[[StoredProposal], None]
    ) -> tuple[StoredProposal, bool]:
        """Store a proposal, or answer the one that is there after `refuse` has seen it."""
        parameters = _content_parameters(content) | {"actor": actor, "ttl": ttl}
        async with self._database.transaction(user.owned_by(content.user_id)) as transaction:
            _, _, created, stored = await transaction.run(
                user.ensure(content.user_id, actor),
                user.lock(content.user_id),
                Statement(SUBMIT, parameters),
                _of(READ, content.user_id, content.proposal_id),
            )
            proposal = proposal_of(stored[0])
            if not created:
                refuse(proposal)
                return proposal, False
            await transaction.commit()
        self._fresh.note(proposal)
        return proposal, True

    async def first_look(self, user_id: str, proposal_id: UUID) -> Look | None:
        """Look as `look` does, but of a proposal that was just stored here say so from memory, once."""
        proposal = self._fresh.take(user_id, proposal_id)
        if proposal is not None:
            return Look(proposal, None, None, 0.0, remembered=True)
        return await self.look(user_id, proposal_id)

    async def look(self, user_id: str, proposal_id: UUID) -> Look | None:
        """Read a proposal with its execution and last decision, without a lock."""
        settings = user.owned_by(user_id)
        (proposal,) = await self._database.read(_of(LOOK, user_id, proposal_id), settings=settings)
        if not proposal:
            return None
        if not proposal[0]["judged"]:
            return Look(proposal_of(proposal[0]), None, None, 0.0)
        # Each statement sees its own moment: whoever saw the execution also sees the decision that allowed it.
        execution, fills, decision = await self._database.read(
            _of(READ_EXECUTION, user_id, proposal_id),
            _of(READ_FILLS, user_id, proposal_id),
            _of(READ_DECISION, user_id, proposal_id),
            settings=settings,
        )
        return Look(
            proposal_of(proposal[0]),
            execution_of(execution[0], tuple(map(fill_of, fills))) if execution else None,
            decision_of(decision[0]),
            decision[0]["age_seconds"],
        )

    async def change(
        self, user_id: str, proposal_id: UUID, change: Callable[[StoredProposal, datetime], ProposalChange | None]
    ) -> StoredProposal | None:
        """Under the user's lock, let `change` look, and write what it returns."""
        async with self._database.transaction(user.owned_by(user_id)) as transaction:
            _, now, found = await transaction.run(user.lock(user_id), user.clock(), _of(READ, user_id, proposal_id))
            if not found:
                return None
            proposal, moment = proposal_of(found[0]), now[0]["now"]
            wanted = change(proposal, moment)
            if wanted is None:
                return proposal
            changed = await transaction.run_one(_change(proposal, wanted, moment))
            await transaction.commit()
            return proposal_of(changed[0])

    async def expire(self, user_id: str, proposal_id: UUID) -> StoredProposal | None:
        """Mark a proposal whose time is over, if nothing else happened to it."""
        return await self.change(user_id, proposal_id, _expired)


def _expired(proposal: StoredProposal, now: datetime) -> ProposalChange | None:
    over = proposal.expires_at <= now and proposal.status in {ProposalStatus.PROPOSED, ProposalStatus.APPROVED}
    return ProposalChange(ProposalStatus.EXPIRED) if over else None


def _of(sql: LiteralString, user_id: str, proposal_id: UUID) -> Statement:
    return Statement(sql, {"user_id": user_id, "proposal_id": proposal_id})


def _change(proposal: StoredProposal, wanted: ProposalChange, now: datetime) -> Statement:
    overrides = wanted.overrides
    parameters = {
        "user_id": proposal.content.user_id,
        "proposal_id": proposal.content.proposal_id,
        "status": wanted.status,
        "approver": wanted.approver,
        "approved_hash": wanted.approved_hash,
        "now": now,
        "overrides": None if overrides is None else orjson.dumps([override_json(one) for one in overrides]).decode(),
        "closed_by": wanted.closed_by,
        "closed_reason": wanted.closed_reason,
    }
    return Statement(CHANGE, parameters)


def _content_parameters(content: Content) -> Row:
    terms = content.terms
    return {
        "user_id": content.user_id,
        "proposal_id": content.proposal_id,
        "market": terms.market,
        "side": terms.side,
        "order_type": terms.order_type,
        "amount": terms.amount,
        "price": terms.price,
        "quote_amount": terms.quote_amount,
        "time_in_force": terms.time_in_force,
        "post_only": terms.post_only,
        "confidence": content.confidence,
        "rationale": content.rationale,
        "valid_for": content.valid_for,
        "cancel_after": content.cancel_after,
        "content_hash": content.content_hash(),
        "placed": content.placed,
    }
