"""Runs a command beside a Docker engine of its own: `python -m tools.docker_engine python -m pytest tests/containers`.

`DOCKER_HOST` names an engine that is used instead. Otherwise, as root on Debian or Ubuntu: what is missing is
installed, an engine starts on a socket of its own, the base images are had (`tools.docker_bases`), the command runs,
the engine stops, and the machine's network is put back. Images stay in the cache directory for the next time.

Where that is impossible (not Linux, not root, no apt), it says so and leaves the command out with exit code 0; what
fails where it should be possible is an error.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from tools import docker_network
from tools.compose_two import ensure_plugins
from tools.docker_bases import BaseImageError, ensure_bases

FOLDER: Final = Path(os.environ.get("INTERLOCK_ENGINE_DIR", "~/.cache/interlock/engine")).expanduser()
RUNNING: Final = Path("/run/interlock-engine")
PACKAGES: Final = {
    "dockerd": "docker.io",
    "docker": "docker.io",
    "docker-compose": "docker-compose",
    "iptables": "iptables",
    "mmdebstrap": "mmdebstrap",
}
COMPOSE: Final = "INTERLOCK_COMPOSE"
"""Which Compose our engine's client has: 2, with BuildKit, or 1 and the classic builder, as this Debian has them."""
START_SECONDS: Final = 60
STOP_SECONDS: Final = 60
INSTALL_SECONDS: Final = 300

PLUGIN: Final = """#!/bin/sh
# `docker compose` for a client that lacks it: the same words to docker-compose.
if [ "$1" = docker-cli-plugin-metadata ]; then
    echo '{"SchemaVersion": "0.1.0", "Vendor": "docker-compose", "Version": "1"}'
else
    shift
    exec docker-compose "$@"
fi
"""


class EngineError(RuntimeError):
    """The engine should run here and does not; the text says why."""


def main() -> int:
    """Run the command of the arguments and return its exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the engine is stopped all the same
    command = sys.argv[1:]
    if os.environ.get("DOCKER_HOST"):
        return subprocess.run(command, check=False).returncode
    if reason := impossible():
        print(f"container tests left out: {reason}", file=sys.stderr)
        return 0
    try:
        with engine() as environment:
            return subprocess.run(command, env=dict(environment), check=False).returncode
    except (EngineError, BaseImageError) as error:
        print(f"no Docker engine: {error}", file=sys.stderr)
        return 1


def impossible() -> str:
    """Say what makes an engine impossible on this machine; empty when nothing does."""
    if sys.platform != "linux":
        return "an engine of our own needs Linux; name yours by DOCKER_HOST"
    if os.geteuid() != 0:
        return "an engine of our own needs root; name yours by DOCKER_HOST"
    if not shutil.which("apt-get") and any(not shutil.which(name) for name in PACKAGES):
        return "dockerd, docker-compose, iptables or mmdebstrap is missing, and there is no apt to install it"
    return ""


@contextmanager
def engine() -> Iterator[Mapping[str, str]]:
    """Start the engine and yield the environment for its clients.

    Raises:
        EngineError, BaseImageError: it does not start, or has no base images.
    """
    install(sorted({package for program, package in PACKAGES.items() if not shutil.which(program)}))
    for folder in (FOLDER, RUNNING):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (RUNNING / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        end_left_over(RUNNING / "docker.pid")
        kept = FOLDER / "network.before"
        docker_network.keep(kept)
        server = start()
        try:
            environment = client_environment()
            wait_ready(server, environment)
            ensure_bases(environment)
            yield environment
        finally:
            stop(server)
            docker_network.put_back(kept)


def install(packages: Sequence[str]) -> None:
    """Install what is missing, quietly.

    Raises:
        EngineError: apt failed; its last words.
    """
    if not packages:
        return
    print(f"installing {', '.join(packages)}", file=sys.stderr, flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    words = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", *packages]
    for command in (words, ["apt-get", "update", "-qq"], words):
        ran = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
        )
        if command is words and ran.returncode == 0:
            return
    raise EngineError(ran.stderr[-1500:])


def start() -> "subprocess.Popen[bytes]":
    """Start dockerd; `wait_ready` follows."""
    log = (FOLDER / "dockerd.log").open("wb")
    return subprocess.Popen(
        [  # noqa: S607 - of the package just installed
            "dockerd",
            *("--data-root", str(FOLDER / "images"), "--exec-root", str(RUNNING / "exec")),
            *("--host", f"unix://{RUNNING}/docker.sock", "--pidfile", str(RUNNING / "docker.pid")),
        ],
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C reaches the command first; the engine is stopped after it
    )


def client_environment() -> Mapping[str, str]:
    """Return a client's environment: this engine, nothing of the user's configuration, the builder always there."""
    config = RUNNING / "config"
    plugins = config / "cli-plugins"
    shutil.rmtree(plugins, ignore_errors=True)
    plugins.mkdir(parents=True)
    two = os.environ.get(COMPOSE) == "2"
    if two:
        ensure_plugins(FOLDER / "compose-2", plugins)
    else:
        (plugins / "docker-compose").write_text(PLUGIN)
        (plugins / "docker-compose").chmod(0o755)
    return {
        **os.environ,
        "DOCKER_HOST": f"unix://{RUNNING}/docker.sock",
        "DOCKER_CONFIG": str(config),
        "DOCKER_BUILDKIT": str(int(two)),
        "COMPOSE_DOCKER_CLI_BUILD": str(int(two)),
    }


def wait_ready(server: "subprocess.Popen[bytes]", environment: Mapping[str, str]) -> None:
    """Wait until it answers.

    Raises:
        EngineError: it ended, or took too long; with the end of its log.
    """
    deadline = time.monotonic() + START_SECONDS
    asked = ["docker", "version", "--format", "{{.Server.Version}}"]
    while subprocess.run(asked, env=dict(environment), capture_output=True, check=False).returncode:
        if server.poll() is not None or time.monotonic() > deadline:
            raise EngineError((FOLDER / "dockerd.log").read_text(errors="replace")[-1500:])
        time.sleep(0.1)


def stop(server: "subprocess.Popen[bytes]") -> None:
    """Stop it and its containers, in order if it lets itself be."""
    server.terminate()
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def end_left_over(pid_file: Path) -> None:
    """End the engine of a run that was killed before it could stop it."""
    with suppress(FileNotFoundError, ValueError, ProcessLookupError):
        pid = int(pid_file.read_text())
        if b"dockerd" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + STOP_SECONDS
            while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
                time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
