"""Policy files, read strictly: an error in one refuses all, and every problem of every file is named at once.

Called by ReloadPolicies, by the start of an empty `trade_service`, and by the command line.
"""

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from policy.load.tree import TreeError, TreeReader
from policy.policy import Policy, PolicySet
from policy.reading import Flaw, read_policy

MAX_FILE_BYTES: Final = 64 * 1024
MAX_FILES: Final = 100
SUFFIXES: Final = frozenset({".yaml", ".yml"})


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason to refuse: file, line (from 1; 0 when the file itself is the problem), key, found, allowed."""

    file: str
    line: int
    key: str
    found: str
    allowed: str

    def __str__(self) -> str:
        """Return one line for people."""
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.key + ': ' if self.key else ''}found {self.found}; allowed: {self.allowed}"


class PolicyLoadError(Exception):
    """Nothing was loaded; `problems` names every reason."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        """Keep the problems; the message has one line each."""
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


def load_directory(path: Path) -> PolicySet:
    """Return all policies of a directory: its regular ``*.yaml`` and ``*.yml`` files, by name.

    Raises:
        PolicyLoadError: no such directory, no file, or any problem in any file, or between two files.
    """
    problems: list[Problem] = []
    policies: list[tuple[str, Policy]] = []
    for file in _files(path, problems):
        text = _read_file(file, problems)
        policy = None if text is None else _parse(text, str(file), problems)
        if policy is not None:
            policies.append((str(file), policy))
    problems.extend(_clashes(policies))
    if problems:
        raise PolicyLoadError(tuple(problems))
    return PolicySet(tuple(policy for _, policy in policies))


def parse_policy(text: str, file: str) -> Policy:
    """Return the policy a text states; `file` is only named in problems.

    Raises:
        PolicyLoadError: every problem of the text.
    """
    problems: list[Problem] = []
    policy = _parse(text, file, problems)
    if policy is None:
        raise PolicyLoadError(tuple(problems))
    return policy


def _parse(text: str, file: str, problems: list[Problem]) -> Policy | None:
    if len(text.encode(errors="surrogatepass")) > MAX_FILE_BYTES:
        problems.append(_too_large(file))
        return None
    reader = TreeReader(text)
    try:
        tree = reader.read()
    except TreeError as error:
        problems.extend(_problem(file, flaw, reader) for flaw in reader.flaws)
        problems.append(Problem(file, error.line, ".".join(error.flaw.path), error.flaw.found, error.flaw.allowed))
        return None
    flaws = list(reader.flaws)
    policy = read_policy(tree, flaws)
    problems.extend(sorted((_problem(file, flaw, reader) for flaw in flaws), key=lambda one: one.line))
    return None if flaws else policy


def _problem(file: str, flaw: Flaw, reader: TreeReader) -> Problem:
    """Return the problem at the line of its path, or of the nearest part of the path that stands in the file."""
    path = flaw.path
    while path not in reader.lines:
        path = path[:-1]
    return Problem(file, reader.lines[path], ".".join(flaw.path), flaw.found, flaw.allowed)


def _files(path: Path, problems: list[Problem]) -> list[Path]:
    try:
        files = sorted(entry for entry in path.iterdir() if entry.suffix in SUFFIXES and entry.name[0] != ".")
    except OSError as error:
        problems.append(Problem(str(path), 0, "", f"{error.strerror}", "a directory of policy files"))
        return []
    if not 0 < len(files) <= MAX_FILES:
        problems.append(Problem(str(path), 0, "", f"{len(files)} policy files", f"1 to {MAX_FILES} *.yaml files"))
        return []
    return files


def _read_file(file: Path, problems: list[Problem]) -> str | None:
    """Return the text of a regular file. Links, pipes and devices are refused before they are opened."""
    try:
        status = file.lstat()
        if not stat.S_ISREG(status.st_mode):
            problems.append(Problem(str(file), 0, "", "no regular file", "a regular file, no link"))
            return None
        with file.open("rb") as stream:
            raw = stream.read(MAX_FILE_BYTES + 1) if status.st_size <= MAX_FILE_BYTES else b""
        if status.st_size > MAX_FILE_BYTES or len(raw) > MAX_FILE_BYTES:
            problems.append(_too_large(str(file)))
            return None
        return raw.decode("utf-8", errors="strict")
    except OSError as error:
        problems.append(Problem(str(file), 0, "", f"{error.strerror}", "a readable file"))
    except UnicodeDecodeError:
        problems.append(Problem(str(file), 0, "", "bytes that are no UTF-8", "text in UTF-8"))
    return None


def _clashes(policies: list[tuple[str, Policy]]) -> list[Problem]:
    """Return the names and users that two files claim: which of them judges would be a matter of chance."""
    problems = []
    seen: dict[tuple[str, str], str] = {}
    for file, policy in policies:
        for key, word in (("name", policy.name), *(("applies_to.users", user) for user in policy.users)):
            other = seen.setdefault((key, word), file)
            if other != file:
                problems.append(Problem(file, 0, key, f"{word!r}, also in {other}", "each name and each user once"))
    return problems


def _too_large(file: str) -> Problem:
    return Problem(file, 0, "", f"more than {MAX_FILE_BYTES} bytes", f"at most {MAX_FILE_BYTES} bytes")
