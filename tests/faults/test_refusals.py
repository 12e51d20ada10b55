"""Refusals that need a history: a client order id in use (220), and a ban (429)."""

import asyncio
import hashlib
import hmac
import json
import time

import grpc
import grpc.aio
import httpx
import pytest

from protos.trade.v1 import trade_pb2 as pb
from tests.e2e.caller import bid, buy
from tests.e2e.stage import Stage

SOMEBODY_ELSE = 7
BAN_SECONDS_MAX = 120.0
"""The rest of this minute and the next: the exchange's rule for an account."""
MARKET, AMOUNT, PRICE = "DOT-EUR", "10", "2"


def place_behind_our_back(stage: Stage, client_order_id: str, amount: str) -> None:
    """Place an order under an id that an execution of ours will have, as a leaked code or an old copy would."""
    secrets = stage.system.folder / "secrets" / "trade_service"
    body = json.dumps(
        {
            "market": MARKET, "side": "buy", "orderType": "limit", "amount": amount, "price": PRICE,
            "clientOrderId": client_order_id, "operatorId": SOMEBODY_ELSE,
        }
    )  # fmt: skip
    moment = str(time.time_ns() // 1_000_000)
    text = f"{moment}POST/v2/order{body}".encode()
    headers = {
        "bitvavo-access-key": (secrets / "key").read_text(),
        "bitvavo-access-timestamp": moment,
        "bitvavo-access-signature": hmac.new((secrets / "secret").read_bytes(), text, hashlib.sha256).hexdigest(),
        "content-type": "application/json",
    }
    answer = httpx.post(f"{stage.simulator.url}/v2/order", content=body, headers=headers, trust_env=False)
    assert answer.status_code == 200, answer.text


async def test_an_open_order_under_our_id_is_adopted_when_it_is_the_one_we_asked_for(stage: Stage) -> None:
    user = stage.user()
    async with stage.caller() as caller:
        proposal = await caller.submit(user, bid(MARKET, AMOUNT, PRICE))
        order_id = stage.truth.client_order_id(user, proposal.proposal_id)
        place_behind_our_back(stage, order_id, AMOUNT)
        answered = await caller.execute(proposal)
        assert answered.execution.status == pb.EXECUTION_STATUS_UNKNOWN
        row = await stage.truth.becomes(user, proposal.proposal_id, "SUBMITTED")
        order = stage.simulator.orders(order_id)
        assert [row["order_id"]] == [each["orderId"] for each in order]
        await caller.cancel(user, proposal.proposal_id)


async def test_an_open_order_under_our_id_that_is_another_one_is_not_adopted(stage: Stage) -> None:
    user = stage.user()
    async with stage.caller() as caller:
        proposal = await caller.submit(user, bid(MARKET, AMOUNT, PRICE))
        order_id = stage.truth.client_order_id(user, proposal.proposal_id)
        place_behind_our_back(stage, order_id, "11")
        answered = await caller.execute(proposal)
        assert answered.execution.status == pb.EXECUTION_STATUS_UNKNOWN

    def alarmed() -> dict[str, object] | None:
        sql = "SELECT message FROM alarms WHERE code = 'FOREIGN_ORDER' AND subject = %s"
        return next(iter(stage.truth.rows(sql, order_id)), None)

    await stage.truth.until(alarmed, lambda: "no alarm about a foreign order", 10)
    row = stage.truth.execution(user, proposal.proposal_id)
    assert row is not None
    assert (row["status"], row["order_id"]) == ("UNKNOWN", None)
    assert len(stage.simulator.orders(order_id)) == 1


async def test_a_ban_refuses_the_order_for_good_and_nothing_more_is_sent_while_it_lasts(stage: Stage) -> None:
    user = stage.user()
    with stage.spare() as banned:
        banned.start()
        await asyncio.to_thread(banned.wait_ready)
        async with stage.caller(banned) as caller:
            proposal, second = [await caller.submit(user, buy()) for _ in range(2)]
            order_ids = [stage.truth.client_order_id(user, each.proposal_id) for each in (proposal, second)]
            stage.fault("error_code", "POST", order_ids[0], code=105)
            answered = await caller.execute(proposal)
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await caller.execute(second)
            failure = caller.failure(refused.value)
    assert (answered.execution.status, answered.execution.reject_code) == (pb.EXECUTION_STATUS_REJECTED, 105)
    assert (failure.code, failure.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "EXCHANGE_RATE_EXHAUSTED")
    assert failure.retry_seconds is not None
    assert 0 < failure.retry_seconds <= BAN_SECONDS_MAX
    assert not stage.truth.rows("SELECT FROM decisions WHERE proposal_id = %s", second.proposal_id)
    assert [len(stage.simulator.requests(order_id)) for order_id in order_ids] == [1, 0]
