"""Keeps one market's trades in a row, and knows where some may be missing; pure: no clock, no network.

Trades are heard one by one. While there is doubt they wait for the exchange's own list, which says what came before.
"""

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Final

from bitvavo.wire import PublicTrade

KEPT_TRADES: Final = 5_000
LISTED_TRADES: Final = 1_000
TRADES_PER_MESSAGE: Final = 500
HOLES_MAX: Final = 64


class TradeRow:
    """The newest trades, oldest first, each with a number; numbers only grow. Begins in doubt."""

    __slots__ = ("_first", "_holes", "_ids", "_news", "_trades", "_waiting", "epoch")

    def __init__(self) -> None:
        """Begin without trades."""
        self.epoch = 0
        """Grows with every doubt; a list asked for before the last one closes no hole."""
        self._trades: deque[PublicTrade] = deque()
        self._ids: set[str] = set()
        self._first = 0
        self._news = 0  # number of the first trade heard during the last doubt
        self._holes: deque[int] = deque(maxlen=HOLES_MAX)
        self._waiting: list[PublicTrade] | None = []

    @property
    def doubtful(self) -> bool:
        """Whether a list is wanted: until it comes, what is heard waits."""
        return self._waiting is not None

    def doubt(self) -> None:
        """Let what is heard wait from now on, for a list asked for from now on."""
        self.epoch += 1
        self._waiting = []

    def hear(self, trade: PublicTrade) -> bool:
        """Take the next trade; say whether the row has grown."""
        if self._waiting is None:
            return self._append(trade)
        self._waiting.append(trade)
        del self._waiting[:-KEPT_TRADES]
        return False

    def bridge(self, listed: Sequence[PublicTrade]) -> None:
        """Take the exchange's newest trades, oldest first, and end the doubt.

        They close the hole when one of them is kept already, or when they are fewer than the exchange would have shown.
        """
        whole = not self._trades or len(listed) < LISTED_TRADES or any(trade.id in self._ids for trade in listed)
        if not whole:
            self._holes.append(self._next)
        oldest_ms = self._trades[-1].timestamp_ms if self._trades else 0
        before, heard = _in_order([each for each in listed if each.timestamp_ms >= oldest_ms], self._waiting or [])
        for trade in before:
            self._append(trade)
        self._news = self._next
        for trade in heard:
            self._append(trade)
        self._waiting = None

    def after(self, number: int) -> tuple[tuple[PublicTrade, ...], int, bool]:
        """Return the trades from `number` on, the number after them, and whether some may be missing before them."""
        start = max(number, self._first)
        at = start - self._first
        trades = tuple(islice(self._trades, at, at + TRADES_PER_MESSAGE))
        end = start + len(trades)
        hole = next((hole for hole in self._holes if number <= hole < end), None)
        if hole is not None and hole > start:
            # Trades before the hole go first, so that the hole lies between two messages.
            return trades[: hole - start], hole, start > number
        return trades, end, start > number or hole is not None

    def last_id(self, number: int) -> str:
        """Return the id of the trade before `number`; empty when it is not kept."""
        at = number - 1 - self._first
        return self._trades[at].id if 0 <= at < len(self._trades) else ""

    def place(self, after_id: str, *, waited: bool = False) -> tuple[int, bool] | None:
        """Return the number after the trade of this id, or of the next when it is empty, and whether some may lack.

        None: only the list will show. Who has `waited` for it without an id begins with what was heard meanwhile.
        """
        if not after_id:
            return None if self.doubtful else (self._news if waited else self._next, False)
        if after_id in self._ids:
            at = next(at for at, trade in enumerate(self._trades) if trade.id == after_id)
            return self._first + at + 1, False
        return None if self.doubtful else (self._first, True)

    @property
    def _next(self) -> int:
        return self._first + len(self._trades)

    def _append(self, trade: PublicTrade) -> bool:
        if trade.id in self._ids:
            return False
        self._trades.append(trade)
        self._ids.add(trade.id)
        if len(self._trades) > KEPT_TRADES:
            self._ids.discard(self._trades.popleft().id)
            self._first += 1
        return True


def _in_order(listed: list[PublicTrade], heard: list[PublicTrade]) -> tuple[list[PublicTrade], list[PublicTrade]]:
    # What was heard lacks none of its own. The list says what was before it, and may know what will be heard next.
    ids = {trade.id for trade in heard}
    before = next((at for at, trade in enumerate(listed) if trade.id in ids), len(listed))
    return listed[:before], [*heard, *(trade for trade in listed[before:] if trade.id not in ids)]
