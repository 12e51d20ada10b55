"""A database restored to before the account's last orders: nothing trades until their rows are back, and none twice."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import grpc
import grpc.aio
import pytest

from bitvavo.client import TradeClient, wall_clock_ms
from bitvavo.endpoints import TRADE_ENDPOINTS
from bitvavo.order import order_body
from bitvavo.reply import Accepted
from bitvavo.signing import Credentials
from bitvavo.transport import open_client
from kernel.secret import Secret
from protos.trade.v1 import trade_pb2 as pb
from standalone.service import serving
from standalone.system import OPERATOR_ID, System
from tests.e2e.backup import dump, restore
from tests.e2e.caller import CALL_SECONDS, Caller, Failure, bid, buy
from tests.e2e.stage import Stage, start_system
from tests.e2e.truth import POLL_SECONDS, Row, Truth, creates

DATABASE = "restore_trade"
SOMEBODY_ELSE = 2002
POINTS_PER_MINUTE = 1_000
"""The real budget: the match must fit into it."""
AMPLE_POINTS = 1_000_000_000
FROZEN_SECONDS = 3.0
PATIENCE_SECONDS = 40.0
READY = "trade.ready"
LOST_MARKETS = ("BTC-EUR", "BTC-EUR", "SOL-EUR")


@pytest.fixture
def restored(stage: Stage, tmp_path: Path) -> Iterator[System]:
    """One more system on the stage's server: what is done to it cannot be undone."""
    system = start_system(tmp_path, stage.server, stage.policies, "restore", replicas=1)
    try:
        yield system
    finally:
        system.stop()


@pytest.mark.timeout(180)
async def test_g1_after_a_restore_nothing_trades_until_the_lost_rows_are_back(
    stage: Stage, restored: System, tmp_path: Path
) -> None:
    truth, told = Truth(restored.database_url("auditor")), list[str]()
    restored.simulator.admin("POST", "limits", points_per_minute=POINTS_PER_MINUTE)
    service = restored.trade[0]
    async with Caller([service.address], told) as caller:
        kept = await caller.place("open-1", bid("ETH-EUR", "0.1", "1000"))
        early = dump(stage.server, DATABASE, tmp_path / "early.dump")
        lost = [await caller.submit(f"open-{number}", buy()) for number in (2, 3)]
        executed = [await caller.execute(each) for each in lost]
        resting = await caller.place("open-4", bid("SOL-EUR", "1", "20"))
        late = dump(stage.server, DATABASE, tmp_path / "late.dump")
    orders = [*(each.execution for each in executed), resting.execution]
    names = {f"{market} order {each.order_id}" for each, market in zip(orders, LOST_MARKETS, strict=True)}

    await asyncio.to_thread(service.terminate)
    restore(stage.server, DATABASE, early)
    service.start()
    await asyncio.to_thread(service.wait_listening)
    await until_frozen(truth)
    async with Caller([service.address], told) as caller:
        await it_says_why(caller, restored, truth, lost[0], names)
        await the_rest_works(caller, truth, kept.execution)
        await asyncio.sleep(FROZEN_SECONDS)
        assert (await refused(caller, lost[1])).reason == "ACCOUNT_NOT_MATCHED"

    restore(stage.server, DATABASE, late)
    await until_ready(service.address)
    restored.simulator.admin("POST", "limits", points_per_minute=AMPLE_POINTS)
    async with Caller([service.address], told) as caller:
        again = [await caller.execute(each) for each in lost]
        after = await caller.place("open-5", buy())
    assert [each.replayed for each in again] == [True, True]
    assert [each.execution.order_id for each in again] == [each.execution.order_id for each in executed]
    assert after.execution.status == pb.EXECUTION_STATUS_FILLED

    async with Caller([service.address], told) as caller:
        restore(stage.server, DATABASE, early)
        reasons = await refusals_until_frozen(caller, lost[0])
    assert reasons <= {"DATABASE_UNAVAILABLE", "NOT_READY", "ACCOUNT_NOT_MATCHED"}
    assert set(Counter(creates(restored.simulator.requests())).values()) == {1}, "nothing was ever sent twice"
    assert set(Counter(order["clientOrderId"] for order in restored.simulator.orders()).values()) == {1}


async def it_says_why(
    caller: Caller, system: System, truth: Truth, lost: pb.SubmitProposalRequest, names: set[str]
) -> None:
    """Error, health, alarm row, log: each says that the account is not matched, and where it matters, which orders."""
    failure = await refused(caller, lost)
    assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "ACCOUNT_NOT_MATCHED")
    assert (failure.retry_seconds, failure.metadata) == (60.0, {"orders": "3"})
    with grpc.insecure_channel(system.trade[0].address) as channel:
        assert not await asyncio.to_thread(serving, channel, READY)
    (alarm,) = truth.rows("SELECT message FROM alarms WHERE code = 'ACCOUNT_NOT_MATCHED'")
    lines = [json.loads(line) for line in system.trade[0].process.program.log.read_text().splitlines() if "{" in line]
    (line,) = [each for each in lines if each["event"] == "alarm" and each.get("code") == "ACCOUNT_NOT_MATCHED"]
    for name in names:
        assert name in alarm["message"]
        assert name in line["message"]
    assert len(system.simulator.orders()) == 1 + len(names), "nothing was sent meanwhile"


async def the_rest_works(caller: Caller, truth: Truth, kept: pb.Execution) -> None:
    """A read, a cancel and the kill switch work while claims are frozen."""
    user, proposal_id = kept.user_id, kept.proposal_id
    assert (await caller.execution(user, proposal_id)).order_id == kept.order_id
    await caller.cancel(user, proposal_id)
    await truth.becomes(user, proposal_id, "CANCELED")
    board = await caller.admin[0].SetTradingState(
        pb.SetTradingStateRequest(
            scope=pb.TRADING_SCOPE_USER, subject=user, state=pb.TRADING_STATE_HALTED, reason="a test"
        ),
        timeout=CALL_SECONDS,
    )
    assert board.switch.state == pb.TRADING_STATE_HALTED


@pytest.mark.timeout(120)
async def test_an_order_of_somebody_else_halts_trading_if_that_is_wished_and_not_again_once_looked_into(
    restored: System,
) -> None:
    truth, service = Truth(restored.database_url("auditor")), restored.trade[0]
    order_id = await place_as_somebody_else(restored)
    await asyncio.to_thread(service.restart)
    assert switch(truth)["state"] == "ACTIVE", "told only"
    assert alarms(truth, order_id) == 1

    service.set_environment(HALT_ON_FOREIGN_ORDERS="true")
    order_id = await place_as_somebody_else(restored)
    await asyncio.to_thread(service.restart)
    found = switch(truth)
    assert (found["state"], found["actor"]) == ("HALTED", "system")
    assert order_id in found["reason"]
    assert alarms(truth, order_id) == 1

    async with Caller([service.address], []) as caller:
        assert "TRADING_HALTED" in await denials(caller)
        request = pb.SetTradingStateRequest(
            scope=pb.TRADING_SCOPE_GLOBAL,
            state=pb.TRADING_STATE_ACTIVE,
            reason="looked into",
            expected_generation=found["generation"],
        )
        await caller.admin[0].SetTradingState(request, timeout=CALL_SECONDS)
    await asyncio.to_thread(service.restart)
    assert switch(truth)["state"] == "ACTIVE"


async def place_as_somebody_else(system: System) -> str:
    """Let another program trade on the account with the same key; return its order's id."""
    folder = system.folder / "secrets" / "trade_service"
    key, secret = (Secret((folder / name).read_text()) for name in ("key", "secret"))
    body = order_body(
        market="BTC-EUR",
        side="buy",
        order_type="market",
        operator_id=SOMEBODY_ELSE,
        client_order_id="11111111-1111-4111-8111-111111111111",
        amount_quote="25",
    )
    async with open_client(f"{system.simulator.url}/v2", TRADE_ENDPOINTS) as http:
        reply = await TradeClient(http, Credentials(key, secret)).create_order(
            body,
            timestamp_ms=wall_clock_ms(),
            window_ms=5_000,
            timeout_seconds=5.0,
            client_order_id="11111111-1111-4111-8111-111111111111",
            market="BTC-EUR",
        )
    assert isinstance(reply, Accepted)
    assert OPERATOR_ID != SOMEBODY_ELSE
    return reply.order.order_id


def switch(truth: Truth) -> Row:
    """Return the global switch."""
    return truth.rows("SELECT * FROM trading_state WHERE scope = 'GLOBAL'")[0]


def alarms(truth: Truth, order_id: str) -> int:
    """Count the alarms about somebody else's orders that name this one."""
    rows = truth.rows("SELECT message FROM alarms WHERE code = 'FOREIGN_ORDERS'")
    return sum(order_id in row["message"] for row in rows)


async def denials(caller: Caller) -> list[str]:
    """Place an order in vain; return the codes of all verdicts."""
    placed = await caller.place("open-9", buy())
    assert placed.decision.outcome == pb.DECISION_OUTCOME_DENY
    return [verdict.code for verdict in placed.decision.verdicts]


async def refused(caller: Caller, lost: pb.SubmitProposalRequest) -> Failure:
    """Submit and execute again what the database no longer knows, in vain."""
    await caller.trade[0].SubmitProposal(lost, timeout=CALL_SECONDS)
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await caller.execute(lost)
    return caller.failure(refusal.value)


async def refusals_until_frozen(caller: Caller, lost: pb.SubmitProposalRequest) -> set[str]:
    """Repeat a lost proposal all the while the database changes beneath the service: no call may get through."""
    reasons, ends = set[str](), time.monotonic() + PATIENCE_SECONDS
    while "ACCOUNT_NOT_MATCHED" not in reasons:
        assert time.monotonic() < ends, reasons
        reasons.add(await refusal_of(caller, lost))
        await asyncio.sleep(POLL_SECONDS)
    return reasons


async def refusal_of(caller: Caller, lost: pb.SubmitProposalRequest) -> str:
    """Submit and execute, in vain; return the reason of whichever was refused first."""
    try:
        await caller.trade[0].SubmitProposal(lost, timeout=CALL_SECONDS)
        await caller.execute(lost)
    except grpc.aio.AioRpcError as refusal:
        return caller.failure(refusal).reason
    pytest.fail("a lost proposal was executed")


async def until_frozen(truth: Truth) -> None:
    """Wait until the match has spoken."""
    look = "SELECT message FROM alarms WHERE code = 'ACCOUNT_NOT_MATCHED'"
    await truth.until(lambda: next(iter(truth.rows(look)), None), lambda: "it never froze", PATIENCE_SECONDS)


async def until_ready(address: str) -> None:
    """Wait until claims may be made again, without a restart."""
    with grpc.insecure_channel(address) as channel:
        ends = time.monotonic() + PATIENCE_SECONDS
        while not await asyncio.to_thread(serving, channel, READY):
            assert time.monotonic() < ends, "it never became ready again"
            await asyncio.sleep(0.2)
