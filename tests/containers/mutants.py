"""Takes every setting out of docker-compose.yml in turn and shows which assertion about the running deployment notices.

`make compose-mutants` (an hour). A setting is a key of a service, an entry of a list or a map in it, or a key of a
network; what the services share is taken out of all of them at once. Each time the changed containers are brought up
and looked at by inspection and from inside, as in the gate; the file's text is compared nowhere. Prints a line per
setting; exits 1 when one is not missed. `--only TEXT`, as often as wanted, keeps the settings whose path holds a text.
"""

import argparse
import copy
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any, Final

import yaml

from tests.containers import deployment as running
from tests.containers.docker import BUILD_SECONDS, ROOT, DockerError, docker

Steps = tuple[str | int, ...]

LOOKS: Final = tuple(f"tests/containers/test_{name}.py" for name in ("hardening", "walls", "order"))
DOWN: Final = "it does not come up"
UP_SECONDS: Final = 200
LOOK_SECONDS: Final = 300
SHARED: Final = "x-hardened"
NOT_RUN: Final = frozenset({"build"})
"""How an image is made, not how it runs: tests/containers/test_images.py looks at those."""


def main() -> int:
    """Run the campaign."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--only", action="append", metavar="TEXT", help="settings whose path holds this text")
    only: list[str] = arguments.parse_args().only or [""]
    whole = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    chosen = [steps for steps in settings(whole) if any(text in named(steps) for text in only)]
    docker("compose", "build", seconds=BUILD_SECONDS)
    running.take_down()
    running.bring_up()
    survivors = 0
    try:
        for number, steps in enumerate(chosen, start=1):
            began = time.monotonic()
            # Compose changes no network that is there; version 1 carries volumes on into a container's successor.
            anew = [str(steps[1])] if "volumes" in steps else []
            if steps[0] == "networks":
                running.take_down()
            running.remove(anew)
            noticed = missed_by(without(whole, steps))
            running.remove(anew)
            if noticed.startswith(DOWN):
                stand_again()
            survivors += not noticed
            told = noticed or "NOT MISSED"
            say(f"[{number}/{len(chosen)}] {named(steps):60} {time.monotonic() - began:4.0f} s  {told}")
    finally:
        running.take_down()
    say(f"{len(chosen) - survivors} of {len(chosen)} missed by an assertion, or the deployment did not come up")
    return 1 if survivors else 0


def stand_again() -> None:
    """Have the whole deployment stand, so that what is missed next is missed for its own sake."""
    try:
        running.bring()
    except DockerError:
        running.take_down()
        running.bring_up()


def say(line: str) -> None:
    """Print a line now: the campaign is long."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def settings(whole: dict[str, Any]) -> Iterator[Steps]:
    """Yield where each setting stands."""
    for key in whole[SHARED]:
        yield SHARED, key
    for service, own in whole["services"].items():
        for key, value in own.items():
            if key in NOT_RUN or (key == "image" and "build" in own) or whole[SHARED].get(key) == value:
                continue
            yield "services", service, key
            if len(value) > 1 and isinstance(value, dict | list):
                entries = value if isinstance(value, dict) else range(len(value))
                yield from (("services", service, key, entry) for entry in entries)
    for network, own in whole["networks"].items():
        yield from (("networks", network, key) for key in own or ())


def named(steps: Steps) -> str:
    """Write where a setting stands."""
    return ".".join(map(str, steps)).removeprefix("services.")


def without(whole: dict[str, Any], steps: Steps) -> dict[str, Any]:
    """Return the deployment without one setting."""
    changed = copy.deepcopy(whole)
    if steps[0] == SHARED:
        for own in changed["services"].values():
            if own.get(steps[1]) == whole[SHARED][steps[1]]:
                del own[steps[1]]
        return changed
    *path, last = steps
    found: Any = changed
    for step in path:
        found = found[step]
    del found[last]
    return changed


def missed_by(changed: dict[str, Any]) -> str:
    """Bring the changed deployment up and look at it; return what noticed, empty when nothing did."""
    changed = {key: value for key, value in changed.items() if not key.startswith("x-")}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(changed, file)
        file.flush()
        return not_coming_up(file.name) or first_failure(file.name)


def not_coming_up(file: str) -> str:
    """Bring the deployment of a compose file up; return what is wrong with that, empty when nothing is."""
    words = ["docker-compose", "--project-name", running.PROJECT, "--project-directory", str(ROOT), "--file", file]
    words += ["up", "--detach", "--no-build", "--remove-orphans", "--timeout", "5"]
    try:
        came_up = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=UP_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"{DOWN} in time"
    said = re.findall(r"^ERROR: .*", came_up.stderr, re.MULTILINE) or came_up.stderr.strip().splitlines()[-1:]
    return f"{DOWN}: {' '.join(said)[:90]}" if came_up.returncode else ""


def first_failure(file: str) -> str:
    """Run the looks at the running deployment of a compose file until one fails; return its name."""
    words = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *LOOKS]
    environment = {**os.environ, running.STANDING: file}
    ran = subprocess.run(
        words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=LOOK_SECONDS, check=False
    )
    failed = re.search(r"^(?:FAILED|ERROR) \S+::(\S+)", ran.stdout, re.MULTILINE)
    return failed[1] if failed else "" if ran.returncode == 0 else f"pytest ended with {ran.returncode}"


if __name__ == "__main__":
    sys.exit(main())
