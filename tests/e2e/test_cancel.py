"""Cancels: of what rests, against a fill that comes first, and by a time that was set."""

import asyncio

import grpc
import grpc.aio
import pytest

from protos.trade.v1 import trade_pb2 as pb
from tests.e2e.caller import bid, buy
from tests.e2e.stage import Stage

RACES = 12
AMOUNT = "0.5"
MARKET, PRICE = "BCH-EUR", "300"


async def test_a_resting_order_that_is_cancelled_ends_canceled(stage: Stage) -> None:
    user = stage.user()
    async with stage.caller() as caller:
        placed = await caller.place(user, bid("ETH-EUR", "0.01", "1000"))
        assert placed.execution.status == pb.EXECUTION_STATUS_SUBMITTED
        answered = await caller.cancel(user, placed.proposal.proposal_id, replica=1)
        assert answered.HasField("cancel_requested_at")
        row = await stage.truth.becomes(user, placed.proposal.proposal_id, "CANCELED")
        assert row["filled_amount"] == 0
        assert stage.truth.proposal_status(user, placed.proposal.proposal_id) == "FAILED"
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await caller.cancel(user, placed.proposal.proposal_id)
        assert caller.failure(refused.value).reason == "EXECUTION_FINAL"


async def test_a_cancel_racing_a_fill_leaves_the_row_as_the_ledger_says(stage: Stage) -> None:
    market = {"market": MARKET, "bids": [["100", "1000"]], "asks": [["500", "1000"]]}
    stage.simulator.admin("POST", "book", **market)
    users = []
    async with stage.caller() as caller:
        for number in range(RACES):
            user = stage.user()
            placed = await caller.place(user, bid(MARKET, AMOUNT, PRICE))
            trade = {"market": MARKET, "side": "sell", "amount": AMOUNT, "price": PRICE}
            cancelling = asyncio.create_task(caller.cancel(user, placed.proposal.proposal_id, number % 2))
            await asyncio.sleep(0.002 * number)
            stage.simulator.admin("POST", "trade", **trade)
            await asyncio.wait([cancelling])
            users.append((user, placed.proposal.proposal_id))
        seen = {await settled_as_the_ledger_says(stage, *each) for each in users}
    assert seen == {"FILLED", "CANCELED"}, "both must have won some races"


async def settled_as_the_ledger_says(stage: Stage, user: str, proposal_id: str) -> str:
    """Wait until a final row tells what the ledger tells; return its status."""

    def look() -> dict[str, str] | None:
        row = stage.truth.execution(user, proposal_id)
        assert row is not None
        return row if row["status"] in {"FILLED", "CANCELED"} else None

    row = await stage.truth.until(look, lambda: "the execution never became final", 15)
    order = stage.simulator.orders(str(row["client_order_id"]))[0]
    told = "FILLED" if order["status"] == "filled" else "CANCELED"
    fills = stage.truth.rows("SELECT amount FROM trade_history WHERE execution_id = %s", row["execution_id"])
    assert (row["status"], f"{row['filled_amount']:f}") == (told, order["filledAmount"])
    assert sum(fill["amount"] for fill in fills) == row["filled_amount"]
    return str(row["status"])


async def test_an_order_with_a_time_to_cancel_is_cancelled_when_it_comes(stage: Stage) -> None:
    user = stage.user()
    async with stage.caller() as caller:
        proposal = await caller.submit(user, bid("SOL-EUR", "0.5", "50"), cancel_after=1)
        executed = await caller.execute(proposal)
        assert executed.execution.status == pb.EXECUTION_STATUS_SUBMITTED
    row = await stage.truth.becomes(user, proposal.proposal_id, "CANCELED")
    assert row["settled_at"] > row["cancel_due_at"]


async def test_what_never_traded_cannot_be_cancelled(stage: Stage) -> None:
    async with stage.caller() as caller:
        proposal = await caller.submit(stage.user(), buy())
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await caller.cancel(proposal.user_id, proposal.proposal_id)
    assert caller.failure(refused.value).code is grpc.StatusCode.NOT_FOUND
