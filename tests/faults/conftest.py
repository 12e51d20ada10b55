"""Whatever a module's tests did, the invariants hold when it is over."""

from collections.abc import Iterator

import pytest

from tests.e2e.stage import Stage
from tests.faults.invariants import violations
from tests.faults.looking import snapshot, wait_until_quiet


@pytest.fixture(scope="module", autouse=True)
def _invariants_hold(stage: Stage) -> Iterator[None]:
    yield
    stage.simulator.admin("DELETE", "faults")
    wait_until_quiet(stage)
    assert violations(snapshot(stage)) == []
