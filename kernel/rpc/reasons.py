"""The reasons `kernel` itself answers with; every service's `ErrorReason` enum has a value for each."""

from typing import Final

INVALID_REQUEST: Final = "INVALID_REQUEST"
RIGHT_MISSING: Final = "RIGHT_MISSING"
USER_NOT_ALLOWED: Final = "USER_NOT_ALLOWED"
DEADLINE_EXCEEDED: Final = "DEADLINE_EXCEEDED"
INTERNAL: Final = "INTERNAL"
OVERLOADED: Final = "OVERLOADED"
