"""The claim: lock the user, read everything in one statement, judge, write, commit; and the same read without a lock.

Nothing else in the project inserts an execution, and nothing else makes a send authority.
"""

from collections.abc import Mapping
from typing import Final, LiteralString
from uuid import UUID

import orjson

from kernel.db import ConstraintError, Database, Statement, Transaction
from policy.model import ExecutionStatus
from policy.record import facts_to_json, verdicts_to_json
from trade_service.authority import Order, SendAuthority
from trade_service.claiming import Claimed, ClaimResult, Collided, Denied, Exists, Expire, Judge, Reload, View
from trade_service.execution import Judgement, NewExecution, StoredDecision
from trade_service.proposal import StoredProposal
from trade_service.store import user
from trade_service.store.user import INSERT_EVENT, NUMBER_EVENT
from trade_service.store.view import view_of, view_statement

INSERT_DECISION: Final[LiteralString] = """
INSERT INTO decisions (user_id, decision_id, proposal_id, outcome, verdicts, facts, policy_name, policy_sha256,
    policy_generation, decided_at)
VALUES (%(user_id)s, %(decision_id)s, %(proposal_id)s, %(outcome)s, %(verdicts)s::jsonb, %(facts)s::jsonb,
    %(policy_name)s, %(policy_sha256)s, %(policy_generation)s, %(decided_at)s)
"""

# The idempotent insert, of a proposal that has just moved. Nothing is written when another claim of it was first.
INSERT_EXECUTION: Final[LiteralString] = """
INSERT INTO trade_executions (user_id, execution_id, proposal_id, decision_id, market, side, order_type, amount, price,
    quote_amount, time_in_force, post_only, worst_value, client_order_id, operator_id, signed_timestamp_ms, window_ms,
    body, claimed_at, claimed_by, cancel_due_at, status)
SELECT %(user_id)s, %(execution_id)s, %(proposal_id)s, %(decision_id)s, %(market)s, %(side)s, %(order_type)s,
    %(amount)s, %(price)s, %(quote_amount)s, %(time_in_force)s, %(post_only)s, %(worst_value)s, %(client_order_id)s,
    %(operator_id)s, %(signed_timestamp_ms)s, %(window_ms)s, %(body)s, %(claimed_at)s, %(claimed_by)s,
    %(cancel_due_at)s, 'SUBMITTING'
FROM proposal
ON CONFLICT (user_id, proposal_id) DO NOTHING
RETURNING execution_id
"""

# Guarded by the status that was judged: nothing moves a proposal behind the lock, and this proves it each time.
MOVE_PROPOSAL: Final[LiteralString] = """
UPDATE trade_proposals SET status = %(status)s, closed_by = %(closed_by)s, closed_reason = %(closed_reason)s
WHERE user_id = %(user_id)s AND proposal_id = %(proposal_id)s AND status = %(judged_status)s
RETURNING proposal_id
"""

# All that an allowing decision writes, in one statement that leaves together with its COMMIT. Without an execution the
# event has nothing to be of, and its foreign key refuses all of it.
CLAIM: Final[LiteralString] = f"""
WITH decision AS ({INSERT_DECISION}),
    proposal AS ({MOVE_PROPOSAL}),
    execution AS ({INSERT_EXECUTION}),
    numbered AS ({NUMBER_EVENT})
{INSERT_EVENT}
"""

CLAIMED_BEFORE: Final = frozenset({"decisions_one_allow", "execution_events_user_id_execution_id_fkey"})
"""What refuses a claim whose proposal moved or was claimed behind the lock: a second ALLOW, an event of nothing."""


class ClaimRows:
    """Claims and views of proposals."""

    def __init__(self, database: Database) -> None:
        """Use the pool of the serving role."""
        self._database = database

    async def view(self, user_id: str, proposal_id: UUID) -> View | None:
        """Read what a claim would read, without a lock."""
        settings = user.owned_by(user_id)
        now, view = await self._database.read(user.clock(), view_statement(user_id, proposal_id), settings=settings)
        return None if view[0]["proposal_id"] is None else view_of(now[0]["now"], view[0])

    async def claim(self, user_id: str, proposal_id: UUID, actor: str, judge: Judge) -> ClaimResult | None:
        """Lock the user, read, judge, write, commit. None for a proposal that does not exist."""
        async with self._database.transaction(user.owned_by(user_id)) as transaction:
            read = view_statement(user_id, proposal_id)
            locked, now, view = await transaction.run(user.lock(user_id), user.clock(), read)
            if not locked or view[0]["proposal_id"] is None:
                return None
            if view[0]["execution_id"] is not None:
                return Exists()
            seen = view_of(now[0]["now"], view[0])
            return await _conclude(transaction, seen, judge(seen), actor)


async def _conclude(
    transaction: Transaction, seen: View, judgement: Judgement | Expire | Reload, actor: str
) -> ClaimResult:
    # Cases: another generation is in force; the time is over; denied; allowed.
    match judgement:
        case Reload():
            return judgement
        case Expire():
            await transaction.commit(_move(seen.proposal, "EXPIRED", actor, "its time was over"))
            return judgement
        case Judgement(execution=None):
            return await _deny(transaction, seen, judgement, actor)
        case _:
            return await _allow(transaction, seen, judgement, actor)


async def _deny(transaction: Transaction, seen: View, judgement: Judgement, actor: str) -> Denied:
    writes = [Statement(INSERT_DECISION, _decision(seen, judgement))]
    if judgement.closes:
        writes.append(_move(seen.proposal, "DECLINED", actor, "denied by the policy"))
    await transaction.commit(*writes)
    return Denied(_stored(seen, judgement))


async def _allow(transaction: Transaction, seen: View, judgement: Judgement, actor: str) -> Claimed | Collided:
    execution = judgement.execution
    assert execution is not None  # noqa: S101 - the case above took the denials
    try:
        await transaction.commit(_claim(seen, judgement, execution, actor))
    except ConstraintError as refused:
        if refused.name in CLAIMED_BEFORE:
            return Collided()
        raise
    # Only here, after the acknowledgement, does the right to send come into being.
    content = seen.proposal.content
    return Claimed(SendAuthority(Order(content.user_id, content.terms.market, execution)), _stored(seen, judgement))


def _claim(seen: View, judgement: Judgement, execution: NewExecution, actor: str) -> Statement:
    claimed = {"signed_timestamp_ms": execution.signed_timestamp_ms, "window_ms": execution.window_ms}
    content = seen.proposal.content
    event = user.event(content.user_id, execution.execution_id, "CLAIMED", None, ExecutionStatus.SUBMITTING, claimed)
    return Statement(
        CLAIM,
        {
            **_decision(seen, judgement),
            **_execution(seen, judgement, execution, actor),
            **_moved(seen.proposal, "EXECUTING", None, None),
            **event,
        },
    )


def _decision(seen: View, judgement: Judgement) -> Mapping[str, object]:
    decision, content = judgement.decision, seen.proposal.content
    return {
        "user_id": content.user_id,
        "decision_id": judgement.decision_id,
        "proposal_id": content.proposal_id,
        "outcome": decision.outcome,
        "verdicts": _json(verdicts_to_json(decision.verdicts)),
        "facts": _json(facts_to_json(judgement.facts)),
        "policy_name": decision.policy_name,
        "policy_sha256": decision.policy_sha256,
        "policy_generation": judgement.policy_generation,
        "decided_at": decision.decided_at,
    }


def _execution(seen: View, judgement: Judgement, execution: NewExecution, actor: str) -> Mapping[str, object]:
    content = seen.proposal.content
    terms = content.terms
    due = None if content.cancel_after is None else seen.now + content.cancel_after
    return {
        "user_id": content.user_id,
        "execution_id": execution.execution_id,
        "proposal_id": content.proposal_id,
        "decision_id": judgement.decision_id,
        "market": terms.market,
        "side": terms.side,
        "order_type": terms.order_type,
        "amount": terms.amount,
        "price": terms.price,
        "quote_amount": terms.quote_amount,
        "time_in_force": terms.time_in_force,
        "post_only": terms.post_only,
        "worst_value": execution.worst_value,
        "client_order_id": execution.client_order_id,
        "operator_id": execution.operator_id,
        "signed_timestamp_ms": execution.signed_timestamp_ms,
        "window_ms": execution.window_ms,
        "body": execution.body,
        "claimed_at": seen.now,
        "claimed_by": actor,
        "cancel_due_at": due,
    }


def _move(proposal: StoredProposal, status: str, closed_by: str | None, reason: str | None) -> Statement:
    return Statement(MOVE_PROPOSAL, _moved(proposal, status, closed_by, reason))


def _moved(proposal: StoredProposal, status: str, closed_by: str | None, reason: str | None) -> Mapping[str, object]:
    return {
        "user_id": proposal.content.user_id,
        "proposal_id": proposal.content.proposal_id,
        "status": status,
        "closed_by": closed_by,
        "closed_reason": reason,
        "judged_status": proposal.status,
    }


def _stored(seen: View, judgement: Judgement) -> StoredDecision:
    content = seen.proposal.content
    return StoredDecision(
        judgement.decision_id,
        content.user_id,
        content.proposal_id,
        judgement.decision,
        judgement.policy_generation,
    )


def _json(value: object) -> str:
    return orjson.dumps(value).decode()
