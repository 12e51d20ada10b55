"""The reasons this service gives in errors: values of `market.v1.ErrorReason`, as `kernel.errors` wants them.

A test compares them with the proto. What the kernel itself gives (a malformed request, a missing right) is not here.
"""

from typing import Final

PAGE_TOKEN_INVALID: Final = "PAGE_TOKEN_INVALID"  # noqa: S105 - a reason, not a token
MARKET_UNKNOWN: Final = "MARKET_UNKNOWN"
MARKET_DATA_UNAVAILABLE: Final = "MARKET_DATA_UNAVAILABLE"
TOO_OLD: Final = "TOO_OLD"
EXCHANGE_UNAVAILABLE: Final = "EXCHANGE_UNAVAILABLE"
EXCHANGE_UNREADABLE: Final = "EXCHANGE_UNREADABLE"
EXCHANGE_BAN: Final = "EXCHANGE_BAN"
EXCHANGE_REFUSED: Final = "EXCHANGE_REFUSED"
RATE_BUDGET: Final = "RATE_BUDGET"
READONLY_KEY_MISSING: Final = "READONLY_KEY_MISSING"
READONLY_KEY_REFUSED: Final = "READONLY_KEY_REFUSED"
