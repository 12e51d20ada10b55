"""The main job across the containers: once, whoever is killed."""

import threading
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest

from protos.trade.v1 import trade_pb2 as pb
from tests.containers import deployment as running
from tests.containers.caller import Caller
from tests.docs.test_commands import documents

pytestmark = pytest.mark.usefixtures("deployment")

ANSWER_DELAY_MS: Final = 4_000
ALL: Final = ("attest-market", "attest-trade", "simulator", "market_db", "trade_db", "market_service", "trade_service")


@pytest.fixture
def caller() -> Iterator[Caller]:
    with Caller("operator") as one:
        yield one


def test_the_readmes_commands_over_mutual_tls_trade_once() -> None:
    up, calls = running.printed_blocks()
    [as_caller] = [line for line in up.splitlines() if line.startswith("as()")]
    ran = running.shell(f"{as_caller}\n{calls}")
    assert (ran.returncode, ran.stderr) == (0, "")
    submitted, approved, executed, repeated = documents(ran.stdout)
    assert submitted["created"] is True
    assert approved["proposal"]["approval"]["approver"] == "approver"
    assert executed["execution"]["status"] == "EXECUTION_STATUS_FILLED"
    assert repeated["replayed"] is True
    assert repeated["execution"] == executed["execution"]
    assert orders(executed["execution"]["client_order_id"]) == 1


def test_a_python_caller_over_mutual_tls_trades_once(caller: Caller) -> None:
    proposal_id = caller.submit("ADA-EUR")
    first, again = caller.execute(proposal_id), caller.execute(proposal_id)
    assert first.execution.status == pb.EXECUTION_STATUS_FILLED
    assert (first.replayed, again.replayed) == (False, True)
    assert again.execution == first.execution
    assert orders(first.execution.client_order_id) == 1


def test_g1_a_trade_service_killed_between_claim_and_answer_sends_nothing_again(caller: Caller) -> None:
    proposal_id = caller.submit("SOL-EUR")
    match = {"method": "POST", "path": "/v2/order"}
    running.simulator("faults", "POST", match=match, fault="delay_response", ms=ANSWER_DELAY_MS, times=1)
    before = sent()
    lost = threading.Thread(target=caller.attempt, args=(proposal_id,))
    lost.start()
    running.await_true("the order has reached the exchange", lambda: sent() > before)
    restarts = running.starts("trade_service")
    running.kill("trade_service")
    lost.join()
    running.await_true("the engine starts it again", lambda: running.starts("trade_service") > restarts)
    running.await_true("trade_service is ready", lambda: running.healthy("trade_service"))
    running.await_true("it is settled", lambda: caller.status(proposal_id) == pb.EXECUTION_STATUS_FILLED)
    assert caller.execute(proposal_id).replayed
    assert sent() == before + 1
    assert orders(caller.execute(proposal_id).execution.client_order_id) == 1


@pytest.mark.parametrize(
    "service", ["market_db", "trade_db", "market_service", "trade_service", "attest-trade", "simulator"]
)
def test_a_killed_container_comes_back_by_itself_and_the_job_goes_on(service: str, caller: Caller) -> None:
    kept = caller.submit("BTC-EUR")
    restarts = running.starts(service)
    running.kill(service)
    running.await_true(f"{service} is started again", lambda: running.starts(service) > restarts)
    for each in ALL:
        running.await_true(f"{each} is healthy", lambda each=each: running.healthy(each))  # type: ignore[misc]
    assert caller.get(kept).proposal_id == kept
    assert caller.check(kept).verdicts


def orders(client_order_id: str) -> int:
    """Say how many orders of this id the exchange ever made."""
    return len(running.simulator(f"ledger?kind=orders&client_order_id={client_order_id}")["orders"])


def sent() -> int:
    """Say how many order requests the exchange ever received."""
    rows: list[Mapping[str, Any]] = running.simulator("ledger?kind=requests")["requests"]
    return sum((row["method"], row["path"].partition("?")[0]) == ("POST", "/v2/order") for row in rows)
