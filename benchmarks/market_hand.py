"""The hand that moves one market of the simulated exchange: `python -m benchmarks.market_hand URL RATE LEVELS`.

It is a process of its own: in the subscriber's its work would delay what is measured.
"""

import asyncio
import sys
import time

import aiohttp

MARKET = "BTC-EUR"


async def move(exchange: str, per_second: float, levels: int) -> None:
    """Change all levels so many times a second, each change told by one frame, until the process is ended."""
    async with aiohttp.ClientSession(exchange) as session:
        batch = {"book_batch_ms": round(1000 / per_second)}
        await (await session.post("/_sim/switches", json=batch)).read()
        turn = 0
        due = time.monotonic()
        while True:
            turn += 1
            size = f"1.{turn % 1000:03}"
            bids = [[str(49_990 - 10 * n), size] for n in range(levels)]
            asks = [[str(50_000 + 10 * n), size] for n in range(levels)]
            await (await session.post("/_sim/book", json={"market": MARKET, "bids": bids, "asks": asks})).read()
            due = max(due + 1 / per_second, time.monotonic() - 1)
            await asyncio.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    asyncio.run(move(sys.argv[1], float(sys.argv[2]), int(sys.argv[3])))
