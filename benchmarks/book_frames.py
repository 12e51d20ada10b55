"""The same book frames through each candidate, on one core: from the frame's bytes to a copied view of the best ten.

What is measured is processor time, which other work on the machine disturbs least.
"""

import asyncio
import gc
import importlib
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import orjson

from bitvavo.book import LocalBook
from bitvavo.frames import BookDelta, read_frame
from bitvavo.market import parse_book
from tests.market_service.ccxt_path import add_ccxt

FRAMES: Final = 10_000
MARKET: Final = "BTC-EUR"
LEVELS: Final = 1_000
MIDDLE: Final = 75_500
VIEW: Final = 10


async def book_rounds(number: int) -> dict[str, dict[str, float]]:
    """Time every candidate over the frames of this round, in an order that turns with the rounds."""
    snapshot, frames = made(number)
    candidates: dict[str, Callable[[bytes, list[bytes]], float | Awaitable[float]]] = {
        "ours, view each frame": ours_with_views,
        "ours": ours,
        "ccxt.pro handler, view each frame": ccxt_with_views,
        "ccxt.pro handler": ccxt_handler,
        "ccxt.pro with its watch call": ccxt_watched,
        "floor: orjson and unsorted dict": floor,
        "floor, view each frame": floor_with_views,
    }
    names = list(candidates)
    turned = names[number % len(names) :] + names[: number % len(names)]
    seconds = {}
    for name in turned:
        gc.collect()
        gc.freeze()  # what one candidate's modules hold must not be looked through during another's turn
        taken = candidates[name](snapshot, frames)
        seconds[name] = taken if isinstance(taken, float) else await taken
    return {
        name: {"us_per_frame": seconds[name] / FRAMES * 1e6, "frames_per_s": FRAMES / seconds[name]} for name in names
    }


def made(seed: int) -> tuple[bytes, list[bytes]]:
    """A book of 1,000 levels a side and frames of twelve changes each, as the exchange pads them."""
    chance = random.Random(seed)
    sides = {
        name: [[str(MIDDLE + sign * n), f"{chance.random() + 0.001:.8f}"] for n in range(1, LEVELS + 1)]
        for name, sign in (("bids", -1), ("asks", 1))
    }
    snapshot = orjson.dumps({"market": MARKET, "nonce": 0, **sides, "timestamp": 1})
    frames = []
    for nonce in range(1, FRAMES + 1):
        changed = {name: changes(chance, sign) for name, sign in (("bids", -1), ("asks", 1))}
        frame = {"event": "book", "market": MARKET, "nonce": nonce, **changed, "timestamp": 1790127496313579360 + nonce}
        frames.append(orjson.dumps(frame))
    return snapshot, frames


def changes(chance: random.Random, sign: int) -> list[list[str]]:
    """Up to twelve levels near the best price; a third of them go, never the best."""
    rows = []
    for _ in range(chance.randint(0, 12)):
        away = min(int(chance.expovariate(1 / 40)) + 1, 900)
        gone = away > 1 and chance.random() < 0.3  # noqa: PLR2004 - a third, and not the best
        rows.append([f"{MIDDLE + sign * away}.00", "0" if gone else f"{chance.random() + 0.001:.8f}"])
    return rows


def ours(snapshot: bytes, frames: list[bytes]) -> float:
    """Our parser and book."""
    return _ours(snapshot, frames, views=False)


def ours_with_views(snapshot: bytes, frames: list[bytes]) -> float:
    """Our parser and book, and a copied view after each frame."""
    return _ours(snapshot, frames, views=True)


def _ours(snapshot: bytes, frames: list[bytes], *, views: bool) -> float:
    book = LocalBook(MARKET)
    book.seed(parse_book(snapshot), book.epoch)
    began = time.process_time()
    for raw in frames:
        delta = read_frame(raw)
        if not isinstance(delta, BookDelta) or not book.apply(delta):
            raise RuntimeError("a frame was lost")
        if views:
            book.view(VIEW)
    return time.process_time() - began


def ccxt_handler(snapshot: bytes, frames: list[bytes]) -> float:
    """ccxt.pro's handling of a message, which its client parses with orjson where there is one."""
    return _ccxt(snapshot, frames, views=False)


def ccxt_with_views(snapshot: bytes, frames: list[bytes]) -> float:
    """ccxt.pro's parser and its handler, and a copied view after each frame."""
    return _ccxt(snapshot, frames, views=True)


async def ccxt_watched(snapshot: bytes, frames: list[bytes]) -> float:
    """ccxt.pro as its user gets books: a future that the handler resolves, awaited, and the book cut by `limit()`."""
    client, book = _ccxt_client(snapshot)
    loop, socket = asyncio.get_running_loop(), _Waiting()
    began = time.process_time()
    for raw in frames:
        socket.future = loop.create_future()
        loop.call_soon(client.handle_message, socket, orjson.loads(raw))
        shown = (await socket.future).limit()
        [list(level) for level in shown["bids"][:VIEW]], [list(level) for level in shown["asks"][:VIEW]]
    return _ended(began, book)


def _ccxt(snapshot: bytes, frames: list[bytes], *, views: bool) -> float:
    client, book = _ccxt_client(snapshot)
    socket: Any = _Nobody()
    began = time.process_time()
    for raw in frames:
        client.handle_message(socket, orjson.loads(raw))
        if views:
            [list(level) for level in book["bids"][:VIEW]], [list(level) for level in book["asks"][:VIEW]]
    return _ended(began, book)


def _ccxt_client(snapshot: bytes) -> tuple[Any, Any]:
    add_ccxt()
    client = importlib.import_module("ccxt.pro").bitvavo()
    names = {"id": MARKET, "symbol": "BTC/EUR", "base": "BTC", "quote": "EUR", "type": "spot", "spot": True}
    client.set_markets([client.safe_market_structure(names)])
    shown = orjson.loads(snapshot)
    book = client.order_book(client.parse_order_book(shown, "BTC/EUR", None, "bids", "asks", 0, 1))
    book["nonce"] = shown["nonce"]
    client.orderbooks = {"BTC/EUR": book}
    return client, book


def _ended(began: float, book: Any) -> float:  # noqa: ANN401 - a class of ccxt
    seconds = time.process_time() - began
    if book["nonce"] != FRAMES:
        raise RuntimeError("a frame was lost")
    return seconds


class _Nobody:
    """A client whose futures nobody waits for."""

    subscriptions: Final[dict[str, Any]] = {}

    def resolve(self, result: object, name: str) -> None:
        """Do nothing."""


class _Waiting(_Nobody):
    """A client with one future that somebody waits for."""

    future: Any = None

    def resolve(self, result: object, name: str) -> None:
        """Answer who waits."""
        del name
        self.future.set_result(result)


def floor(snapshot: bytes, frames: list[bytes]) -> float:
    """The least there is to do: decode, and put into a dict; nothing checked, nothing sorted."""
    return _floor(snapshot, frames, views=False)


def floor_with_views(snapshot: bytes, frames: list[bytes]) -> float:
    """The same, sorting for each view."""
    return _floor(snapshot, frames, views=True)


def _floor(snapshot: bytes, frames: list[bytes], *, views: bool) -> float:
    shown = orjson.loads(snapshot)
    sides = {name: {float(price): float(size) for price, size in shown[name]} for name in ("bids", "asks")}
    began = time.process_time()
    for raw in frames:
        frame = orjson.loads(raw)
        for name, levels in sides.items():
            for price, size in frame[name]:
                if size == "0":
                    levels.pop(float(price), None)
                else:
                    levels[float(price)] = float(size)
        if views:
            sorted(sides["bids"].items(), reverse=True)[:VIEW], sorted(sides["asks"].items())[:VIEW]
    return time.process_time() - began
