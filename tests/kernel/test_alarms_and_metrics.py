"""An alarm is told, counted and handed on, but a repeat does not flood; metrics are served over HTTP."""

import time
import urllib.request
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from kernel import alarms
from kernel.alarms import Alarm, add_sink, raise_alarm
from kernel.telemetry import REGISTRY, counter, serve_metrics

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def code() -> str:
    """Return a code that no other test raised."""
    return f"TEST_{uuid4().hex}"


def raised(code: str) -> float | None:
    return REGISTRY.get_sample_value("interlock_alarms_total", {"code": code})


def test_an_alarm_is_a_line_a_count_and_a_call_of_the_sink(lines: Lines, code: str) -> None:
    told: list[Alarm] = []
    end = add_sink(told.append)
    raise_alarm(code, "look here", subject="alice", market="BTC-EUR")
    end()
    (line,) = lines()
    assert (line["event"], line["level"], line["code"]) == ("alarm", "error", code)
    assert (line["message"], line["subject"], line["market"]) == ("look here", "alice", "BTC-EUR")
    assert raised(code) == 1
    assert told == [Alarm(code, "look here", "alice", {"market": "BTC-EUR"}, 0)]


def test_a_repeat_is_counted_but_not_told_until_a_minute_has_passed(
    lines: Lines, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    for _ in range(5):
        raise_alarm(code, "again", subject="alice")
    raise_alarm(code, "another subject", subject="bob")
    assert [line["subject"] for line in lines()] == ["alice", "bob"]
    assert raised(code) == 6
    monkeypatch.setattr(time, "monotonic", lambda: now + alarms.REPEAT_SECONDS)
    raise_alarm(code, "again", subject="alice")
    assert lines()[-1]["suppressed"] == 4


def test_what_is_remembered_of_alarms_is_bounded(code: str) -> None:
    for number in range(alarms.MAX_REMEMBERED + 10):
        raise_alarm(code, "many", subject=str(number))
    assert len(alarms._told) == alarms.MAX_REMEMBERED


def test_a_sink_that_fails_hides_neither_the_alarm_nor_the_next_sink(lines: Lines, code: str) -> None:
    def broken(_alarm: Alarm) -> None:
        raise RuntimeError("no table")

    told: list[Alarm] = []
    ends = [add_sink(broken), add_sink(told.append)]
    raise_alarm(code, "look here")
    for end in ends:
        end()
    assert [line["event"] for line in lines()] == ["alarm", "alarm_sink_failed"]
    assert len(told) == 1


def test_metrics_are_served_on_a_port_of_the_systems_choice() -> None:
    counter("interlock_scratch_total", "A metric of this test.").inc(3)
    with urllib.request.urlopen(f"http://127.0.0.1:{serve_metrics()}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    assert "interlock_scratch_total 3.0" in text
    assert "process_cpu_seconds_total" in text
