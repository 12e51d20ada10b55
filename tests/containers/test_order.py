"""What a program needs is there before it starts: the engine is asked after that was taken away."""

from collections.abc import Mapping
from typing import Final

import pytest

from tests.containers import deployment as running
from tests.containers.docker import inspect
from tests.containers.test_hardening import ONCE

pytestmark = pytest.mark.usefixtures("deployment")

_SERVED: Final = ("migrate", "attest-market", "attest-trade")
NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(("market_db", "trade_db", "attest-market", "attest-trade", "simulator"), ("secrets",)),
    "migrate": ("market_db", "trade_db"),
    **dict.fromkeys(("market_service", "trade_service"), _SERVED),
}


@pytest.mark.parametrize("service", NEEDS)
def test_who_is_asked_for_brings_what_it_needs_and_waits_until_that_has_ended_well_or_is_healthy(service: str) -> None:
    running.remove(NEEDS[service])
    running.bring(service)
    for needed in NEEDS[service]:
        state = inspect(running.container(needed))["State"]
        if needed in ONCE:
            assert (state["Status"], state["ExitCode"]) == ("exited", 0)
        else:
            assert state["Health"]["Status"] == "healthy"


def test_the_simulated_exchange_is_there_only_where_its_profile_is_chosen() -> None:
    running.remove(["simulator"])
    running.bring(profile="live")
    assert running.containers("simulator") == []
    running.bring()
    running.await_true("the simulator is back", lambda: running.healthy("simulator"))
