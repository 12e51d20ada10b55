"""What was recorded is what was said, and plays through the same parser and books."""

import asyncio
import gzip
import os
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import grpc.aio
import httpx
import orjson
import pytest

from bitvavo.frames import read_frame
from bitvavo.wire import Book, Level
from market_service.live.recorder import MAX_WAITING_BYTES, Recorder
from market_service.live.recording import Entry, event_line, frame_line, read_entries
from market_service.live.replay import Tally, for_simulator, paced, replay
from market_service.live.settings import RecordingSettings
from protos.market.v1 import market_pb2 as pb
from protos.market.v1.market_pb2_grpc import MarketServiceStub
from tests.market_service.processes import MarketService, Process, Simulator

MARKET = "BTC-EUR"
DELTA = b'{"event":"book","market":"BTC-EUR","nonce":7,"bids":[["1.50","2"]],"asks":[],"timestamp":1}'


async def follow_while_recording(service: MarketService, sim: Simulator, changes: int) -> "pb.WatchOrderBookResponse":
    """Follow a book through some changes and return its last state."""
    async with grpc.aio.insecure_channel(service.address) as channel:
        call: Any = MarketServiceStub(channel).WatchOrderBook(pb.WatchOrderBookRequest(market=MARKET, depth=10))
        async with asyncio.timeout(20):
            while (await call.read()).freshness.quality != pb.QUALITY_GOOD:
                pass
            last = pb.WatchOrderBookResponse()
            for n in range(changes):
                bids = [[str(49_990 - n), "1"]]
                await asyncio.to_thread(sim.admin, "POST", "book", market=MARKET, bids=bids, asks=[["50000", "1"]])
                while not (last.bids and last.bids[0].price == str(49_990 - n)):
                    last = await call.read()
        await asyncio.sleep(0.7)  # the recorder writes twice a second
        call.cancel()
        return last


def test_a_recorded_session_replays_to_the_same_book(tmp_path: Path, sim: Simulator) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    service = MarketService(tmp_path, sim.url, MARKET_RECORDING_DIR=str(folder))
    last = asyncio.run(follow_while_recording(service, sim, changes=5))
    assert service.stop() == 0
    (path,) = folder.iterdir()

    tally = replay(read_entries(path), Tally())
    assert tally.frames["BookDelta"] >= 5
    assert tally.unreadable == tally.dropped == 0
    assert replayed_at(path, last.nonce) == [
        [(level.price, level.size) for level in side] for side in (last.bids, last.asks)
    ]
    played = orjson.loads(for_simulator(read_entries(path), MARKET))
    assert last.nonce in [row["nonce"] for row in played["frames"] if row["event"] == "book"]

    command = [sys.executable, "-m", "market_service.live.replay", str(path)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    assert "BookDelta" in printed
    assert MARKET in printed


def replayed_at(path: Path, nonce: int) -> list[list[tuple[str, str]]]:
    """Replay a recording up to one state of the book."""
    tally = Tally()
    for entry in read_entries(path):
        replay([entry], tally)
        book = tally.books.get(MARKET)
        if book is not None and book.loss is None and book.nonce == nonce:
            view = book.view(10)
            return [list(view.bids), list(view.asks)]
    raise AssertionError(f"the book never came to {nonce}")


def test_the_simulated_exchange_serves_what_was_recorded(tmp_path: Path, sim: Simulator) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    service = MarketService(tmp_path, sim.url, MARKET_RECORDING_DIR=str(folder))
    last = asyncio.run(follow_while_recording(service, sim, changes=3))
    service.stop()
    out, ready = tmp_path / "recording.json", tmp_path / "again.ready"
    out.write_bytes(for_simulator(read_entries(next(folder.iterdir())), MARKET))
    words = ["exchange_sim", "--port", "0", "--still", "--recording", str(out), "--speed", "100"]
    again = Process([*words, "--ready-file", str(ready)], ready, dict(os.environ), tmp_path / "again.log")
    try:
        url = again.wait_ready().strip()
        deadline = time.monotonic() + 10
        wanted = [[level.price, level.size] for level in last.bids]
        while [[row[0], f"{Decimal(row[1]):f}"] for row in httpx.get(f"{url}/v2/{MARKET}/book").json()["bids"]] != [
            [price, f"{Decimal(size).normalize():f}"] for price, size in wanted
        ]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        again.stop()


def test_a_frame_is_kept_byte_for_byte(tmp_path: Path) -> None:
    odd = b'{"event":\n"book"}'
    path = tmp_path / "one.jsonl.gz"
    broken = b"\xff not json"
    lines = [
        frame_line(1, DELTA, readable=True),
        frame_line(2, odd, readable=True),
        frame_line(3, broken, readable=False),
    ]
    path.write_bytes(gzip.compress(b"".join(lines)))
    assert [entry.frame for entry in read_entries(path)] == [DELTA, odd, broken]
    assert [entry.at_ns for entry in read_entries(path)] == [1, 2, 3]
    assert read_frame(DELTA)


def test_a_recording_cut_off_by_a_crash_is_read_up_to_there(tmp_path: Path) -> None:
    path = tmp_path / "cut.jsonl.gz"
    whole = gzip.compress(b"".join(frame_line(n, DELTA, readable=True) for n in range(1000)))
    path.write_bytes(whole[: len(whole) // 2])
    entries = list(read_entries(path))
    assert 0 < len(entries) < 1000
    assert all(entry.frame == DELTA for entry in entries)


@pytest.mark.parametrize(("speed", "ends"), [(1.0, 2.0), (4.0, 0.5), (0.0, 0.0)])
def test_a_replay_keeps_the_recorded_pace_times_the_speed(speed: float, ends: float) -> None:
    slept: list[float] = []
    clock = [100.0]

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    entries = [entry_at(0), entry_at(500_000_000), entry_at(2_000_000_000)]
    assert list(paced(entries, speed, sleep, lambda: clock[0])) == entries
    assert clock[0] - 100.0 == pytest.approx(ends)


def entry_at(at_ns: int) -> Entry:
    return Entry(at_ns, frame=DELTA)


async def test_files_are_rotated_by_size_and_the_oldest_go(tmp_path: Path) -> None:
    clock = iter(range(10**18, 10**19))
    recorder = Recorder(RecordingSettings(tmp_path, file_bytes=200, max_files=3), lambda: next(clock))
    running = asyncio.create_task(recorder.run())
    for n in range(6):
        for _ in range(20):
            recorder.frame(DELTA[:-1] + b',"x":"%d"}' % n, readable=True)
        await asyncio.sleep(0.55)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    files = sorted(tmp_path.iterdir())  # noqa: ASYNC240 - nothing else runs any more
    assert 1 <= len(files) <= 3
    assert b'"x":"5"' in list(read_entries(files[-1]))[-1].frame  # type: ignore[operator]


async def test_a_disk_that_is_too_slow_costs_frames_of_the_recording_and_it_says_how_many(tmp_path: Path) -> None:
    recorder = Recorder(RecordingSettings(tmp_path, file_bytes=10**9, max_files=3))
    large = b'{"x":"' + b"y" * 1_000_000 + b'"}'
    for _ in range(20):
        recorder.frame(large, readable=True)
    running = asyncio.create_task(recorder.run())
    await asyncio.sleep(0.8)
    recorder.frame(DELTA, readable=True)
    await asyncio.sleep(0.7)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    (path,) = tmp_path.iterdir()  # noqa: ASYNC240 - nothing else runs any more
    entries = list(read_entries(path))
    assert sum(entry.dropped for entry in entries) == 20 - sum(entry.frame == large for entry in entries)
    assert entries[-1].frame == DELTA
    assert event_line(1, dropped=3) == b'{"at":1,"dropped":3}\n'


async def test_a_disk_that_fails_costs_what_it_did_not_take_and_the_recording_goes_on_when_it_works(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "gone"
    recorder = Recorder(RecordingSettings(folder, file_bytes=10**9, max_files=3))
    running = asyncio.create_task(recorder.run())
    for _ in range(3):
        recorder.frame(DELTA, readable=True)
    await asyncio.sleep(0.8)
    folder.mkdir()
    recorder.frame(DELTA, readable=True)
    await asyncio.sleep(0.8)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    (path,) = folder.iterdir()
    entries = list(read_entries(path))
    assert [entry.dropped for entry in entries if entry.dropped] == [3]
    assert [entry.frame for entry in entries if entry.frame] == [DELTA]


async def test_snapshots_wait_for_a_slow_disk_within_the_same_bound_as_frames(tmp_path: Path) -> None:
    recorder = Recorder(RecordingSettings(tmp_path, file_bytes=10**9, max_files=3))
    levels = tuple(Level(Decimal(n), Decimal(1)) for n in range(1, 1_001))
    for nonce in range(1_000):  # nobody writes
        recorder.snapshot(Book(MARKET, nonce, levels, levels, None))
    assert recorder.waiting_bytes <= MAX_WAITING_BYTES
