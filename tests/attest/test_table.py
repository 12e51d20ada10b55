"""A key of every kind, for both services, in both modes. The expected table was written by hand, from the rights."""

from pathlib import Path

import pytest

from attest.rounds import attest_once
from kernel.attestation import Attestation, Conclusion, Role
from tests.attest.exchange import KEYS, Bench, Key
from tests.attest.table import outcomes, table

EXPECTED = """\
kind of key                      market strict   market lenient  trade strict    trade lenient
view                             PROVED          PROVED          REFUSED         REFUSED
view, nothing declared           REFUSED         INCONCLUSIVE    REFUSED         REFUSED
trade                            REFUSED         REFUSED         REFUSED         REFUSED
view+trade                       REFUSED         REFUSED         PROVED          PROVED
view+trade, nothing declared     REFUSED         REFUSED         REFUSED         INCONCLUSIVE
withdraw                         REFUSED         REFUSED         REFUSED         REFUSED
view+withdraw                    REFUSED         INCONCLUSIVE    REFUSED         REFUSED
view+trade+withdraw              REFUSED         REFUSED         REFUSED         INCONCLUSIVE
view+withdraw, falsely declared  PROVED          PROVED          REFUSED         REFUSED
unconfirmed (306)                REFUSED         REFUSED         REFUSED         REFUSED
wrong address (307)              REFUSED         REFUSED         REFUSED         REFUSED"""


async def test_g3_every_kind_of_key_gets_the_outcome_that_its_rights_deserve(tmp_path: Path) -> None:
    assert table(await outcomes(tmp_path)) == EXPECTED


@pytest.mark.parametrize(
    "doubt",
    [
        {"checks_first": "permission"},
        {"order_read_refusal_code": 311},
        {"account_capabilities": True},
        {"unknown_parameters": "ignored"},
    ],
    ids=str,
)
async def test_what_is_not_documented_about_the_exchange_changes_no_outcome(
    tmp_path: Path, doubt: dict[str, object]
) -> None:
    assert table(await outcomes(tmp_path, doubt)) == EXPECTED


async def test_g3_an_exchange_that_looks_for_the_order_first_lets_no_market_key_pass(tmp_path: Path) -> None:
    found = await outcomes(tmp_path, {"cancel_checks_first": "order"})
    assert {outcome for row in found.values() for outcome in row[:2]} == {"REFUSED"}


async def test_a_key_that_cannot_trade_is_caught_twice(tmp_path: Path) -> None:
    """By its cancel, and by its read of orders: where one proves nothing, the other still does."""
    found = await outcomes(tmp_path, {"cancel_checks_first": "order"})
    assert found["view"][2:] == ("REFUSED", "REFUSED")


def named(name: str) -> Key:
    return next(key for key in KEYS if key.name == name)


async def attested(bench: Bench, name: str, role: Role) -> Attestation:
    key = named(name)
    shown: list[Attestation] = []
    settings = bench.settings(role, await bench.make(key), declared=key.declared)
    await attest_once(settings, shown.append, strict=True)
    return shown[0]


def concluded(attestation: Attestation) -> dict[str, tuple[str, str]]:
    return {probe.right: (probe.answered, str(probe.conclusion)) for probe in attestation.probes}


async def test_each_right_is_proved_by_its_own_answer(bench: Bench) -> None:
    market = concluded(await attested(bench, "view", Role.MARKET))
    assert (market["view"], market["trade"]) == (("200", "PROVED"), ("403 / 310", "PROVED"))
    trade = concluded(await attested(bench, "view+trade", Role.TRADE))
    assert trade["trade"] == ("404 / 240", "PROVED")
    assert trade["read orders"] == trade["view"] == ("200", "PROVED")
    assert trade["withdraw"][1] == "PROVED"


@pytest.mark.parametrize(
    ("name", "role", "right", "answered", "to_do"),
    [
        ("view+trade", Role.MARKET, "trade", "404 / 240", "use one with the right View only"),
        ("trade", Role.MARKET, "view", "403 / 311", "of no use here"),
        ("view", Role.TRADE, "trade", "403 / 310", "use one with View and Trade"),
        ("trade", Role.TRADE, "view", "403 / 311", "could not be read back"),
        ("unconfirmed (306)", Role.TRADE, "view", "403 / 306", "follow the link in the exchange's mail"),
        ("wrong address (307)", Role.MARKET, "view", "403 / 307", "add it at the exchange"),
        ("view, nothing declared", Role.MARKET, "withdraw", "none", "cannot withdraw"),
    ],
)
async def test_a_refusal_says_what_was_answered_and_what_to_do(
    bench: Bench, name: str, role: Role, right: str, answered: str, to_do: str
) -> None:
    attestation = await attested(bench, name, role)
    (probe,) = [each for each in attestation.probes if each.right == right]
    assert probe.conclusion is not Conclusion.PROVED
    assert probe.answered == answered
    assert to_do in probe.why


async def test_asking_creates_nothing_cancels_nothing_and_costs_eight_points_at_most(bench: Bench) -> None:
    await attested(bench, "view+trade", Role.TRADE)
    assert bench.requests == [
        ("GET", "/v2/time"),
        ("GET", "/v2/account"),
        ("DELETE", "/v2/order"),
        ("GET", "/v2/ordersOpen"),
    ]
    assert bench.server.exchange.ledger.order_rows(None, 0) == []


async def test_every_cancel_asks_for_an_order_that_was_never_asked_for_before(bench: Bench) -> None:
    for _ in range(3):
        await attested(bench, "view", Role.MARKET)
    targets = [str(row["path"]) for row in bench.server.exchange.ledger.request_rows(None, 0)]
    cancels = [target for target in targets if target.startswith("/v2/order?")]
    assert len(cancels) == len(set(cancels)) == 3
    assert all("market=BTC-EUR" in target and "operatorId=1" in target for target in cancels)


async def test_the_exchanges_own_clock_signs(bench: Bench) -> None:
    await bench.admin("clock", offset_ms=-3_600_000)
    assert (await attested(bench, "view", Role.MARKET)).outcome == "PROVED"
