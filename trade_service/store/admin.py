"""Trading states and policies: nobody's rows, so no user's lock, and one row of their own to serialise by."""

from collections.abc import Callable, Sequence
from typing import Final, LiteralString
from uuid import UUID

from kernel.db import Database, Row, Statement, Transaction
from policy.model import Scope, State
from trade_service.ports import PolicyGeneration, PolicyRow
from trade_service.switch import Setting, Switch

SWITCHES: Final[LiteralString] = """
SELECT * FROM trading_state ORDER BY array_position(ARRAY['GLOBAL', 'MARKET', 'USER'], scope), subject
"""

LOCK_SWITCH: Final[LiteralString] = """
SELECT * FROM trading_state WHERE scope = %(scope)s AND subject = %(subject)s FOR UPDATE
"""

# A claim reads its switches plainly and is never waited for: setting one takes no lock that a claim holds. It replaces
# what was seen and nothing else: a switch that was never set has no row to lock, and another may set it meanwhile.
SET_SWITCH: Final[LiteralString] = """
INSERT INTO trading_state (scope, subject, state, cancel_open_orders, generation, reason, actor)
VALUES (%(scope)s, %(subject)s, %(state)s, %(cancel_open_orders)s, 1, %(reason)s, %(actor)s)
ON CONFLICT (scope, subject) DO UPDATE SET
    state = excluded.state,
    cancel_open_orders = excluded.cancel_open_orders,
    generation = trading_state.generation + 1,
    reason = excluded.reason,
    actor = excluded.actor,
    changed_at = clock_timestamp()
WHERE trading_state.generation = %(replaces)s
RETURNING *
"""

IN_FORCE: Final[LiteralString] = """
SELECT * FROM policy_sets WHERE generation = coalesce(%(generation)s, (SELECT max(generation) FROM policy_sets))
"""

POLICIES: Final[LiteralString] = "SELECT * FROM policies WHERE sha256 = ANY(%(sha256s)s) ORDER BY name, sha256"

# Only one set of policies is put in force at a time. No claim waits for this lock.
LOCK_SETS: Final[LiteralString] = "SELECT pg_advisory_xact_lock(hashtext('policy_sets'))"

STORE_POLICY: Final[LiteralString] = """
INSERT INTO policies (sha256, name, users, canonical_json)
VALUES (%(sha256)s, %(name)s, %(users)s, %(canonical_json)s) ON CONFLICT (sha256) DO NOTHING
"""

STORE_SET: Final[LiteralString] = """
INSERT INTO policy_sets (generation, sha256s, actor)
SELECT coalesce(max(generation), 0) + 1, %(sha256s)s, %(actor)s FROM policy_sets
RETURNING *
"""


class AdminRows:
    """Trading states and policies."""

    def __init__(self, database: Database) -> None:
        """Use the pool of the serving role."""
        self._database = database

    async def deployment_id(self) -> UUID:
        """Read the namespace of every client order id."""
        (found,) = await self._database.read(Statement("SELECT deployment_id FROM deployment"))
        deployment_id: UUID = found[0]["deployment_id"]
        return deployment_id

    async def switches(self) -> Sequence[Switch]:
        """Read every switch ever set: GLOBAL, then markets, then users."""
        (rows,) = await self._database.read(Statement(SWITCHES))
        return [_switch_of(row) for row in rows]

    async def set_switch(self, setting: Setting, actor: str, permit: Callable[[Switch | None], None]) -> Switch:
        """Set one switch, after `permit` has seen the one being replaced."""
        while True:  # twice at most: whoever was first with a new switch has left a row to lock
            changed = await self._replace_switch(setting, actor, permit)
            if changed is not None:
                return changed

    async def _replace_switch(
        self, setting: Setting, actor: str, permit: Callable[[Switch | None], None]
    ) -> Switch | None:
        """Set it once; None when another one stands there than `permit` saw."""
        key = {"scope": setting.scope, "subject": setting.subject}
        async with self._database.transaction() as transaction:
            found = await transaction.run_one(Statement(LOCK_SWITCH, key))
            current = _switch_of(found[0]) if found else None
            permit(current)
            values = key | {
                "state": setting.state,
                "cancel_open_orders": setting.cancel_open_orders,
                "reason": setting.reason,
                "actor": actor,
                "replaces": current.generation if current else 0,
            }
            (changed,) = await transaction.commit(Statement(SET_SWITCH, values))
            return _switch_of(changed[0]) if changed else None

    async def policies_in_force(self, generation: int | None = None) -> PolicyGeneration | None:
        """Read the set in force, or that of a generation; None when there is none."""
        async with self._database.transaction() as transaction:
            return await _generation(transaction, generation)

    async def policy(self, sha256: str) -> PolicyRow | None:
        """Read one policy, in force or not."""
        (found,) = await self._database.read(Statement(POLICIES, {"sha256s": [sha256]}))
        return _policy_of(found[0]) if found else None

    async def put_in_force(self, policies: Sequence[PolicyRow], actor: str) -> tuple[PolicyGeneration, bool]:
        """Store the policies and move the generation, unless they are in force already (False)."""
        wanted = sorted(policy.sha256 for policy in policies)
        async with self._database.transaction() as transaction:
            await transaction.run_one(Statement(LOCK_SETS))
            current = await _generation(transaction, None)
            if current is not None and sorted(policy.sha256 for policy in current.policies) == wanted:
                return current, False
            stores = [Statement(STORE_POLICY, _policy_parameters(policy)) for policy in policies]
            await transaction.run(*stores, Statement(STORE_SET, {"sha256s": wanted, "actor": actor}))
            moved = await _generation(transaction, None)
            await transaction.commit()
        assert moved is not None  # noqa: S101 - it was written two statements ago
        return moved, True


async def _generation(transaction: Transaction, generation: int | None) -> PolicyGeneration | None:
    found = await transaction.run_one(Statement(IN_FORCE, {"generation": generation}))
    if not found:
        return None
    row = found[0]
    policies = await transaction.run_one(Statement(POLICIES, {"sha256s": row["sha256s"]}))
    members = tuple(_policy_of(each) for each in policies)
    return PolicyGeneration(row["generation"], row["actor"], row["in_force_since"], members)


def _policy_of(row: Row) -> PolicyRow:
    return PolicyRow(row["sha256"], row["name"], tuple(row["users"]), row["canonical_json"], row["stored_at"])


def _policy_parameters(policy: PolicyRow) -> Row:
    return {
        "sha256": policy.sha256,
        "name": policy.name,
        "users": list(policy.users),
        "canonical_json": policy.canonical_json,
    }


def _switch_of(row: Row) -> Switch:
    return Switch(
        scope=Scope(row["scope"]),
        subject=row["subject"],
        state=State(row["state"]),
        cancel_open_orders=row["cancel_open_orders"],
        generation=row["generation"],
        reason=row["reason"],
        actor=row["actor"],
        changed_at=row["changed_at"],
    )
