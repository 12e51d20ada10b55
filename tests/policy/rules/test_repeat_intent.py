from datetime import timedelta

import pytest

from policy.model import ExecutionStatus, Side, Terms
from tests.policy import given

WINDOW = timedelta(minutes=10)
SAME = given.limit(amount="0.00100")


@pytest.mark.parametrize(
    ("ago", "code"), [(WINDOW - given.EPSILON, "REPEAT_INTENT"), (WINDOW, "OK"), (WINDOW + given.EPSILON, "OK")]
)
def test_exactly_after_the_window_it_is_admitted(ago: timedelta, code: str) -> None:
    earlier = given.execution(SAME, ago=ago, last_fill_at=given.NOW)
    verdict = given.verdict_of("repeat_intent", seen=given.facts(executions=(earlier,)))
    assert verdict.code == code
    assert verdict.next_possible_at == (earlier.claimed_at + WINDOW if code == "REPEAT_INTENT" else None)


INTENTS = [
    (given.limit(), given.limit(amount="0.0010", price="49000"), "REPEAT_INTENT"),
    (given.limit(), given.limit(amount="0.0011"), "OK"),
    (given.limit(), given.limit(Side.SELL), "OK"),
    (given.limit(), given.limit(market="ETH-EUR"), "OK"),
    (given.market_buy("50"), given.market_buy("50.00"), "REPEAT_INTENT"),
    (given.market_buy("50"), given.market_buy("50.01"), "OK"),
    (given.market_buy("50"), given.limit(), "OK"),
    (given.market_sell("0.001"), given.limit(Side.SELL), "REPEAT_INTENT"),
]


@pytest.mark.parametrize(("terms", "earlier", "code"), INTENTS)
def test_market_side_and_size_make_an_intent(terms: Terms, earlier: Terms, code: str) -> None:
    seen = given.facts(executions=(given.execution(earlier, ago=timedelta(minutes=1)),))
    assert given.verdict_of("repeat_intent", None, given.proposal(terms), seen).code == code


@pytest.mark.parametrize("status", ExecutionStatus)
def test_what_was_not_placed_may_be_repeated(status: ExecutionStatus) -> None:
    earlier = given.execution(SAME, ago=timedelta(minutes=1), status=status)
    code = given.verdict_of("repeat_intent", seen=given.facts(executions=(earlier,))).code
    assert code == ("OK" if status in {ExecutionStatus.REJECTED, ExecutionStatus.NOT_PLACED} else "REPEAT_INTENT")


def test_an_incomplete_history_denies() -> None:
    assert given.verdict_of("repeat_intent", seen=given.facts(history_complete=False)).code == "FACT_MISSING"
