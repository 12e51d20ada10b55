"""Random trading against two models: all money adds up to the atom, and matching follows price, then time.

A longer run: `python -m tests.exchange_sim.campaign --orders 100000`.
"""

from hypothesis import HealthCheck, Phase, settings

from tests.exchange_sim.trading_machine import Trading

TestTrading = Trading.TestCase
TestTrading.settings = settings(
    max_examples=250,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    database=None,
    phases=(Phase.generate, Phase.shrink),
)
