"""The one-machine system over TLS, started once for these tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.authority import Authority
from standalone.system import System
from tests.access.clients import ACCESS, Callers, authority_of
from tests.contract.conftest import POINTS_PER_MINUTE, POLICIES
from tests.standalone.processes import reachable_folder


@pytest.fixture(scope="session")
def access_file() -> Iterator[Path]:
    with reachable_folder() as folder:
        (folder / "access.yaml").write_text(ACCESS)
        yield folder / "access.yaml"


@pytest.fixture(scope="session")
def callers(access_file: Path) -> Iterator[Callers]:
    words = ("--still", "--points-per-minute", str(POINTS_PER_MINUTE))
    folder = access_file.parent
    system = System.start(folder, simulator_args=words, policy_dir=POLICIES, tls=True, access=access_file)
    made = Callers(system, authority_of(folder), Authority.new("another CA"))
    yield made
    made.close()
    for service in (*system.trade, system.market):
        service.kill()  # an orderly end takes seconds and is tested elsewhere
    system.stop()
