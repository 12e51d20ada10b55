"""ReloadPolicies: the policy directory, as a whole or not at all, becomes what the database says is in force."""

from collections.abc import Callable, Sequence

from kernel import logs
from policy.policy import Policy, canonical_json
from trade_service.policies import PolicyBook
from trade_service.ports import AdminStore, PolicyGeneration, PolicyRow

ReadDirectory = Callable[[], Sequence[Policy]]
"""Reads and checks every policy file; raises a failure that names every problem."""


class Reload:
    """Puts the directory in force."""

    def __init__(self, store: AdminStore, book: PolicyBook, read: ReadDirectory) -> None:
        """Take the store, the book at hand, and the reader of the directory."""
        self._store = store
        self._book = book
        self._read = read

    async def reload(self, actor: str) -> tuple[PolicyGeneration, bool]:
        """Put the directory in force; answer the set in force, and whether this changed it.

        Raises:
            NotNow: a file is wrong; nothing changed.
        """
        rows = [PolicyRow(one.sha256, one.name, one.users, canonical_json(one)) for one in self._read()]
        generation, changed = await self._store.put_in_force(rows, actor)
        self._book.take(generation)
        names = [row.name for row in generation.policies]
        logs.log("policies_in_force", generation=generation.generation, changed=changed, policies=names)
        return generation, changed

    async def load_at_start(self) -> None:
        """Take what is in force; if nothing ever was, put the directory in force."""
        loaded = await self._store.policies_in_force()
        if loaded is None:
            await self.reload("start")
        else:
            self._book.take(loaded)
