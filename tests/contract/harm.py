"""What bad input must not do: no row, no order, no failure of ours, no long echo, and both processes live."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import grpc
import pytest

from standalone.system import System
from tests.contract.methods import Raw
from tests.contract.refusal import Refusal
from tests.contract.stored import Stored

OURS: Final = frozenset({grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE})
"""Statuses that no input may cause while everything runs."""
CALLERS: Final = frozenset({grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED})
MAX_ECHO_CHARS: Final = 64
SENT: Final[pytest.StashKey[list[str]]] = pytest.StashKey()
"""Lines about how much was sent; printed at the end of the run."""


class Watch:
    """The system, and how it is looked at before and after."""

    def __init__(self, system: System, stored: Stored, raw: Raw) -> None:
        self.system = system
        self.stored = stored
        self.raw = raw

    @contextmanager
    def nothing_happens(self, *, but: Iterable[str] = ()) -> Iterator[None]:
        """Pass when no table but those named grew, no order was made, nothing failed and everything still runs."""
        before, orders, lines = self.stored.counts(), len(self.system.simulator.orders()), self._lengths()
        yield
        after = self.stored.counts()
        assert {name: count for name, count in after.items() if name not in but} == {
            name: count for name, count in before.items() if name not in but
        }
        assert len(self.system.simulator.orders()) == orders
        assert self.system.ended() == []
        assert list(self._failures(lines)) == []

    def _logs(self) -> list[Path]:
        return [each.process.program.log for each in (*self.system.trade, self.system.market)]

    def _lengths(self) -> list[int]:
        return [path.stat().st_size for path in self._logs()]

    def _failures(self, lengths: list[int]) -> Iterator[object]:
        for path, length in zip(self._logs(), lengths, strict=True):
            for line in path.read_bytes()[length:].splitlines():
                told = json.loads(line)
                if told["level"] == "error":
                    yield told


def long_echo(told: Refusal, value: str) -> bool:
    """Say whether an answer repeats more than 64 characters of what was sent."""
    text = told.all_text()
    starts = {0, max(0, len(value) // 2), max(0, len(value) - MAX_ECHO_CHARS - 1)}
    return len(value) > MAX_ECHO_CHARS and any(value[at : at + MAX_ECHO_CHARS + 1] in text for at in starts)
