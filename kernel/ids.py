"""Ids: new ones that sort by time, ones that follow from what they are for, and the only text form we accept."""

import os
import re
import time
from typing import Final
from uuid import UUID, uuid5

RANDOM_BYTES: Final = 10
MAX_UNIX_MS: Final = 2**48 - 1
_CANONICAL: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def new_id() -> UUID:
    """Return a new UUIDv7: sorts by the millisecond it was made in, 74 random bits after that."""
    return uuid7(time.time_ns() // 1_000_000, os.urandom(RANDOM_BYTES))


def uuid7(now_ms: int, random: bytes) -> UUID:
    """Build a UUIDv7 (RFC 9562 §5.7) from milliseconds since 1970 and ten random bytes (six bits go unused)."""
    if not 0 <= now_ms <= MAX_UNIX_MS or len(random) != RANDOM_BYTES:
        message = f"uuid7 takes 0 ≤ ms < 2^48 and {RANDOM_BYTES} bytes; got {now_ms} and {len(random)}"
        raise ValueError(message)
    entropy = int.from_bytes(random, "big")
    rand_a, rand_b = entropy >> 68, entropy & (2**62 - 1)
    return UUID(int=now_ms << 80 | 0x7 << 76 | rand_a << 64 | 0b10 << 62 | rand_b)


def deterministic_id(namespace: UUID, *parts: str) -> UUID:
    """Return the UUIDv5 of `parts`, each written with its length first: ("ab", "c") and ("a", "bc") differ."""
    return uuid5(namespace, "".join(f"{len(part)}:{part}" for part in parts))


def parse_uuid(text: str) -> UUID:
    """Read the canonical form only, 8-4-4-4-12 in lower case: one id has one spelling.

    Raises:
        ValueError: any other text; the message does not repeat it.
    """
    if not _CANONICAL.fullmatch(text):
        message = "not a UUID in its canonical form (lower case, 8-4-4-4-12)"
        raise ValueError(message)
    return UUID(text)
