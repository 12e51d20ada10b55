"""These tests run on a real engine, which `make test-containers` starts; without one they are left out, and say so."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers import deployment as running
from tests.containers.docker import BUILD_SECONDS, docker

TARGETS = ("market_service", "trade_service", "attest", "simulator", "migrate", "secrets")
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all of them, give them time, and leave them out where no engine is named."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.containers)
            item.add_marker(pytest.mark.timeout(BUILD_SECONDS))
            if not os.environ.get("DOCKER_HOST"):
                item.add_marker(pytest.mark.skip(reason="needs a Docker engine; run: make test-containers"))


@pytest.fixture(scope="session")
def images() -> dict[str, str]:
    """Build every image and return its tag by the program's name."""
    tags = {target: f"interlock/{target}:dev" for target in TARGETS}
    for target, tag in tags.items():
        docker("build", "--quiet", "--target", target, "--tag", tag, ".", seconds=BUILD_SECONDS)
    return tags


@pytest.fixture(scope="session")
def deployment(request: pytest.FixtureRequest) -> Iterator[None]:
    """Bring up docker-compose.yml by the README's commands, beginning with nothing; take it down at the end."""
    if os.environ.get(running.STANDING):
        yield
        return
    request.getfixturevalue("images")
    running.take_down()
    running.bring_up()
    yield
    running.take_down()
