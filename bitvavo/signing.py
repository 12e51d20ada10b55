"""How a request to the exchange is signed; `bitvavo.request` calls it, and nobody else needs to.

The scheme (https://docs.bitvavo.com/docs/rest-api/introduction/): lower-case hex HMAC-SHA256 over
``timestamp + METHOD + path + body`` without separators, the path beginning with ``/v2`` and holding the query
exactly as it goes over the wire.
"""

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from kernel.secret import Secret

KEY_HEADER: Final = "Bitvavo-Access-Key"
SIGNATURE_HEADER: Final = "Bitvavo-Access-Signature"
TIMESTAMP_HEADER: Final = "Bitvavo-Access-Timestamp"
WINDOW_HEADER: Final = "Bitvavo-Access-Window"

# The exchange refuses a window outside these (its error 303); without the header it would take 10,000.
MIN_WINDOW_MS: Final = 100
MAX_WINDOW_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Credentials:
    """One API key of the exchange: the key's text and its secret; both print as ``***``."""

    key: Secret
    secret: Secret


def taking(
    use: Callable[[Credentials], None], admits: Callable[[str], Awaitable[bool]] | None = None
) -> Callable[[tuple[Secret, ...]], Awaitable[bool]]:
    """Return how `kernel.rotation` takes up a changed key and secret: together, once `admits` has the fingerprint."""

    async def take(new: tuple[Secret, ...]) -> bool:
        key, secret = new
        if admits is not None and not await admits(key.fingerprint()):
            return False
        use(Credentials(key, secret))
        return True

    return take


def sign(secret: Secret, timestamp_ms: int, method: str, path: str, body: bytes = b"") -> str:
    """Return the 64 hex digits for one request.

    `path` is what the wire carries, ``/v2`` and query included; `body` the exact bytes sent.
    """
    message = f"{timestamp_ms}{method}{path}".encode() + body
    return hmac.new(secret.reveal().encode(), message, hashlib.sha256).hexdigest()


def signed_headers(
    credentials: Credentials, timestamp_ms: int, window_ms: int, method: str, path: str, body: bytes
) -> dict[str, str]:
    """Return the four access headers of one request.

    Raises:
        ValueError: the window lies outside what the exchange allows.
    """
    if not MIN_WINDOW_MS <= window_ms <= MAX_WINDOW_MS:
        message = f"window {window_ms} ms; the exchange allows {MIN_WINDOW_MS} to {MAX_WINDOW_MS}"
        raise ValueError(message)
    return {
        KEY_HEADER: credentials.key.reveal(),
        SIGNATURE_HEADER: sign(credentials.secret, timestamp_ms, method, path, body),
        TIMESTAMP_HEADER: str(timestamp_ms),
        WINDOW_HEADER: str(window_ms),
    }
