"""Decides where a page begins: a token names the last item of the page before and belongs to one filter only."""

import base64
import binascii
import hashlib
from typing import Final

from kernel.errors import FieldViolation, Invalid

PAGE_TOKEN_INVALID: Final = "PAGE_TOKEN_INVALID"  # noqa: S105 - a reason, not a password

_DIGEST_BYTES: Final = 8


def token_after(last: str, filters: str) -> str:
    """Return the token of the page that begins after the item named `last`, under these filters."""
    return base64.urlsafe_b64encode(_digest(filters, last) + last.encode()).decode()


def last_before(token: str, filters: str) -> str:
    """Return the item after which the token's page begins; empty for an empty token.

    Raises:
        Invalid: the token is not one of `token_after` for these filters.
    """
    if not token:
        return ""
    try:
        raw = base64.b64decode(token, altchars=b"-_", validate=True)
        last = raw[_DIGEST_BYTES:].decode()
    except (binascii.Error, ValueError):
        raise invalid_token() from None
    if not last or raw[:_DIGEST_BYTES] != _digest(filters, last):
        raise invalid_token()
    return last


def invalid_token() -> Invalid:
    """Return the failure of a page token that leads nowhere, for a caller that reads what a token names."""
    violation = FieldViolation("page_token", "expected the next_page_token of a page with the same filters")
    return Invalid(PAGE_TOKEN_INVALID, "page_token belongs to another list or filter", (violation,))


def _digest(filters: str, last: str) -> bytes:
    return hashlib.sha256(f"{len(filters)}:{filters}{last}".encode()).digest()[:_DIGEST_BYTES]
