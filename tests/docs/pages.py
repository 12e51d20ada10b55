"""The pages for people, and what stands in them: blocks of code, commands, words in backticks."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PAGES = (README, *sorted((ROOT / "docs").rglob("*.md")), ROOT / "ARCHITECTURE.md")

_BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
_WORD = re.compile(r"`([^`\n]+)`")


def blocks(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of a language, as printed."""
    return [each["text"] for each in _BLOCK.finditer(page.read_text()) if each["language"] == language]


def words(page: Path) -> Iterator[str]:
    """Yield what stands in backticks outside of blocks."""
    yield from _WORD.findall(_BLOCK.sub("", page.read_text()))


def rows(page: Path, heading: str) -> list[list[str]]:
    """Return the cells of the table that begins with this heading row."""
    lines = iter(page.read_text().splitlines())
    for line in lines:
        if line.startswith(f"| {heading}"):
            break
    found = []
    for line in lines:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return found[1:]
