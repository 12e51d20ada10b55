"""The form of a recording: gzip, one JSON object a line; written by `recorder`, read by `replay`. Pure.

`at` is when it was received, Unix nanoseconds by the recorder's clock, and beside it one of
    frame       the frame's own text, byte for byte
    unreadable  base64 of a frame that is not one line of JSON as documented
    snapshot    a book as REST showed it: market, nonce, bids, asks, timestamp
    socket      "open" or "lost"
    dropped     how many frames were not recorded, because the disk was too slow
A file that was cut off (a crash) ends where it ends: what is before can be read.
"""

import base64
import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from bitvavo.wire import Book
from kernel.decimals import plain

SUFFIX: Final = ".jsonl.gz"
COMPRESSION_LEVEL: Final = 1
"""The fastest: level 6 takes four times as long for a tenth less."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line, read: exactly one of the parts besides `at_ns` is there."""

    at_ns: int
    frame: bytes | None = None
    snapshot: bytes | None = None
    socket: str | None = None
    dropped: int = 0


def frame_line(at_ns: int, raw: bytes, *, readable: bool) -> bytes:
    """Write a frame."""
    if readable and b"\n" not in raw and b"\r" not in raw:
        return b'{"at":%d,"frame":%s}\n' % (at_ns, raw)
    return orjson.dumps({"at": at_ns, "unreadable": base64.b64encode(raw).decode()}) + b"\n"


def snapshot_line(at_ns: int, book: Book) -> bytes:
    """Write a snapshot."""
    sides = {
        name: [[plain(level.price), plain(level.size)] for level in side]
        for name, side in (("bids", book.bids), ("asks", book.asks))
    }
    written = {"market": book.market, "nonce": book.nonce, **sides, "timestamp": book.timestamp_ns}
    return orjson.dumps({"at": at_ns, "snapshot": written}) + b"\n"


def event_line(at_ns: int, **event: Any) -> bytes:  # noqa: ANN401 - a word or a number
    """Write what is no frame: socket="open", dropped=12."""
    return orjson.dumps({"at": at_ns, **event}) + b"\n"


def read_entries(path: Path) -> Iterator[Entry]:
    """Read a recording from its beginning to where it ends or was cut off.

    Raises:
        ValueError: a line that is none of a recording.
    """
    with gzip.open(path, "rb") as lines:
        try:
            for line in lines:
                if not line.endswith(b"\n"):
                    return
                yield _entry(line)
        except (EOFError, zlib.error):
            return


def _entry(line: bytes) -> Entry:
    fields = orjson.loads(line)
    at_ns = fields["at"]
    if "frame" in fields:
        return Entry(at_ns, frame=line[line.index(b'"frame":') + 8 : -2])
    if "unreadable" in fields:
        return Entry(at_ns, frame=base64.b64decode(fields["unreadable"]))
    if "snapshot" in fields:
        return Entry(at_ns, snapshot=orjson.dumps(fields["snapshot"]))
    return Entry(at_ns, socket=fields.get("socket"), dropped=fields.get("dropped", 0))
