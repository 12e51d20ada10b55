"""Pages of a list: how many rows, after which one, and the token that leads to the next page."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID

from kernel.paging import invalid_token, last_before, token_after
from trade_service.ports import Page

DEFAULT_PAGE_SIZE: Final = 50


class Paged(Protocol):
    """A request for a page."""

    page_size: int
    page_token: str


def page_of(request: Paged, *filters: object) -> tuple[Page, str]:
    """Return the page wanted, and the filters as the text its token is bound to.

    Raises:
        Invalid: the token is not ours, or belongs to another list or filter.
    """
    bound = "\n".join(str(one) for one in filters)
    last = last_before(request.page_token, bound)
    size = request.page_size or DEFAULT_PAGE_SIZE
    if not last:
        return Page(size, None), bound
    moment, _, row_id = last.partition("/")
    try:
        return Page(size, (datetime.fromisoformat(moment), UUID(row_id))), bound
    except ValueError:  # the token's digest is no secret: anyone can make a token that leads nowhere
        raise invalid_token() from None


def next_token(page: Page, filters: str, rows: Sequence[tuple[datetime, UUID]]) -> str:
    """Return the token of the page after `rows`; empty when they are the last."""
    if len(rows) < page.size:
        return ""
    moment, row_id = rows[-1]
    return token_after(f"{moment.isoformat()}/{row_id}", filters)
