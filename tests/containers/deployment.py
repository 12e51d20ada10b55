"""The running deployment of docker-compose.yml, as a person meets it: the commands of the README bring it up."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from tests.containers.docker import ROOT, DockerError, attempt, docker, inspect
from tests.docs.pages import README, blocks

UP_SECONDS = 300
PATIENCE_SECONDS = 90.0
POLL_SECONDS = 0.3
PROJECT = "interlock"
STANDING = "INTERLOCK_DEPLOYMENT_STANDS"
"""A variable that says: what runs now, by the compose file it names, is what is to be looked at."""
PROGRAMS = Path(sys.executable).parent

LEDGER = """
import json, ssl, sys, urllib.request as web
path, method, wish = sys.argv[1:]
request = web.Request("https://localhost:8099/_sim/" + path, method=method, data=wish.encode() or None)
print(web.urlopen(request, context=ssl.create_default_context(cafile="/run/secrets/ca.pem")).read().decode())
"""


def shell(text: str, seconds: float = UP_SECONDS) -> "subprocess.CompletedProcess[str]":
    """Run a text as a reader would in the checkout."""
    environment = {**os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}", "no_proxy": "*"}
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", text],  # noqa: S607 - the reader's own bash
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def bring_up() -> None:
    """Run the first block of the README's part on containers: everything up, a caller's certificate, ready.

    Raises:
        DockerError: it did not come up; with what the containers say.
    """
    ran = shell(printed_blocks()[0])
    if ran.returncode:
        raise DockerError(f"{ran.stdout}\n{ran.stderr}\n{attempt('compose', 'logs', '--tail=20').stdout}")


def take_down() -> None:
    """Remove containers, networks and volumes."""
    docker("compose", "down", "--volumes", "--remove-orphans", "--timeout", "20", seconds=UP_SECONDS)


def printed_blocks() -> list[str]:
    """Return the README's blocks on containers, with other ports where this run was given some."""
    found = []
    for text in blocks(README, "bash"):
        for name, printed in (("TRADE_PORT", "50052"), ("MARKET_PORT", "50051")):
            text = text.replace(f"127.0.0.1:{printed}", f"127.0.0.1:{os.environ.get(name, printed)}")  # noqa: PLW2901
        found.append(text)
    return found


def container(service: str) -> str:
    """Return the id of a service's container, running or not.

    Raises:
        DockerError: there is none.
    """
    found = containers(service)
    if len(found) != 1:
        raise DockerError(f"{len(found)} containers of {service}")
    return found[0]


def containers(service: str) -> list[str]:
    """Return the ids of a service's containers."""
    labels = [f"label=com.docker.compose.project={PROJECT}", f"label=com.docker.compose.service={service}"]
    words = [word for label in (*labels, "label=com.docker.compose.oneoff=False") for word in ("--filter", label)]
    return docker("ps", "--all", "--quiet", *words).split()


def bring(*services: str, profile: str = "sim") -> None:
    """Ask for services by their names, or for all of a profile, as the deployment stands."""
    file = os.environ.get(STANDING, "docker-compose.yml")
    where = ("--project-name", PROJECT, "--project-directory", str(ROOT), "--file", file, "--profile", profile)
    docker("compose", *where, "up", "--detach", "--no-build", *services)


def remove(services: Collection[str]) -> None:
    """Remove what there is of services' containers; what they wrote stays in volumes with a name."""
    for found in filter(None, map(containers, services)):
        docker("rm", "--force", "--volumes", *found)


def inside(service: str, program: str, *words: str) -> str:
    """Run a Python program inside a service's container and return what it prints."""
    return docker("exec", container(service), "python", "-c", program, *words)


def simulator(path: str, method: str = "GET", **wish: object) -> Any:  # noqa: ANN401 - JSON
    """Ask the simulator's admin endpoint, which answers inside its container only."""
    return json.loads(inside("simulator", LEDGER, path, method, json.dumps(wish) if wish else ""))


def healthy(service: str) -> bool:
    """Say whether a container runs and its health check passes."""
    state = inspect(container(service))["State"]
    return bool(state["Running"] and state["Health"]["Status"] == "healthy")


def await_true(what: str, condition: Callable[[], bool]) -> None:
    """Wait until something is so.

    Raises:
        DockerError: it is not so in time.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise DockerError(
                f"not in {PATIENCE_SECONDS:.0f} s: {what}\n{attempt('compose', 'logs', '--tail=20').stdout}"
            )
        time.sleep(POLL_SECONDS)


def kill(service: str) -> None:
    """End a container's program as a crash does, so that the engine starts it again by itself."""
    os.kill(inspect(container(service))["State"]["Pid"], signal.SIGKILL)


def starts(service: str) -> int:
    """Say how often the engine has started it again."""
    return int(inspect(container(service))["RestartCount"])
