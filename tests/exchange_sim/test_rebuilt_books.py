"""An independent applier rebuilds every book at every nonce, and notices every fault that can be noticed.

3,000 events in the gate; `REBUILT_BOOK_EVENTS=46000` runs the full count.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.exchange_sim.book_applier import Applier

ROOT = Path(__file__).parents[2]
EVENTS = int(os.environ.get("REBUILT_BOOK_EVENTS", "3000"))
MARKETS = 20
EVENTS_PER_COMPARISON = 5_000
START_S = 20
LONGEST_S = 600
FAULTS = {
    "nonce_gap": "nonce too high",
    "drop_frame": "nonce too high",
    "nonce_reset": "nonce too low",
    "duplicate_frame": "nonce too low",
    "crossed_book": "crossed",
}


class Simulator:
    """A simulator process with lively markets, asked over HTTP only."""

    def __init__(self, session: ClientSession, url: str) -> None:
        self.session, self.url = session, url

    async def ask(self, method: str, target: str, wish: dict[str, Any] | None = None) -> Any:  # noqa: ANN401  any JSON
        async with self.session.request(method, self.url + target, json=wish) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()


@pytest.fixture
async def simulator(tmp_path: Path) -> AsyncIterator[Simulator]:
    ready = tmp_path / "ready"
    words = [sys.executable, "-m", "exchange_sim", "--port", "0", "--markets", str(MARKETS), "--ready-file", str(ready)]
    words += ["--speed", "100", "--points-per-minute", "1000000000"]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL) as process:  # noqa: ASYNC220  at once, before all
        try:
            end_s = time.monotonic() + START_S
            while not ready.exists():
                assert process.poll() is None
                assert time.monotonic() < end_s
                await asyncio.sleep(0.02)
            async with ClientSession() as session:
                made = Simulator(session, ready.read_text().strip())
                await made.ask("POST", "/_sim/switches", {"book_batch_ms": 1})
                await made.ask("POST", "/_sim/book_history", {"events": 200_000})
                yield made
        finally:
            process.terminate()
            process.wait(START_S)


async def compare(simulator: Simulator, applier: Applier) -> int:
    """Hold what was rebuilt against the simulator's own books; tells how many nonces were compared."""
    compared = 0
    for market, book in applier.books.items():
        rows = (await simulator.ask("GET", f"/_sim/book_history?market={market}"))["rows"]
        true = {(nonce, digest) for nonce, digest in rows}
        assert true.issuperset(book.digests), market
        compared += len(book.digests)
        book.digests.clear()
    return compared


@pytest.mark.timeout(LONGEST_S)
async def test_every_book_is_rebuilt_at_every_nonce(simulator: Simulator) -> None:
    markets = [row["market"] for row in await simulator.ask("GET", "/v2/markets")]
    compared = 0
    async with simulator.session.ws_connect(simulator.url.replace("http", "ws", 1) + "/v2/") as socket:
        applier = Applier(socket.send_str)
        await applier.start(markets)
        while applier.applied < EVENTS:
            await applier.take(await socket.receive_json())
            if applier.applied - compared >= EVENTS_PER_COMPARISON:
                compared += await compare(simulator, applier)
        compared += await compare(simulator, applier)
    assert len(applier.books) == MARKETS
    assert all(book.nonce is not None for book in applier.books.values())
    assert compared == applier.applied >= EVENTS
    assert not applier.noticed


@pytest.mark.parametrize("fault", FAULTS)
async def test_the_applier_notices_each_fault_and_agrees_again(simulator: Simulator, fault: str) -> None:
    async with simulator.session.ws_connect(simulator.url.replace("http", "ws", 1) + "/v2/") as socket:
        applier = Applier(socket.send_str)
        await applier.start(["BTC-EUR", "ETH-EUR"])
        while applier.applied < 50:
            await applier.take(await socket.receive_json())
        assert not applier.noticed
        await simulator.ask("POST", "/_sim/faults", {"fault": fault, "match": {"channel": "book", "market": "BTC-EUR"}})
        while not applier.noticed:
            await applier.take(await socket.receive_json())
        await compare(simulator, applier)
        until = applier.applied + 50
        while applier.applied < until or not applier.books["BTC-EUR"].digests:
            await applier.take(await socket.receive_json())
        assert set(applier.noticed) == {FAULTS[fault]}
        assert await compare(simulator, applier) >= 50
    assert (await simulator.ask("GET", "/_sim/faults"))["injected"] == {fault: 1}
