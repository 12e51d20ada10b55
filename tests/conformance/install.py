"""Installs the clients beside the project, not into it: pinned by hash, each in a directory that git ignores."""

import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLACE = ROOT / ".local" / "conformance"
PYTHON_LOCK = ROOT / "requirements-conformance.lock"
NODE_FILES = tuple(ROOT / "tests" / "conformance" / "node" / name for name in ("package.json", "package-lock.json"))
VENV, NODE = PLACE / "venv", PLACE / "node"
PYTHON = VENV / "bin" / "python"
LONGEST_INSTALL_S = 600


class Lacking(Exception):  # noqa: N818  what a machine lacks
    """Something that has to be installed first."""


def install_python() -> None:
    """Make the virtual environment that the lock describes, unless it is there.

    Raises:
        Lacking: the packages cannot be had.
    """
    if _is_done(VENV, (PYTHON_LOCK,)):
        return
    shutil.rmtree(VENV, ignore_errors=True)
    venv.create(VENV, with_pip=True)
    words = [str(PYTHON), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes"]
    _run([*words, "-r", str(PYTHON_LOCK)], PLACE)
    _note_done(VENV, (PYTHON_LOCK,))


def install_node() -> None:
    """Install what the package lock describes, unless it is there.

    Raises:
        Lacking: no node, no npm, or the packages cannot be had.
    """
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise Lacking("node and npm are needed for the npm client")
    if _is_done(NODE, NODE_FILES):
        return
    shutil.rmtree(NODE, ignore_errors=True)
    NODE.mkdir(parents=True)
    for file in NODE_FILES:
        shutil.copy(file, NODE)
    _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], NODE)
    _note_done(NODE, NODE_FILES)


def _run(words: list[str], place: Path) -> None:
    done = subprocess.run(words, cwd=place, capture_output=True, text=True, timeout=LONGEST_INSTALL_S, check=False)
    if done.returncode:
        sys.stderr.write(done.stderr)
        raise Lacking(f"{words[0]} could not install the clients")


def _fingerprint(files: tuple[Path, ...]) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _is_done(place: Path, files: tuple[Path, ...]) -> bool:
    note = place / ".installed"
    return note.exists() and note.read_text() == _fingerprint(files)


def _note_done(place: Path, files: tuple[Path, ...]) -> None:
    (place / ".installed").write_text(_fingerprint(files))
