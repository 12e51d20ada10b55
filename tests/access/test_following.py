"""The services follow their files while they run: certificates and access."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from standalone.tls import make_tls
from tests.access.clients import ACCESS, Callers
from tests.access.test_matrix import fate, method_of

WAIT_SECONDS = 20.0


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.1)


@pytest.mark.parametrize("name", ["GetExecution", "GetTicker"])
def test_a_right_taken_away_is_gone_without_a_restart_on_open_connections_too(
    callers: Callers, access_file: Path, name: str
) -> None:
    method = method_of(name)
    assert fate(callers, "reader", method) == "admitted"
    put(access_file, "\n".join(line for line in ACCESS.splitlines() if "/reader," not in line))
    try:
        wait_until(lambda: fate(callers, "reader", method) == "RIGHT_MISSING")
        assert fate(callers, "auditor", method) == "admitted"
    finally:
        put(access_file, ACCESS)
    wait_until(lambda: fate(callers, "reader", method) == "admitted")


def test_trades_go_on_over_a_renewal_of_every_certificate(callers: Callers) -> None:
    """Also the calls between the services: a price is asked for with the new certificate of one, of the other."""
    place = method_of("PlaceOrder")
    logs = [callers.system.folder / "logs" / f"{name}.log" for name in ("trade_service-1", "market_service")]
    before = [taken(log) for log in logs]
    make_tls(callers.system.folder / "certs")
    wait_until(lambda: [taken(log) for log in logs] == [each + 1 for each in before])
    assert callers.call("placer", place) is None  # an answer: the market was asked


def taken(log: Path) -> int:
    return log.read_text().count('"event":"certificate_taken"')


def put(path: Path, text: str) -> None:
    other = path.with_name("access.unfinished")
    other.write_text(text)
    shutil.move(other, path)
