"""Which policy judges a user: what the database says is in force, kept at hand by generation.

The files change nothing by themselves. Every claim reads the generation under the user's lock; a replica that has
another one at hand loads it from the database and starts again, so that two replicas never judge by different rules.
"""

from collections.abc import Sequence

from kernel.errors import NotFound
from policy.canonical import CanonicalPolicyError, policy_from_canonical
from policy.policy import MissingReason, Policy, PolicyMissing, PolicySet
from trade_service import reasons
from trade_service.ports import AdminStore, PolicyGeneration, PolicyRow

NEVER_LOADED = 0


class PolicyBook:
    """The policies at hand, and the generation they belong to."""

    def __init__(self, store: AdminStore) -> None:
        """Begin with nothing at hand."""
        self._store = store
        self._policies: PolicySet | None = PolicySet(())
        self.generation = NEVER_LOADED

    def for_user(self, user_id: str) -> Policy | PolicyMissing:
        """Return the policy that judges the user, or why there is none."""
        if self._policies is None:
            return PolicyMissing(MissingReason.POLICY_NOT_LOADED)
        return self._policies.for_user(user_id)

    async def refresh(self) -> None:
        """Take what is in force now.

        Raises:
            Unavailable: the database does not answer; what was at hand stays.
        """
        self.take(await self._store.policies_in_force())

    async def load(self, generation: int) -> None:
        """Take the set of `generation`, which a claim has seen in force."""
        self.take(await self._store.policies_in_force(generation))

    def take(self, loaded: PolicyGeneration | None) -> None:
        """Put a set at hand. One policy that cannot be read makes all of them missing: that denies."""
        if loaded is None:
            return
        self.generation = loaded.generation
        try:
            self._policies = PolicySet(tuple(policy_from_canonical(row.canonical_json) for row in loaded.policies))
        except CanonicalPolicyError:
            self._policies = None

    async def row_for(self, user_id: str) -> tuple[PolicyRow, int]:
        """Return the stored policy in force for a user.

        Raises:
            NotFound: none, or not exactly one.
        """
        loaded = await self._store.policies_in_force()
        self.take(loaded)
        policy = self.for_user(user_id)
        rows: Sequence[PolicyRow] = loaded.policies if loaded else ()
        for row in rows:
            if isinstance(policy, Policy) and row.sha256 == policy.sha256:
                return row, self.generation
        raise NotFound(reasons.POLICY_NOT_FOUND, f"no policy in force judges {user_id}")
