"""Two users of one account whose orders meet: the exchange makes both smaller instead of trading, and is believed."""

from decimal import Decimal

import pytest

from protos.trade.v1 import trade_pb2 as pb
from tests.e2e.caller import GTC, bid, buy
from tests.e2e.stage import OVERDUE_SECONDS, Stage

MARKET, PRICE = "LTC-EUR", "60"


def offer(amount: str) -> pb.OrderTerms:
    """Return a limit order that sells to whoever bids as much."""
    return pb.OrderTerms(
        market=MARKET, side=pb.SIDE_SELL, order_type=pb.ORDER_TYPE_LIMIT, amount=amount, price=PRICE, time_in_force=GTC
    )


@pytest.fixture
def book(stage: Stage) -> None:
    stage.simulator.admin("POST", "book", market=MARKET, bids=[["50", "1000"]], asks=[["90", "1000"]])


@pytest.mark.usefixtures("book")
async def test_an_order_made_smaller_is_followed_to_its_end_with_what_was_filled(stage: Stage) -> None:
    resting, incoming = stage.user(), stage.user()
    async with stage.caller() as caller:
        await caller.place(stage.user(), buy(MARKET, "200"))
        rests = await caller.place(resting, bid(MARKET, "1", PRICE))
        assert rests.execution.status == pb.EXECUTION_STATUS_SUBMITTED
        met = await caller.place(incoming, offer("0.4"))
    assert (met.execution.status, met.execution.filled_amount) == (pb.EXECUTION_STATUS_CANCELED, "0")
    stage.simulator.admin("POST", "trade", market=MARKET, side="sell", amount="0.6", price=PRICE)
    row = await stage.truth.becomes(resting, rests.proposal.proposal_id, "FILLED", seconds=40)
    assert row["filled_amount"] == Decimal("0.6")
    fills = stage.truth.rows("SELECT amount FROM trade_history WHERE execution_id = %s", row["execution_id"])
    assert sum(fill["amount"] for fill in fills) == Decimal("0.6")


@pytest.mark.usefixtures("book")
async def test_an_order_made_smaller_whose_answer_was_lost_is_found(stage: Stage) -> None:
    resting, incoming = stage.user(), stage.user()
    async with stage.caller() as caller:
        await caller.place(stage.user(), buy(MARKET, "200"))
        await caller.place(resting, bid(MARKET, "0.4", PRICE))
        proposal = await caller.submit(incoming, offer("1"))
        stage.fault("drop_response", "POST", stage.truth.client_order_id(incoming, proposal.proposal_id))
        lost = await caller.execute(proposal)
        assert lost.execution.status == pb.EXECUTION_STATUS_UNKNOWN
        row = await stage.truth.becomes(incoming, proposal.proposal_id, "SUBMITTED", seconds=OVERDUE_SECONDS + 30)
        assert row["filled_amount"] == 0
        await caller.cancel(incoming, proposal.proposal_id)
    await stage.truth.becomes(incoming, proposal.proposal_id, "CANCELED", seconds=40)
