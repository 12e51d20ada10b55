"""G1 and G4 to G7 at the level of the claim: real judge, real policy, real database; one named test each.

The database's own half of G1 is in tests/migrations, the policy's half of G4 to G7 in tests/policy, G3 in test_keys.
"""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest

from kernel.db import Database
from kernel.errors import NotNow, StateViolation
from policy.load import PolicyLoadError, load_directory
from policy.model import DecisionOutcome, Side
from policy.policy import MissingReason, Policy, PolicyMissing
from policy.presets import preset_text
from policy.reading import read_policy
from tests.fixtures.database import Database as OwnDatabase
from tests.policy import given as rules
from tests.trade_service import given, race
from tests.trade_service.given import Read
from trade_service.budget import Budget
from trade_service.claiming import Claimed, Denied, Judge
from trade_service.judge import Gathered
from trade_service.policies import PolicyBook
from trade_service.reload import Reload
from trade_service.store.admin import AdminRows
from trade_service.store.budget import BudgetRows

RACES = 5


async def test_g1_sixteen_proposals_racing_for_a_cap_of_two_get_exactly_two(database: Database, sql: Read) -> None:
    for turn in range(race.ROUNDS):
        assert await race.run_round(database, database, f"racer{turn}") == race.CAP
    each = "SELECT count(*) FROM trade_executions GROUP BY user_id"
    assert sql(each) == [(race.CAP,)] * race.ROUNDS


@pytest.mark.parametrize("rewrite", [race.without_lock, race.lock_and_read_at_once])
async def test_the_race_sees_a_lock_that_is_missing_or_not_alone(
    trade_database: OwnDatabase, database: Database, rewrite: race.Rewrite
) -> None:
    weakened = race.Weakened(trade_database.service, rewrite)
    await weakened.open()
    claimed = [await race.run_round(database, weakened, f"racer{turn}") for turn in range(RACES)]
    await weakened.close()
    assert max(claimed) > race.CAP


async def denied_codes(database: Database, judge: Judge, user_id: str = "alice") -> list[str]:
    proposal = await given.submitted(database, given.content(user_id=user_id))
    result = await given.claim(database, proposal, judge)
    return race.codes(result) if isinstance(result, Denied) else [type(result).__name__]


async def test_g4_an_empty_allowlist_denies(database: Database, sql: Read) -> None:
    empty = rules.policy({"allowlist": {"markets": []}})
    assert await denied_codes(database, given.judged_by(empty)) == ["ALLOWLIST_EMPTY"]
    assert sql("SELECT count(*) FROM trade_executions") == [(0,)]
    assert await denied_codes(database, given.judged_by()) == ["Claimed"]


@pytest.mark.parametrize(
    ("gathered", "code"),
    [
        (Gathered(None, None), "FACT_MISSING"),
        (replace(given.bench().gathered, market_rules=None), "FACT_MISSING"),
    ],
)
async def test_g4_a_missing_fact_denies(database: Database, gathered: Gathered, code: str) -> None:
    assert await denied_codes(database, given.judged_by(gathered=gathered)) == [code]


async def test_g4_a_fact_grown_too_old_by_the_time_of_the_judgement_denies(database: Database) -> None:
    fresh = given.bench()
    assert fresh.gathered.market_rules is not None
    at = fresh.gathered.market_rules.asked_at
    old = given.judged_by(gathered=fresh.gathered, monotonic=at + 3591)
    assert await denied_codes(database, old) == ["FACT_STALE"]


async def test_g4_an_unknown_clock_of_the_exchange_denies(database: Database) -> None:
    assert await denied_codes(database, given.judged_by(timestamp_ms=None)) == ["EXCHANGE_CLOCK_UNKNOWN"]


async def test_g4_a_database_clock_that_went_back_denies(database: Database, sql: Read) -> None:
    await denied_codes(database, given.judged_by(timestamp_ms=None))
    sql("UPDATE decisions SET decided_at = clock_timestamp() + interval '5 seconds'")
    assert await denied_codes(database, given.judged_by()) == ["DATABASE_CLOCK_WENT_BACK"]


@pytest.mark.parametrize("reason", MissingReason)
async def test_g4_no_policy_denies(database: Database, reason: MissingReason) -> None:
    assert reason in await denied_codes(database, given.judged_by(PolicyMissing(reason)))


async def test_g4_an_error_in_a_rule_denies(database: Database) -> None:
    broken = rules.market_rules(min_base="not a number")
    gathered = replace(given.bench().gathered, market_rules=given.aged(broken))
    assert await denied_codes(database, given.judged_by(gathered=gathered)) == ["RULE_ERROR"]


async def test_g4_an_invalid_file_changes_nothing_in_force(database: Database, tmp_path: Path, sql: Read) -> None:
    admin = AdminRows(database)
    book = PolicyBook(admin)

    def read() -> tuple[Policy, ...]:
        try:
            return load_directory(tmp_path).policies
        except PolicyLoadError as error:
            raise NotNow("POLICY_INVALID", "bad", (StateViolation("F", str(error), ""),)) from None

    reload = Reload(admin, book, read)
    (tmp_path / "alice.yaml").write_text(preset_text("hunter", ("alice",)))
    await reload.reload("carol")
    before = (book.generation, book.for_user("alice"), sql("SELECT * FROM policy_sets"))
    (tmp_path / "bob.yaml").write_text(preset_text("observer", ("bob",)).replace("24h", "25h"))
    with pytest.raises(NotNow):
        await reload.reload("carol")
    assert (book.generation, book.for_user("alice"), sql("SELECT * FROM policy_sets")) == before
    assert before[0] == 1
    assert isinstance(before[1], Policy)
    assert isinstance(book.for_user("bob"), PolicyMissing)


def only(**kept: object) -> Policy:
    """A policy in which, beside the kept rules, nothing stands in the way of a second order in the market."""
    off = {"cooldown", "anti_flip", "trade_caps", "budget", "repeat_intent"} - set(kept)
    flaws: list[object] = []
    tree = rules.tree({**{name: {"disabled": "not under test"} for name in off}, **kept})
    policy = read_policy(tree, flaws)  # type: ignore[arg-type]
    assert policy is not None, flaws
    return policy


async def race_in_one_market(database: Database, sql: Read, policy: Policy, sides: tuple[Side, Side]) -> set[str]:
    """Race two orders of a user in one market: one is claimed; returns the codes of the other one's denial."""
    user_id = f"racer{uuid4()}"
    terms = [rules.limit(side, amount=f"0.00{number + 1}") for number, side in enumerate(sides)]
    proposals = [await given.submitted(database, given.content(each, user_id=user_id)) for each in terms]
    results = await given.together(*(given.claim(database, each, given.judged_by(policy)) for each in proposals))
    outcomes = sorted(type(each).__name__ for each in results)
    assert outcomes == ["Claimed", "Denied"], results
    assert sql("SELECT count(*) FROM trade_executions WHERE user_id = %s", user_id) == [(1,)]
    (denied,) = [each for each in results if isinstance(each, Denied)]
    return set(race.codes(denied))


async def test_g5_of_two_claims_at_once_in_one_market_the_cooldown_admits_one(database: Database, sql: Read) -> None:
    policy = only(cooldown={"per": "market", "period": "30m"})
    for _ in range(RACES):
        assert "COOLDOWN" in await race_in_one_market(database, sql, policy, (Side.BUY, Side.BUY))


async def test_g6_of_a_buy_and_a_sell_at_once_anti_flip_admits_one(database: Database, sql: Read) -> None:
    policy = only(anti_flip={"period": "2h"})
    for _ in range(RACES):
        assert "OPPOSITE_ORDER_OPEN" in await race_in_one_market(database, sql, policy, (Side.BUY, Side.SELL))


@pytest.mark.parametrize(
    ("rule", "code", "side"),
    [
        ({"cooldown": {"per": "market", "period": "30m"}}, "COOLDOWN", Side.BUY),
        ({"anti_flip": {"period": "2h"}}, "ANTI_FLIP", Side.SELL),
    ],
)
async def test_g5_g6_the_pause_is_counted_to_the_microsecond_from_the_claim(
    database: Database, sql: Read, rule: dict[str, object], code: str, side: Side
) -> None:
    """By the database's own clock, read in the claim after the lock."""
    first, _ = await given.claimed(database)
    period = timedelta(minutes=30) if "cooldown" in rule else timedelta(hours=2)
    for shift, expected in ((timedelta(seconds=-5), [code]), (timedelta(), ["Claimed"])):
        sql("SET session_replication_role = replica")
        sql(
            "UPDATE trade_executions SET status = 'FILLED', claimed_at = clock_timestamp() - %s WHERE proposal_id = %s",
            *(period + shift, first.content.proposal_id),
        )
        sql("SET session_replication_role = origin")
        proposal = await given.submitted(database, given.content(rules.limit(side)))
        result = await given.claim(database, proposal, given.judged_by(only(**rule)))
        found = race.codes(result) if isinstance(result, Denied) else [type(result).__name__]
        assert found == expected


async def test_g7_of_thirty_two_reservations_at_once_exactly_the_budget_is_made(database: Database, sql: Read) -> None:
    admin = AdminRows(database)
    book = PolicyBook(admin)
    everybody = replace(rules.policy(), users=("*",))
    await Reload(admin, book, lambda: (everybody,)).reload("carol")
    budget = Budget(BudgetRows(database), book)
    for turn in range(3):
        user_id = f"racer{turn}"
        await given.submitted(database, given.content(user_id=user_id))
        results = await given.together(*(budget.reserve(user_id, uuid4(), "scan", "bot") for _ in range(32)))
        answers = [each for each in results if not isinstance(each, Exception)]
        assert len(answers) == 32, results
        assert [created for _, created, _ in answers].count(True) == 3
        assert {verdict.code for _, created, verdict in answers if not created} == {"BUDGET_GPT_CALLS"}
        assert sql("SELECT count(*) FROM gpt_usage_log WHERE user_id = %s", user_id) == [(3,)]


async def test_g7_the_order_value_of_racing_claims_stays_within_its_budget_exactly(
    database: Database, sql: Read
) -> None:
    """Sixteen orders of 50 against a budget of 200: four, to the last cent; and one of 50.000…1 fewer."""
    budget = {"gpt_calls": {"per_hour": "3", "per_day": "10"}, "order_value": {"per_day": "200"}}
    policy = only(allowlist={"markets": list(race.MARKETS)}, budget=budget)
    for amount, admitted in (("0.001", 4), ("0.00100000", 4), ("0.00100002", 3)):
        user_id = f"racer{uuid4()}"
        terms = [rules.limit(market=market, amount=amount) for market in race.MARKETS]
        proposals = [await given.submitted(database, given.content(each, user_id=user_id)) for each in terms]
        results = await given.together(*(given.claim(database, each, given.judged_by(policy)) for each in proposals))
        assert sum(isinstance(each, Claimed) for each in results) == admitted, results
        assert {code for each in results if isinstance(each, Denied) for code in race.codes(each)} == {
            "BUDGET_ORDER_VALUE"
        }
        (spent,) = sql("SELECT sum(worst_value) FROM trade_executions WHERE user_id = %s", user_id)[0]
        assert spent == Decimal(amount) * 50000 * admitted <= 200


async def test_an_allowing_decision_carries_every_verdict_and_the_facts_it_saw(database: Database, sql: Read) -> None:
    proposal = await given.submitted(database)
    result = await given.claim(database, proposal, given.judged_by())
    assert isinstance(result, Claimed)
    assert result.decision.decision.outcome is DecisionOutcome.ALLOW
    ((verdicts, facts, sha256),) = sql("SELECT verdicts, facts, policy_sha256 FROM decisions")
    assert {each["outcome"] for each in verdicts} == {"PASS"}
    assert {each["rule"] for each in verdicts} >= set(rules.RULES)
    assert facts
    assert sha256 == rules.policy().sha256
