"""Checks a request's signature, written from the exchange's documents alone: the second opinion on our own signing.

The signed text is timestamp, method, target (from `/v2`, query included) and body, without separators; HMAC-SHA256
in lower-case hex, keyed with the secret's characters: https://docs.bitvavo.com/docs/rest-api/authentication/.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from typing import NamedTuple

import orjson

from exchange_sim.accounts import KEY_LENGTH, ApiKey
from exchange_sim.refusal import Refusal
from exchange_sim.switches import Switches

DEFAULT_WINDOW_MS = 10_000
SHORTEST_WINDOW_MS = 100
LONGEST_WINDOW_MS = 60_000
# Unix milliseconds have 13 digits from 2001 to 2286; seconds and nanoseconds do not.
_MILLISECONDS = re.compile(r"[0-9]{13}\Z")
_WINDOW = re.compile(r"[0-9]{1,6}\Z")
_SIGNATURE = re.compile(r"[0-9a-f]{64}\Z")


class Claim(NamedTuple):
    """What a request says about its sender: the four access headers as text."""

    key: str | None
    signature: str | None
    timestamp: str | None
    window: str | None


def sign(secret: bytes, text: bytes) -> str:
    """The signature of a text."""
    return hmac.digest(secret, text, "sha256").hex()


def read_times(claim: Claim) -> tuple[int, int]:
    """The signed timestamp and the window, both in ms.

    Raises:
        Refusal: 302, 303.
    """
    if claim.timestamp is None or not _MILLISECONDS.match(claim.timestamp):
        raise Refusal(302, "Timestamp is invalid. It must be in milliseconds.")
    if claim.window is None:
        return int(claim.timestamp), DEFAULT_WINDOW_MS
    window_ms = int(claim.window) if _WINDOW.match(claim.window) else 0
    if not SHORTEST_WINDOW_MS <= window_ms <= LONGEST_WINDOW_MS:
        raise Refusal(303, f"Window must be between {SHORTEST_WINDOW_MS} and {LONGEST_WINDOW_MS} ms.")
    return int(claim.timestamp), window_ms


def find_key(keys: Mapping[str, ApiKey], claim: Claim, address: str) -> ApiKey:
    """The key that the request names, if it may be used from that address.

    Raises:
        Refusal: 300, 301, 305, 306, 307, 308.
    """
    if claim.key is None:
        raise Refusal(300, "Authentication is required to call this endpoint.")
    if len(claim.key) != KEY_LENGTH:
        raise Refusal(301, f"API Key must be of length {KEY_LENGTH}.")
    if claim.signature is None or not _SIGNATURE.match(claim.signature):
        raise Refusal(
            308, "The signature length is invalid (HMAC-SHA256 should return a 64 length hexadecimal string)."
        )
    key = keys.get(claim.key)
    if key is None:
        raise Refusal(305, "No active API key found.")
    if not key.confirmed:
        raise Refusal(306, "No active API key found. Please ensure that you have confirmed the API key by e-mail.")
    if key.addresses and address not in key.addresses:
        raise Refusal(307, "This key does not allow access from this IP.")
    return key


def check_signature(key: ApiKey, claim: Claim, method: str, target: str, body: bytes, switches: Switches) -> None:
    """Compare the signature with every form of the body that the exchange accepts.

    Raises:
        Refusal: 309.
    """
    start = f"{claim.timestamp}{method}{target}".encode()
    for form in _bodies(body, switches.signed_body):
        if hmac.compare_digest(sign(key.secret, start + form), claim.signature or ""):
            return
    raise Refusal(309, "The signature is invalid.")


def check_time(timestamp_ms: int, window_ms: int, now_ms: int, switches: Switches) -> None:
    """Refuse a request that is too old, or from the future, when it is about to be executed.

    Raises:
        Refusal: 304; nothing was executed.
    """
    tolerance_ms = switches.future_timestamp_tolerance_ms
    is_future = tolerance_ms is not None and timestamp_ms > now_ms + tolerance_ms
    if is_future or now_ms - timestamp_ms > window_ms:
        raise Refusal(304, f"Request was not received within acceptable window (default {DEFAULT_WINDOW_MS} ms).")


def _bodies(body: bytes, accepted: str) -> list[bytes]:
    """The texts a signature may cover: the raw body, its compact form, and nothing for an empty object."""
    if not body:
        return [b""]
    forms = [] if accepted == "compact" else [body]
    if accepted != "raw":
        try:
            compact = orjson.dumps(orjson.loads(body))
        except orjson.JSONDecodeError:
            return forms
        forms.append(b"" if compact == b"{}" else compact)
    return forms
