"""The system of `make up`, on the ports that the pages name."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from standalone.ports import FIXED
from standalone.system import System
from tests.docs.pages import ROOT

PROGRAMS = Path(sys.executable).parent
COMMAND_SECONDS = 40

Shell = Callable[[str], "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def system() -> Iterator[System]:
    """Start what `make up` starts; a port that is taken is an error that names it."""
    folder = Path(mkdtemp(prefix="interlock-docs-"))
    folder.chmod(0o711)
    running = System.start(folder, ports=FIXED)
    yield running
    for service in (*running.trade, running.market):
        service.kill()  # an orderly end takes seconds and is tested elsewhere
    running.stop()
    running.simulator._client.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def shell(system: System) -> Shell:
    """Return a way to run a text in one bash session, as a reader would in the checkout."""

    def run(text: str) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}", "no_proxy": "*"}
        return subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", text],  # noqa: S607 - the reader's own bash
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def grpcurl(shell: Shell) -> Shell:
    """Return a way to run grpcurl with the given words."""
    return lambda text: shell(f"grpcurl -plaintext {text}")


def exported(metrics: str) -> set[str]:
    """Name the metrics on a page of Prometheus's text format, counters with their `_total`."""
    kinds = re.findall(r"^# TYPE (\S+) (\S+)", metrics, re.MULTILINE)
    return {name for name, _ in kinds if not name.endswith("_created")}
