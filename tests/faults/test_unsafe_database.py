"""A database that turns unsafe while it serves: no claim on it, and no restart needed once it is mended."""

import asyncio

import grpc
import grpc.aio
import psycopg
import pytest
from psycopg import sql

from protos.trade.v1 import trade_pb2 as pb
from tests.e2e.caller import Caller, Failure, buy
from tests.e2e.stage import Stage

NOTICE_SECONDS = 30.0


async def test_while_the_database_is_unsafe_nothing_is_claimed_and_afterwards_all_goes_on(stage: Stage) -> None:
    name = sql.Identifier("stage_trade")
    spoil = sql.SQL("ALTER ROLE trade_service IN DATABASE {} SET synchronous_commit = off").format(name)
    mend = sql.SQL("ALTER ROLE trade_service IN DATABASE {} RESET synchronous_commit").format(name)
    async with stage.caller() as caller:
        proposals = [await caller.submit(stage.user(), buy()) for _ in range(2)]
        run(stage, spoil)
        try:
            for replica, proposal in enumerate(proposals):
                failure = await refused(caller, stage, replica)
                assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
                with pytest.raises(grpc.aio.AioRpcError):
                    await caller.execute(proposal, replica)
        finally:
            run(stage, mend)
        for replica, proposal in enumerate(proposals):
            answered = await accepted(caller, proposal, replica)
            assert answered.execution.status == pb.EXECUTION_STATUS_FILLED
            assert len(stage.simulator.orders(answered.execution.client_order_id)) == 1
    for number in (1, 2):
        log = (stage.system.folder / "logs" / f"trade_service-{number}.log").read_text()
        assert '"code":"DATABASE_UNSAFE"' in log


def run(stage: Stage, statement: sql.Composed) -> None:
    with psycopg.connect(stage.server.url("stage_trade"), autocommit=True) as connection:
        connection.execute(statement)


async def refused(caller: Caller, stage: Stage, replica: int) -> Failure:
    """Submit until the service has noticed; return what it then says."""
    ends = asyncio.get_running_loop().time() + NOTICE_SECONDS
    while asyncio.get_running_loop().time() < ends:
        try:
            await caller.submit(stage.user(), buy(), replica)
        except grpc.aio.AioRpcError as error:
            return caller.failure(error)
        await asyncio.sleep(0.2)
    pytest.fail("the service did not notice")


async def accepted(caller: Caller, proposal: pb.SubmitProposalRequest, replica: int) -> pb.ExecuteProposalResponse:
    ends = asyncio.get_running_loop().time() + NOTICE_SECONDS
    while True:
        try:
            return await caller.execute(proposal, replica)
        except grpc.aio.AioRpcError as error:
            if asyncio.get_running_loop().time() > ends:
                pytest.fail(str(caller.failure(error)))
            await asyncio.sleep(0.5)
