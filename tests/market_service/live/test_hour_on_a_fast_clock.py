"""Four minutes of `tests.market_service.hour`: memory flat, no task left, every reader ended."""

import pytest

from tests.market_service.hour import run


@pytest.mark.timeout(120)
def test_memory_stays_flat_no_task_is_left_and_every_stream_ends() -> None:
    hour = run(240.0)
    assert hour.growth() < 1.25
    assert hour.tasks_left == []
    assert hour.readers_begun == hour.readers_ended > 10
    assert hour.messages > 300
    assert hour.findings.get("unlike", 0) == hour.findings.get("behind", 0) == 0
    assert hour.findings["equal"] > 0
