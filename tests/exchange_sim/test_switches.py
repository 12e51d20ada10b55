"""The switches: each documented with its default, none settable to what it cannot be."""

import re
import shlex
from dataclasses import fields
from pathlib import Path
from typing import Any

import orjson
import pytest

from exchange_sim.admin import Admin
from exchange_sim.exchange import Exchange
from exchange_sim.faults import EXECUTES, ON_EVENTS, Faults
from exchange_sim.rate_limits import RateLimits
from exchange_sim.switches import Switches, changed
from tests.exchange_sim.world import World

GUIDE = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text()


@pytest.mark.parametrize("name", [each.name for each in fields(Switches)])
def test_the_guide_has_each_switch_with_its_default(name: str) -> None:
    row = re.search(rf"^\| `{name}` \| `([^`]+)` \|", GUIDE, re.MULTILINE)
    assert row is not None
    assert row[1] == orjson.dumps(getattr(Switches(), name)).decode().strip('"')


def test_the_guide_has_no_switch_that_is_not_there() -> None:
    table = GUIDE.partition("## Switches")[2].partition("\n## ")[0]
    named = set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))
    assert named == {each.name for each in fields(Switches)}


def test_the_guide_has_every_fault_and_every_admin_endpoint() -> None:
    assert EXECUTES.keys() | ON_EVENTS <= set(re.findall(r"^\| `(\w+)` \|", GUIDE, re.MULTILINE))
    exchange = Exchange()
    for method, path in Admin(exchange, RateLimits(), Faults())._routes:
        assert f"`{method} {path}`" in GUIDE


def commands() -> list[tuple[str, str, bytes]]:
    """The guide's admin commands as (method, path, body)."""
    found = []
    for line in re.findall(r"^curl .*_sim.*$", GUIDE, re.MULTILINE):
        words = shlex.split(line)
        method = words[words.index("-sX") + 1] if "-sX" in words else "GET"
        body = words[words.index("-d") + 1] if "-d" in words else ""
        path = next(word for word in words if word.startswith("localhost:8099")).removeprefix("localhost:8099")
        found.append((method, path, body.encode()))
    return found


async def test_every_admin_command_of_the_guide_works_as_printed(world: World) -> None:
    assert len(commands()) >= 14
    for method, path, body in commands():
        async with world.session.request(method, world.url + path, data=body) as answer:
            assert answer.status == 200, (path, await answer.read())


@pytest.mark.parametrize(
    "change",
    [
        {"order_read_lag": 1},
        {"order_read_lag_ms": -1},
        {"order_read_lag_ms": "500"},
        {"order_read_lag_ms": True},
        {"order_read_lag_ms": None},
        {"order_ids": "random"},
        {"operator_id_missing_code": 204},
        {"house_refills": 1},
    ],
)
def test_a_switch_cannot_be_what_it_is_not(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="switch"):
        changed(Switches(), change)


def test_a_change_leaves_the_rest_as_it_was() -> None:
    assert changed(Switches(), {"closed_order_retention_ms": None}) == Switches(closed_order_retention_ms=None)


async def test_a_wrong_change_changes_nothing(world: World) -> None:
    before = (await world.admin("GET", "switches")).json
    wish = {"order_read_lag_ms": 77, "order_ids": "random"}
    async with world.session.post(f"{world.url}/_sim/switches", json=wish) as answer:
        assert answer.status == 400
    assert (await world.admin("GET", "switches")).json == before
