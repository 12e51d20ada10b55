import pytest

from policy.engine import decide
from policy.model import DecisionOutcome
from tests.policy import given


@pytest.mark.parametrize(
    ("market", "code"), [("BTC-EUR", "OK"), ("SOL-EUR", "MARKET_NOT_ALLOWED"), ("btc-eur", "MARKET_NOT_ALLOWED")]
)
def test_only_listed_markets_are_admitted(market: str, code: str) -> None:
    assert given.verdict_of("allowlist", judged=given.proposal(given.limit(market=market))).code == code


def test_an_empty_list_denies_every_market() -> None:
    decision = decide(given.policy({"allowlist": {"markets": []}}), given.proposal(), given.facts())
    assert decision.outcome is DecisionOutcome.DENY
    assert [verdict.code for verdict in decision.verdicts if verdict.code != "OK"] == ["ALLOWLIST_EMPTY"]


def test_a_long_list_is_shown_in_part() -> None:
    markets = [f"C{number:02}-EUR" for number in range(30)]
    verdict = given.verdict_of("allowlist", given.policy({"allowlist": {"markets": markets}}))
    assert verdict.limit.endswith("C09-EUR and 20 more")
