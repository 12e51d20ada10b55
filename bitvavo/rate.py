"""What an answer says about the exchange's rate limit; `bitvavo.client` hands it to the observer it was given.

https://docs.bitvavo.com/docs/rate-limits/: three headers on every JSON answer, errors included, and on HTTP 429 a
ban whose end stands only in the text: the one place where a message is read, and never to say what happened.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from bitvavo.errors import HTTP_TOO_MANY_REQUESTS

MINUTE_MS: Final = 60_000
_BAN_END: Final = re.compile(rb"\bat ([0-9]{13})\b")


@dataclass(frozen=True, slots=True)
class RateReport:
    """Points a minute, points left, Unix ms of the next whole minute, and the end of a ban; None: not said.

    `signed`: whether it is about the account's points or about those of this machine's address.
    """

    signed: bool
    limit: int | None
    remaining: int | None
    reset_at_ms: int | None
    banned: bool
    ban_until_ms: int | None


RateObserver = Callable[[RateReport], None]


def rate_report(status: int, headers: Mapping[str, str], body: bytes, *, signed: bool) -> RateReport:
    """Read the report out of one answer; what is missing or unreadable is None."""
    banned = status == HTTP_TOO_MANY_REQUESTS
    reset_at_ms = _count(headers.get("bitvavo-ratelimit-resetat"))
    return RateReport(
        signed=signed,
        limit=_count(headers.get("bitvavo-ratelimit-limit")),
        remaining=_count(headers.get("bitvavo-ratelimit-remaining")),
        reset_at_ms=reset_at_ms,
        banned=banned,
        ban_until_ms=_ban_until(body, reset_at_ms) if banned else None,
    )


def _ban_until(body: bytes, reset_at_ms: int | None) -> int | None:
    # Without the text: the rest of this minute and the next, the exchange's rule for an account.
    found = _BAN_END.search(body)
    if found:
        return int(found[1])
    return None if reset_at_ms is None else reset_at_ms + MINUTE_MS


def _count(text: str | None) -> int | None:
    return int(text) if text and len(text) <= 15 and text.isascii() and text.isdigit() else None  # noqa: PLR2004
