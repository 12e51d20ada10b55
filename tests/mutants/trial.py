"""The trial of a mutant: its edits in a copy of the tree, its one test run there, a verdict."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.fixtures.database import DSN_VARIABLE
from tests.mutants.mutant import Mutant, diff, mutated
from tests.mutants.witness import FILE_VARIABLE

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = (
    *(".git", ".venv", ".local", ".*_cache", "__pycache__", "*.pyc", "*.egg-info", "build", ".hypothesis"),
    *("benchmarks", ".import_linter_cache"),
)
TRIAL_SECONDS_MAX = 120
PASSED, TESTS_FAILED = 0, 1


class Verdict(StrEnum):
    """How a trial ended."""

    KILLED = "killed"
    SURVIVED = "survived"
    BROKEN = "broken"
    """Its test failed, but by no assertion: what the mutant took out was never put to the test."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A verdict, the change it is about, and what the failing test said."""

    mutant: Mutant
    verdict: Verdict
    diff: str
    said: tuple[str, ...]
    seconds: float

    @property
    def as_wanted(self) -> bool:
        """Whether a mutant was killed, or the one that takes nothing out survived."""
        return self.verdict is (Verdict.SURVIVED if self.mutant.survives else Verdict.KILLED)


@contextmanager
def copied_tree() -> Iterator[Path]:
    """Copy what the tests need, for as long as the context lasts."""
    with TemporaryDirectory(prefix="interlock-mutants-") as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*LEFT_OUT))
        yield tree


def require_own_code(tree: Path) -> None:
    """Prove that a test run in the copy imports the copy.

    Raises:
        RuntimeError: it would test the tree it was copied from.
    """
    show = "import kernel, market_service as m, trade_service as t; print(kernel.__file__, m.__file__, t.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", show], cwd=tree, capture_output=True, text=True, check=True, timeout=TRIAL_SECONDS_MAX
    )
    if not all(path.startswith(str(tree)) for path in found.stdout.split()):
        message = f"a run in {tree} imports {found.stdout}"
        raise RuntimeError(message)


def try_mutant(tree: Path, mutant: Mutant, dsn: str) -> Trial:
    """Apply the mutant in the copy, run its test, put the copy back.

    Raises:
        StaleMutantError: a text it replaces is not there.
    """
    texts = mutated(tree, mutant)
    started = time.monotonic()
    try:
        for path, (_, after) in texts.items():
            path.write_text(after, encoding="utf-8")
        verdict, said = _run(tree, mutant.test, dsn)
    finally:
        for path, (before, _) in texts.items():
            path.write_text(before, encoding="utf-8")
    return Trial(mutant, verdict, diff(tree, texts), said, time.monotonic() - started)


def _run(tree: Path, test: str, dsn: str) -> tuple[Verdict, tuple[str, ...]]:
    witness = tree / "witness.jsonl"
    witness.write_text("")
    command = [
        sys.executable,
        "-m",
        "pytest",
        test,
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "tests.mutants.witness",
    ]
    environment = os.environ | {DSN_VARIABLE: dsn, FILE_VARIABLE: str(witness), "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, check=False, timeout=TRIAL_SECONDS_MAX
    )
    failures = [json.loads(line) for line in witness.read_text().splitlines()]
    # Cases: all passed; the test itself failed, by an assertion or not; nothing ran at all.
    if run.returncode == PASSED:
        return Verdict.SURVIVED, ()
    if run.returncode == TESTS_FAILED and failures:
        first = failures[0]
        killed = first["assertion"] and first["when"] == "call"
        said = (first["test"], *first["lines"])
        return (Verdict.KILLED, said) if killed else (Verdict.BROKEN, (first["kind"], *said))
    return Verdict.BROKEN, tuple(run.stdout.splitlines()[-20:])
