"""How the one-machine programs show themselves to a person: lines, times, tables of at most 100 columns."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

WIDTH = 100
GAP = "  "
MARGIN = "  "


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its title, and how many characters it has."""

    title: str
    width: int


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


def table(head: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """Show a table; a cell wider than its column goes on below."""
    for row in ([column.title for column in head], *rows):
        cells = [wrapped(cell, column.width) for cell, column in zip(row, head, strict=True)]
        for line in zip_longest(*cells, fillvalue=""):
            texts = [f"{text:<{column.width}}" for text, column in zip(line, head, strict=True)]
            say((MARGIN + GAP.join(texts)).rstrip())


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
