"""How long a call waits for its caller: for a request to come, and for a message of a stream to be taken.

`kernel.rpc.interceptor` reads and writes every call through here. A stream has one timer, which looks whether its
reader is late and is set anew when it has looked: a time-out for each message cost a fifth of the message's
processor time.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from kernel.rpc.call import Context


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a call waits for whom.

    `deadline_seconds`: given to a unary call that came without a deadline; nothing may wait for ever on a database or
    an exchange. `request_seconds`: from the head of a call, or the last request of a stream, to the next whole request.
    `read_seconds`: until a reader of a stream has room for the next message.
    """

    deadline_seconds: float = 30.0
    request_seconds: float = 10.0
    read_seconds: float = 20.0


class TooLate(Exception):  # noqa: N818 - what the caller was
    """A caller did not do his part in time; the text is for him."""


async def read(context: Context, seconds: float) -> Any:  # noqa: ANN401 - bytes, or the mark of the end
    """Return the next request's bytes, or `grpc.aio.EOF`.

    Raises:
        TooLate: it was not whole in time.
    """
    try:
        async with asyncio.timeout(seconds):
            return await context.read()
    except TimeoutError:
        raise TooLate(f"the request was not whole within {seconds:g} s") from None


async def write_all(
    answers: AsyncGenerator[Any, None], encode: Callable[[Any], object], context: Context, seconds: float
) -> None:
    """Write every answer of a stream; `encode` makes bytes of one.

    Raises:
        TooLate: one of them was not taken in time.
    """
    late = asyncio.timeout(None)
    try:
        async with late, aclosing(answers):
            watch = _Watch(late, seconds)
            try:
                async for answer in answers:
                    watch.begin()
                    await context.write(encode(answer))
                    watch.end()
            finally:
                watch.stop()
    except TimeoutError:
        if not late.expired():
            raise
        raise TooLate(f"nothing was read of this stream for {seconds:g} s") from None


class _Watch:
    """Ends the block of `late` once a write has lasted for `seconds`."""

    __slots__ = ("_late", "_loop", "_seconds", "_since", "_timer")

    def __init__(self, late: asyncio.Timeout, seconds: float) -> None:
        self._late = late
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._since: float | None = None
        self._timer = self._loop.call_later(seconds, self._look)

    def begin(self) -> None:
        self._since = self._loop.time()

    def end(self) -> None:
        self._since = None

    def stop(self) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        # A write that begins between two looks is met by the look at the very end of its time.
        now = self._loop.time()
        ends = (now if self._since is None else self._since) + self._seconds
        if ends <= now:
            self._late.reschedule(now)
        else:
            self._timer = self._loop.call_at(ends, self._look)
