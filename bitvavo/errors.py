"""The exchange's error codes that prove that nothing was placed: a closed table; `bitvavo.reply` reads it.

A code that is not here proves nothing, whatever its text says. Source of the codes:
https://docs.bitvavo.com/docs/errors/. 429 as a *code* means too many decimals; rate limiting is HTTP status 429.
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

ORDER_NOT_FOUND: Final = 240
NO_TRADE_RIGHT: Final = 310
NO_VIEW_RIGHT: Final = 311
NO_WITHDRAW_RIGHT: Final = 312
RATE_LIMITED: Final = 105

HTTP_NOT_FOUND: Final = 404
HTTP_TOO_MANY_REQUESTS: Final = 429


@dataclass(frozen=True, slots=True)
class Rejection:
    """What one code means, and whether it counts only with HTTP 429 (the rate codes) or with any 4xx."""

    code: int
    meaning: str
    only_with_http_429: bool = False


_MEANINGS: Final = {
    102: "invalid JSON",
    110: "invalid endpoint or method",
    200: "URL parameter not accepted",
    201: "body parameter not accepted",
    202: "parameter not supported for this order type",
    203: "required parameter missing",
    204: "parameter not valid here",
    205: "invalid value of a parameter",
    206: "two parameters exclude each other",
    210: "amount above the maximum",
    211: "price above the maximum",
    212: "amount below the minimum",
    213: "price too low",
    214: "too many significant digits in the price",
    215: "price with more than 15 decimals",
    216: "insufficient balance",
    217: "below the minimum in quote currency",
    218: "too many significant digits in the trigger amount",
    219: "market delisted",
    230: "rejected by the matching engine",
    231: "time in force must be GTC while the market is paused",
    232: "update changes nothing",
    234: "a market order cannot be updated",
    235: "too many open orders in this market",
    236: "only one of amount, amountRemaining, amountQuote",
    237: "parameters of a stop-loss order missing",
    238: "parameters of a stop-loss-limit order missing",
    239: "no switching between amount and amountQuote",
    300: "authentication required",
    301: "key length is not 64",
    302: "timestamp is not in milliseconds",
    303: "access window outside 100 to 60,000 ms",
    304: "not received inside the access window",
    305: "no active API key found",
    306: "key not yet confirmed",
    307: "caller's address not on the key's list",
    308: "signature malformed",
    309: "signature wrong",
    310: "key lacks the right to trade",
    311: "key lacks the right to view",
    312: "key lacks the right to withdraw",
    313: "invalid session",
    314: "unauthorized",
    315: "not allowed from a browser",
    316: "public information only",
    317: "account locked",
    318: "account needs verification",
    319: "region forbidden",
    320: "operation forbidden",
    322: "unauthorized",
    422: "price is not a multiple of the tick size",
    423: "market halted",
    424: "market only accepts cancels",
    425: "market in auction",
    426: "market in auction matching",
    429: "too many decimals in a value",
    433: "cancel-on-disconnect group problem",
    511: "subaccount or institutional right missing",
    512: "subaccount or institutional right missing",
    513: "subaccount or institutional right missing",
    514: "operation not available here",
}

_RATE_MEANINGS: Final = {
    103: "rate limited",
    104: "order rate limited",
    105: "rate limit exceeded, account or address blocked",
    112: "too many messages per second",
}

DEFINITE_REJECTIONS: Final = MappingProxyType(
    {code: Rejection(code, meaning) for code, meaning in _MEANINGS.items()}
    | {code: Rejection(code, meaning, only_with_http_429=True) for code, meaning in _RATE_MEANINGS.items()}
)
"""Code → what it means. Only these, with HTTP 4xx (the rate codes: with HTTP 429), prove a rejection."""


def is_definite_rejection(status: int, code: int) -> bool:
    """Say whether `code` in a JSON body with HTTP `status` proves that the request had no effect."""
    rejection = DEFINITE_REJECTIONS.get(code)
    if rejection is None or not 400 <= status <= 499:  # noqa: PLR2004 - HTTP's own class of client errors
        return False
    return status == HTTP_TOO_MANY_REQUESTS or not rejection.only_with_http_429
