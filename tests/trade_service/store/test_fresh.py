"""What a process remembers of the proposals it stored."""

from uuid import uuid4

from tests.trade_service import fakes
from trade_service.store.fresh import PROPOSALS_MAX, Fresh


def test_each_is_given_out_once_to_its_own_user() -> None:
    fresh, proposal = Fresh(), fakes.stored()
    fresh.note(proposal)
    proposal_id = proposal.content.proposal_id
    assert fresh.take("bob", proposal_id) is None
    assert fresh.take("alice", uuid4()) is None
    assert fresh.take("alice", proposal_id) is proposal
    assert fresh.take("alice", proposal_id) is None


def test_the_oldest_are_forgotten_beyond_the_bound() -> None:
    fresh = Fresh()
    proposals = [fakes.stored(proposal_id=uuid4()) for _ in range(PROPOSALS_MAX + 2)]
    for each in proposals:
        fresh.note(each)
    kept = [fresh.take("alice", each.content.proposal_id) is not None for each in proposals]
    assert kept == [False, False] + [True] * PROPOSALS_MAX
