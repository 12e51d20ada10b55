"""A mutant: the tree with one mechanism taken out, and the test that must notice."""

import difflib
from dataclasses import dataclass
from pathlib import Path


class StaleMutantError(Exception):
    """The text a mutant replaces is not in its file exactly once: the code has moved on, and so must the mutant."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One replacement; `old` stands in the file exactly once."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """What is taken out, by which edits, and the node id of the test that fails then. `survives`: nothing is."""

    name: str
    removes: str
    edits: tuple[Edit, ...]
    test: str
    survives: bool = False


def mutated(tree: Path, mutant: Mutant) -> dict[Path, tuple[str, str]]:
    """Return each edited file with its text before and after; writes nothing.

    Raises:
        StaleMutantError: a text is not found exactly once.
    """
    texts: dict[Path, tuple[str, str]] = {}
    for edit in mutant.edits:
        path = tree / edit.file
        before, now = texts.get(path) or (path.read_text(encoding="utf-8"),) * 2
        if now.count(edit.old) != 1:
            message = f"{mutant.name}: {edit.file} has {now.count(edit.old)} times, instead of once:\n{edit.old}"
            raise StaleMutantError(message)
        texts[path] = (before, now.replace(edit.old, edit.new))
    return texts


def diff(tree: Path, texts: dict[Path, tuple[str, str]]) -> str:
    """Return the change as a unified diff."""
    parts: list[str] = []
    for path, (before, after) in texts.items():
        name = path.relative_to(tree).as_posix()
        lines = (before.splitlines(), after.splitlines())
        parts += difflib.unified_diff(*lines, f"a/{name}", f"b/{name}", n=1, lineterm="")
    return "\n".join(parts)
