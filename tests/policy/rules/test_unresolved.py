import pytest

from policy.model import ExecutionStatus
from tests.policy import given


@pytest.mark.parametrize("status", ExecutionStatus)
@pytest.mark.parametrize("market", ["BTC-EUR", "ETH-EUR"])
def test_an_unresolved_order_in_the_market_denies_the_next(status: ExecutionStatus, market: str) -> None:
    earlier = given.execution(given.limit(market=market), status=status, ago=given.DAY * 30)
    verdict = given.verdict_of("unresolved", seen=given.facts(executions=(earlier,)))
    unresolved = market == "BTC-EUR" and status in {ExecutionStatus.SUBMITTING, ExecutionStatus.UNKNOWN}
    assert verdict.code == ("UNRESOLVED" if unresolved else "OK")
    assert verdict.next_possible_at is None


def test_an_incomplete_history_denies() -> None:
    assert given.verdict_of("unresolved", seen=given.facts(history_complete=False)).code == "FACT_MISSING"
