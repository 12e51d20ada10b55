"""Two minutes of `tests.market_service.scan.hour`: memory flat, no task left, no job left behind or held."""

import pytest

from tests.fixtures.database import Database
from tests.market_service.scan.hour import run


@pytest.mark.timeout(180)
def test_schedulers_that_come_and_go_leave_no_task_no_hold_and_no_connection(market_database: Database) -> None:
    hour = run(market_database, 120.0)
    assert hour.growth() < 1.5
    assert (hour.tasks_left, hour.running_left, hour.connections_left) == ([], 0, 0)
    assert (hour.held_left, hour.behind) == (0, 0)
    assert hour.handed_over >= 1
    assert hour.died >= 1
    assert hour.slots == hour.distinct_slots > 100
    assert hour.statuses >= 3
