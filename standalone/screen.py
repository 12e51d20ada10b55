"""How the one-machine programs show themselves to a person: lines, times, tables of at most 100 columns."""

import sys
import time
from collections.abc import Sequence

WIDTH = 100
GAP = "  "
MARGIN = "  "


class Stopwatch:
    """Says lines with the seconds since it was made."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def seconds(self) -> float:
        """Return the seconds since it was made."""
        return time.monotonic() - self._start

    def say(self, line: str) -> None:
        """Show a line with the time."""
        say(f"{self.seconds():6.1f} s  {line}")


def say(line: str = "") -> None:
    """Show a line at once, also through a pipe."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def title(number: int, text: str) -> None:
    """Show the title of a step."""
    say(f"\n{number}. {text}\n{'-' * (len(text) + 3)}")


def values(**rows: object) -> None:
    """Show names and values, one pair a line."""
    wide = max(map(len, rows))
    for name, value in rows.items():
        say(f"{MARGIN}{name.replace('_', ' '):<{wide}}{GAP}{value}")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Show a table; its last column is wrapped so that no line is longer than WIDTH."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head) - 1)]
    left = sum(widths) + len(GAP) * len(widths) + len(MARGIN)
    for row in (head, *rows):
        first, *more = wrapped(row[-1], max(WIDTH - left, len(head[-1])))
        cells = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)]
        say((MARGIN + GAP.join([*cells, first])).rstrip())
        for line in more:
            say(" " * left + line)


def wrapped(text: str, width: int) -> list[str]:
    """Break a text into lines at blanks, and within a word that is longer than a line."""
    lines = [""]
    for word in text.split():
        rest = word
        if lines[-1] and len(lines[-1]) + 1 + len(rest) > width:
            lines.append("")
        while len(rest) > width:
            lines[-1:] = [rest[:width], ""]
            rest = rest[width:]
        lines[-1] = f"{lines[-1]} {rest}".strip()
    return lines
