"""Fixtures every test may ask for."""

from tests.fixtures.database import cluster, market_database, market_template, trade_database, trade_template

__all__ = ["cluster", "market_database", "market_template", "trade_database", "trade_template"]
