"""What is attacked: started once for all of these tests."""

from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("tests.abuse.ground")

from standalone.system import System  # noqa: E402
from tests.abuse.ground import Ground, attacker_context, start_bystander  # noqa: E402
from tests.standalone.processes import reachable_folder  # noqa: E402


@pytest.fixture(scope="session")
def ground() -> Iterator[Ground]:
    with reachable_folder() as folder:
        system = System.start(folder, tls=True, simulator_args=("--still", "--points-per-minute", "1000000000"))
        certificates = folder / "certs"
        bystander = start_bystander(system, certificates)
        yield Ground(system, attacker_context(certificates), bystander)
        bystander.stop()
        for service in (*system.trade, system.market):
            service.kill()  # an orderly end takes seconds and is tested elsewhere
        system.stop()
        system.simulator._client.close()
