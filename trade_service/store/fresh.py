"""Proposals that this process stored and that nobody asked it to execute since: their first look needs no database.

Nothing is decided by what is remembered here. A look tells for which terms facts are to be gathered, and answers what
already stands; of a new proposal nothing stands. What became of it elsewhere meanwhile, the claim reads under the lock.
"""

from collections import OrderedDict
from typing import Final
from uuid import UUID

from trade_service.proposal import StoredProposal

PROPOSALS_MAX: Final = 1024
"""The oldest are forgotten first, and looked at like all others."""


class Fresh:
    """New proposals by user and id; each is given out once."""

    def __init__(self) -> None:
        """Begin empty."""
        self._proposals: OrderedDict[tuple[str, UUID], StoredProposal] = OrderedDict()

    def note(self, proposal: StoredProposal) -> None:
        """Remember a proposal whose commit was acknowledged to this process."""
        self._proposals[proposal.content.user_id, proposal.content.proposal_id] = proposal
        if len(self._proposals) > PROPOSALS_MAX:
            self._proposals.popitem(last=False)

    def take(self, user_id: str, proposal_id: UUID) -> StoredProposal | None:
        """Return a new proposal and forget it; None for one that has to be looked at."""
        return self._proposals.pop((user_id, proposal_id), None)
