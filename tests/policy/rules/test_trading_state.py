import pytest

from policy.model import Scope, Side, State, TradingState
from tests.policy import given

GLOBAL, MARKET, USER = Scope.GLOBAL, Scope.MARKET, Scope.USER
ACTIVE, REDUCE_ONLY, HALTED = State.ACTIVE, State.REDUCE_ONLY, State.HALTED

CASES = [
    ([(GLOBAL, "", ACTIVE)], Side.BUY, "OK"),
    ([(GLOBAL, "", HALTED)], Side.BUY, "TRADING_HALTED"),
    ([(GLOBAL, "", HALTED)], Side.SELL, "TRADING_HALTED"),
    ([(GLOBAL, "", REDUCE_ONLY)], Side.BUY, "REDUCE_ONLY"),
    ([(GLOBAL, "", REDUCE_ONLY)], Side.SELL, "OK"),
    ([(GLOBAL, "", ACTIVE), (MARKET, "BTC-EUR", HALTED)], Side.SELL, "TRADING_HALTED"),
    ([(GLOBAL, "", ACTIVE), (MARKET, "ETH-EUR", HALTED)], Side.BUY, "OK"),
    ([(GLOBAL, "", ACTIVE), (USER, "alice", REDUCE_ONLY)], Side.BUY, "REDUCE_ONLY"),
    ([(GLOBAL, "", ACTIVE), (USER, "bob", HALTED)], Side.BUY, "OK"),
    ([(GLOBAL, "", HALTED), (MARKET, "BTC-EUR", ACTIVE), (USER, "alice", ACTIVE)], Side.SELL, "TRADING_HALTED"),
    ([(GLOBAL, "", REDUCE_ONLY), (USER, "alice", HALTED)], Side.SELL, "TRADING_HALTED"),
]


@pytest.mark.parametrize(("rows", "side", "code"), CASES)
def test_the_most_restrictive_state_that_covers_the_order_holds(
    rows: list[tuple[Scope, str, State]], side: Side, code: str
) -> None:
    states = tuple(given.state(*row) for row in rows)
    verdict = given.verdict_of(
        "trading_state", None, given.proposal(given.limit(side)), given.facts(trading_states=states)
    )
    assert verdict.code == code


@pytest.mark.parametrize("states", [(), (given.state(USER, "alice"),)])
def test_a_switch_that_was_not_read_denies(states: tuple[TradingState, ...]) -> None:
    assert given.verdict_of("trading_state", seen=given.facts(trading_states=states)).code == "FACT_MISSING"
