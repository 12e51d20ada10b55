"""Plays a recording through the same parser and the same books: `python -m market_service.live.replay FILE…`.

Prints what the frames were and how each market's book fared. `--speed 1` keeps the recorded pace, 10 is ten times as
fast, 0 (the default) as fast as this machine can. `--simulator OUT --market BTC-EUR` writes one market's frames in the
form that `python -m exchange_sim --recording OUT --speed N` plays into its own market.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson

from bitvavo.book import LocalBook, Loss
from bitvavo.frames import BookDelta, MalformedFrameError, TradeSeen, read_frame
from bitvavo.market import PublicTrade, parse_book
from market_service.live.recording import Entry, read_entries

NANOS: Final = 1_000_000_000
CANDLE_MS: Final = 300_000
MAX_CANDLES: Final = 60
MAX_WAIT_SECONDS: Final = 3_600.0


@dataclass(slots=True)
class Tally:
    """What a replay found."""

    frames: Counter[str] = field(default_factory=Counter)
    losses: Counter[str] = field(default_factory=Counter)
    books: dict[str, LocalBook] = field(default_factory=dict)
    unreadable: int = 0
    dropped: int = 0
    seconds: float = 0.0


def replay(entries: Iterable[Entry], tally: Tally) -> Tally:
    """Take every entry as the service took it."""
    for entry in entries:
        if entry.frame is not None:
            _frame(entry.frame, tally)
        elif entry.snapshot is not None:
            _snapshot(entry.snapshot, tally)
        elif entry.socket == "lost":
            for book in tally.books.values():
                book.lose(Loss.SOCKET)
        tally.dropped += entry.dropped
    return tally


def paced(
    entries: Iterable[Entry], speed: float, sleep: Callable[[float], None], now: Callable[[], float]
) -> Iterator[Entry]:
    """Hand out entries when they are due: `speed` times as fast as they were received; 0 is at once."""
    began, first_ns = now(), None
    for entry in entries:
        if first_ns is None:
            first_ns = entry.at_ns
        if speed:
            due = began + (entry.at_ns - first_ns) / NANOS / speed
            sleep(min(max(0.0, due - now()), MAX_WAIT_SECONDS))
        yield entry


def for_simulator(entries: Iterable[Entry], market: str) -> bytes:
    """Write one market's frames as the simulated exchange plays them: its first snapshot, then books and trades.

    Raises:
        ValueError: the recording has no snapshot of the market.
    """
    book, frames, trades = None, [], []
    for entry in entries:
        if entry.snapshot is not None and book is None:
            shown = orjson.loads(entry.snapshot)
            book = shown if shown["market"] == market else None
        if entry.frame is None or book is None:
            continue
        try:
            frame = read_frame(entry.frame)
        except MalformedFrameError:
            continue
        if isinstance(frame, BookDelta | TradeSeen) and frame.market == market:
            if isinstance(frame, BookDelta) and frame.nonce <= book["nonce"]:
                continue
            frames.append(orjson.loads(entry.frame))
            if isinstance(frame, TradeSeen):
                trades.append(frame.trade)
    if book is None:
        raise ValueError(f"the recording has no snapshot of {market}")
    return orjson.dumps(
        {
            "recorded": "by market_service",
            "market": market,
            "book": {key: book[key] for key in ("nonce", "bids", "asks")},
            **_history(trades, book),
            "frames": frames,
        }
    )


def main() -> None:
    """Replay files, or turn them into a recording for the simulated exchange."""
    parser = argparse.ArgumentParser(prog="market_service.live.replay", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--speed", type=float, default=0.0)
    parser.add_argument("--simulator", type=Path, metavar="OUT")
    parser.add_argument("--market", default="BTC-EUR")
    words = parser.parse_args()
    entries = (entry for path in words.files for entry in read_entries(path))
    if words.simulator is not None:
        words.simulator.write_bytes(for_simulator(entries, words.market))
        return
    began = time.perf_counter()
    tally = replay(paced(entries, words.speed, time.sleep, time.monotonic), Tally())
    tally.seconds = time.perf_counter() - began
    sys.stdout.write("\n".join(_lines(tally)) + "\n")


def _frame(raw: bytes, tally: Tally) -> None:
    try:
        frame = read_frame(raw)
    except MalformedFrameError as error:
        tally.unreadable += 1
        for book in tally.books.values():
            if error.market in {None, book.market}:
                book.lose(Loss.MALFORMED)
        return
    tally.frames[type(frame).__name__] += 1
    if isinstance(frame, BookDelta):
        book = tally.books.setdefault(frame.market, LocalBook(frame.market))
        was_right = book.loss is None
        if not book.apply(frame) and was_right:
            tally.losses[book.loss or ""] += 1


def _snapshot(body: bytes, tally: Tally) -> None:
    snapshot = parse_book(body)
    book = tally.books.setdefault(snapshot.market, LocalBook(snapshot.market))
    book.seed(snapshot, book.epoch)


def _lines(tally: Tally) -> Iterator[str]:
    total = sum(tally.frames.values())
    yield f"{total} frames in {tally.seconds:.1f} s; {tally.unreadable} unreadable, {tally.dropped} not recorded"
    yield ", ".join(f"{name} {count}" for name, count in tally.frames.most_common())
    yield "books lost: " + (", ".join(f"{why} {count}" for why, count in tally.losses.items()) or "never")
    for market, book in sorted(tally.books.items()):
        yield f"{market:12} {'GOOD' if book.loss is None else book.loss:10} nonce {book.nonce}"


def _history(trades: list[PublicTrade], book: dict[str, list[list[str]]]) -> dict[str, object]:
    """A day and five hours of candles for a market whose own were not recorded: always its first price."""
    price, volume = (f"{trades[0].price:f}", f"{trades[0].amount:f}") if trades else book["bids"][0][:2]
    candles = [[-n * CANDLE_MS, price, price, price, price, volume] for n in range(1, MAX_CANDLES + 1)]
    day = {"open": price, "high": price, "low": price, "last": price, "volume": volume}
    return {"ticker24h": day, "candles_5m": candles}


if __name__ == "__main__":
    main()
