"""Docker's command line, as these tests use it: words in, text or JSON out, an error with what was said."""

import json
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
COMMAND_SECONDS = 120
BUILD_SECONDS = 400


class DockerError(AssertionError):
    """A command failed that should not have."""


def docker(*words: str, seconds: float = COMMAND_SECONDS, given: str | None = None) -> str:
    """Run docker and return what it said.

    Raises:
        DockerError: it ended with another code than 0.
    """
    ran = attempt(*words, seconds=seconds, given=given)
    if ran.returncode:
        raise DockerError(f"docker {' '.join(words)}\n{ran.stdout}\n{ran.stderr}")
    return ran.stdout


def attempt(
    *words: str, seconds: float = COMMAND_SECONDS, given: str | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run docker and return how it ended, whatever that is."""
    return subprocess.run(
        ["docker", *words],  # noqa: S607 - whichever client the engine was made for
        cwd=ROOT,
        input=given,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def inspect(name: str) -> dict[str, Any]:
    """Return what the engine says of a container, an image, a network or a volume."""
    found: list[dict[str, Any]] = json.loads(docker("inspect", name))
    return found[0]
