"""Writes what the exchange says to compressed files, as it arrives, within a bound on disk and on memory.

The feed shows it every frame; a thread writes. A disk that is too slow costs frames of the recording, never of the
service, and so does one that fails; the recording says how many. The oldest file goes when there are too many.
"""

import asyncio
import gzip
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

from bitvavo.wire import Book
from kernel import logs
from kernel.telemetry import counter
from market_service.live.recording import COMPRESSION_LEVEL, SUFFIX, event_line, frame_line, snapshot_line
from market_service.live.settings import RecordingSettings
from market_service.ports import Exchange

MAX_WAITING_BYTES: Final = 16 * 1024 * 1024
WRITE_SECONDS: Final = 0.5

_RECORDED: Final = counter(
    "market_recorded_frames_total", "Frames and snapshots taken to be recorded, and lines dropped.", ["how"]
)


class Recorder:
    """Records one process's socket."""

    def __init__(self, settings: RecordingSettings, now_ns: Callable[[], int] = time.time_ns) -> None:
        """Write into the folder of `settings`."""
        self._settings = settings
        self._now_ns = now_ns
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._dropped = 0
        self._file: _File | None = None
        self._writing = threading.Lock()
        self._counted = {how: _RECORDED.labels(how) for how in ("written", "dropped")}

    @property
    def waiting_bytes(self) -> int:
        """How much waits to be written."""
        return self._waiting_bytes

    def frame(self, raw: bytes, *, readable: bool) -> None:
        """Record a frame."""
        self._record(frame_line(self._now_ns(), raw, readable=readable))

    def socket(self, state: str) -> None:
        """Record that the socket is open or lost."""
        self._keep(event_line(self._now_ns(), socket=state))

    def snapshot(self, book: Book) -> None:
        """Record a snapshot."""
        self._record(snapshot_line(self._now_ns(), book))

    def watching(self, exchange: Exchange) -> Exchange:
        """Return the exchange with an eye on its snapshots."""
        return _Watched(exchange, self)

    async def run(self) -> None:
        """Write until cancelled; then write the rest and close the file."""
        try:
            while True:
                await asyncio.sleep(WRITE_SECONDS)
                self._drop(await asyncio.to_thread(self._write, self._taken()))
        finally:
            self._drop(self._write(self._taken()))
            self._close()

    def _record(self, line: bytes) -> None:
        if self._waiting_bytes + len(line) > MAX_WAITING_BYTES:
            self._drop(1)
            return
        self._tell_dropped()
        self._counted["written"].inc()
        self._keep(line)

    def _drop(self, lines: int) -> None:
        self._dropped += lines
        self._counted["dropped"].inc(lines)

    def _keep(self, line: bytes) -> None:
        self._waiting.append(line)
        self._waiting_bytes += len(line)

    def _tell_dropped(self) -> None:
        if self._dropped:
            self._keep(event_line(self._now_ns(), dropped=self._dropped))
            self._dropped = 0

    def _taken(self) -> list[bytes]:
        taken, self._waiting, self._waiting_bytes = self._waiting, [], 0
        return taken

    def _write(self, lines: list[bytes]) -> int:
        """Return how many lines the disk did not take; the next ones begin another file."""
        # The last lines are written by the loop's own thread, when another may still be at work on those before.
        with self._writing:
            try:
                self._write_alone(lines)
            except OSError as error:
                logs.log("recording_failed", level=logs.ERROR, error=error, lines=len(lines))
                self._close()
                return len(lines)
        return 0

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):  # a disk that is full does not take the end of a file either
                file.close()

    def _write_alone(self, lines: list[bytes]) -> None:
        if not lines:
            return
        if self._file is None:
            self._file = _File(self._settings.folder / f"{self._now_ns():020d}{SUFFIX}")
            self._remove_oldest()
        self._file.write(b"".join(lines))
        if self._file.size() >= self._settings.file_bytes:
            self._close()

    def _remove_oldest(self) -> None:
        files = sorted(self._settings.folder.glob(f"*{SUFFIX}"))
        for path in files[: -self._settings.max_files]:
            path.unlink(missing_ok=True)
            logs.log("recording_removed", file=path.name)


class _File:
    """One file of a recording; what was written is readable at once, a crash costs half a second at most."""

    def __init__(self, path: Path) -> None:
        self._raw: IO[bytes] = path.open("wb")
        self._packed = gzip.GzipFile(fileobj=self._raw, mode="wb", compresslevel=COMPRESSION_LEVEL)

    def write(self, lines: bytes) -> None:
        self._packed.write(lines)
        self._packed.flush()
        self._raw.flush()

    def size(self) -> int:
        return self._raw.tell()

    def close(self) -> None:
        try:
            self._packed.close()
        finally:
            self._raw.close()


class _Watched:
    """An exchange whose snapshots are recorded; all else goes through."""

    def __init__(self, exchange: Exchange, recorder: Recorder) -> None:
        self._exchange = exchange
        self._recorder = recorder

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any method of the port
        return getattr(self._exchange, name)

    async def book(self, market: str, depth: int) -> Book:
        book = await self._exchange.book(market, depth)
        self._recorder.snapshot(book)
        return book
