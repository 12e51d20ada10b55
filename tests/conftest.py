"""Fixtures every test may ask for."""

import signal

from tests.e2e.stage import stage
from tests.fixtures.database import cluster, market_database, market_template, trade_database, trade_template

__all__ = [
    "cluster",
    "market_database",
    "market_template",
    "pytest_configure",
    "stage",
    "trade_database",
    "trade_template",
]


def pytest_configure() -> None:
    """End a terminated run as Ctrl-C does: fixtures stop the processes they started."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
