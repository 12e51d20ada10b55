"""Searches bytes for secrets in every way in which they could have been written by accident."""

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import quote

PIECE_CHARS: Final = 8
SHORTEST_WITH_PIECES: Final = 32
WORD: Final = re.compile(rb"[0-9A-Za-z+/]+")


class Search:
    """Looks for all secrets at once."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        """Take the secrets by name."""
        self.needles: dict[bytes, str] = {}
        """Each spelling of each secret, and its name."""
        for name, secret in secrets.items():
            for way, written in spellings(secret):
                self.needles.setdefault(written, f"{name}, {way}")
        self._pieces = {
            secret[at : at + PIECE_CHARS].encode(): f"{name}, a piece"
            for name, secret in secrets.items()
            if len(secret) >= SHORTEST_WITH_PIECES
            for at in range(0, len(secret) - PIECE_CHARS + 1, PIECE_CHARS)
        }

    def found(self, content: bytes) -> set[str]:
        """Name what the bytes hold: the secret, and how it is written there."""
        whole = {name for needle, name in self.needles.items() if needle in content}
        # A piece counts where it stands alone: within longer words chance alone would find one now and then.
        return whole | {self._pieces[word] for word in self._pieces.keys() & set(WORD.findall(content))}


def spellings(secret: str) -> Iterator[tuple[str, bytes]]:
    """Yield a secret as it may be written."""
    raw = secret.encode()
    yield "as it is", raw
    yield "reversed", raw[::-1]
    yield "hex", raw.hex().encode()
    yield "URL-encoded", quote(secret, safe="").encode()
    for shift in range(3):  # base64 of a longer text that holds it; the ends depend on what stands beside it
        encoded = base64.b64encode(bytes(shift) + raw)
        yield "base64", encoded[(4 if shift else 0) : len(encoded) - 4]
        yield "base64url", encoded.replace(b"+", b"-").replace(b"/", b"_")[(4 if shift else 0) : len(encoded) - 4]
