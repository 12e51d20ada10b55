"""Lists: newest first, filtered, in pages that new rows do not shift, and tokens that fit one list only."""

from dataclasses import dataclass, replace
from uuid import UUID, uuid4

import pytest

from kernel.db import Database
from kernel.errors import Invalid
from policy.model import DecisionOutcome, ExecutionStatus
from tests.policy import given as rules
from tests.trade_service import given
from tests.trade_service.given import Read
from trade_service.claiming import Claimed, Denied
from trade_service.ports import Page
from trade_service.proposal import ProposalStatus
from trade_service.rpc.pages import DEFAULT_PAGE_SIZE, next_token, page_of
from trade_service.store.reading import ReadingRows


@dataclass
class Asked:
    """A request for a page."""

    page_size: int = 0
    page_token: str = ""


async def pages(database: Database, size: int, *, insert_between: bool) -> list[list[UUID]]:
    """Read all proposals by token, perhaps while new ones arrive."""
    rows, asked, read = ReadingRows(database), Asked(size), []
    for _ in range(20):
        page, filters = page_of(asked, "alice", "", "")
        found = await rows.proposals("alice", None, "", page)
        read.append([each.content.proposal_id for each in found])
        token = next_token(page, filters, [(each.submitted_at, each.content.proposal_id) for each in found])
        if not token:
            return read
        if insert_between:
            await given.submitted(database)
        asked = Asked(size, token)
    raise AssertionError(read)


@pytest.mark.parametrize("insert_between", [False, True])
@pytest.mark.parametrize("size", [1, 3, 7, 50])
async def test_pages_show_every_row_once_newest_first(database: Database, size: int, *, insert_between: bool) -> None:
    made = [(await given.submitted(database)).content.proposal_id for _ in range(7)]
    await given.submitted(database, given.content(user_id="bob"))
    read = await pages(database, size, insert_between=insert_between)
    assert [each for page in read for each in page] == made[::-1]
    assert all(len(page) <= size for page in read)


async def test_rows_of_one_moment_are_not_lost_between_pages(database: Database, sql: Read) -> None:
    made = {(await given.submitted(database)).content.proposal_id for _ in range(6)}
    sql("UPDATE trade_proposals SET submitted_at = '2026-09-24T12:00:00.000001Z', expires_at = '2026-09-25'")
    read = [each for page in await pages(database, 2, insert_between=False) for each in page]
    assert (set(read), len(read)) == (made, 6)


def token() -> str:
    page, filters = page_of(Asked(1), "alice", "FILLED", "")
    return next_token(page, filters, [(rules.NOW, uuid4())])


@pytest.mark.parametrize(
    "filters", [("bob", "FILLED", ""), ("alice", "", ""), ("alice", "FILLED", "BTC-EUR"), ("alice",)]
)
def test_a_token_fits_the_list_it_came_from_only(filters: tuple[str, ...]) -> None:
    assert page_of(Asked(1, token()), "alice", "FILLED", "")[0].before is not None
    with pytest.raises(Invalid, match="another list or filter"):
        page_of(Asked(1, token()), *filters)


@pytest.mark.parametrize("forged", ["x", "AAAA", "ÿ", token()[:-4], "=" * 8, token().swapcase()])
def test_a_token_that_is_not_ours_is_refused(forged: str) -> None:
    with pytest.raises(Invalid):
        page_of(Asked(1, forged), "alice", "FILLED", "")


def test_a_page_without_a_size_has_the_default_one() -> None:
    assert page_of(Asked(), "alice")[0] == Page(DEFAULT_PAGE_SIZE, None)


async def test_lists_are_filtered_and_belong_to_one_user(database: Database) -> None:
    rows, whole = ReadingRows(database), Page(50, None)
    proposed = await given.submitted(database)
    denied = await given.claim(database, proposed, given.deny)
    claimed, _ = await given.claimed(database, given.content(rules.limit(market="ETH-EUR")))
    await given.claimed(database, given.content(user_id="bob"))
    one, other = proposed.content.proposal_id, claimed.content.proposal_id

    async def proposals(status: ProposalStatus | None, market: str) -> list[UUID]:
        return [each.content.proposal_id for each in await rows.proposals("alice", status, market, whole)]

    assert await proposals(None, "") == [other, one]
    assert await proposals(ProposalStatus.PROPOSED, "") == [one]
    assert await proposals(None, "ETH-EUR") == [other]
    assert await proposals(ProposalStatus.PROPOSED, "ETH-EUR") == []
    executions = await rows.executions("alice", ExecutionStatus.SUBMITTING, "ETH-EUR", whole)
    assert [each.proposal_id for each in executions] == [other]
    assert await rows.executions("alice", ExecutionStatus.FILLED, "", whole) == []
    assert [each.proposal_id for each in await rows.decisions("alice", None, None, whole)] == [other, one]
    denials = await rows.decisions("alice", None, DecisionOutcome.DENY, whole)
    assert isinstance(denied, Denied)
    assert [each.decision_id for each in denials] == [denied.decision.decision_id]
    assert await rows.decisions("alice", other, DecisionOutcome.DENY, whole) == []


async def test_a_decision_is_read_back_with_the_facts_it_saw(database: Database) -> None:
    rows = ReadingRows(database)
    proposal = await given.submitted(database)
    result = await given.claim(database, proposal, given.judged_by())
    assert isinstance(result, Claimed)
    assert result.decision.decision_id is not None
    found = await rows.decision("alice", result.decision.decision_id)
    assert found is not None
    assert found.facts
    assert replace(found, facts=None) == result.decision
    assert await rows.decision("bob", result.decision.decision_id) is None
    (listed,) = await rows.decisions("alice", None, None, Page(5, None))
    assert listed == result.decision
