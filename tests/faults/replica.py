"""A replica of trade_service that may be hurt: a third process, behind proxies to the database and to the exchange."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc
import grpc.aio
import pytest

from protos.trade.v1 import trade_pb2 as pb
from standalone.service import Service
from tests.e2e.caller import Caller, buy
from tests.e2e.stage import Stage
from tests.e2e.truth import Row, creates
from tests.fixtures.fault_proxy import FaultProxy


@dataclass(frozen=True, slots=True)
class Replica:
    """The replica under test, what it talks through, and one proposal submitted elsewhere."""

    stage: Stage
    service: Service
    database: FaultProxy
    exchange: FaultProxy
    caller: Caller
    """Its stub is number 0, the shared replicas' are 1 and 2."""
    proposal: pb.SubmitProposalRequest
    order_id: str

    def row(self) -> Row | None:
        """Return the execution's row."""
        return self.stage.truth.execution(self.proposal.user_id, self.proposal.proposal_id)

    async def committed(self) -> Row:
        """Wait for the claim to be visible to others."""
        return await self.stage.truth.until(self.row, lambda: "no claim was committed", 10)

    async def ends(self, status: str, posts: int, orders: int) -> Row:
        """Wait for a status, and compare with what the exchange received."""
        row = await self.stage.truth.becomes(self.proposal.user_id, self.proposal.proposal_id, status)
        assert len(list(creates(self.stage.simulator.requests(self.order_id)))) == posts
        assert len(self.stage.simulator.orders(self.order_id)) == orders
        return row

    async def refused(self, call: "asyncio.Task[pb.ExecuteProposalResponse]") -> str:
        """Wait for the call to fail as a caller may see it; return the reason."""
        with pytest.raises(grpc.aio.AioRpcError) as lost:
            await call
        failure = self.caller.failure(lost.value)
        assert failure.code is grpc.StatusCode.UNAVAILABLE
        return failure.reason

    def execute(self) -> "asyncio.Task[pb.ExecuteProposalResponse]":
        """Start to execute the proposal here."""
        return asyncio.create_task(self.caller.execute(self.proposal))

    async def repeat(self) -> pb.ExecuteProposalResponse:
        """Execute it again, elsewhere."""
        return await self.caller.execute(self.proposal, 1)


@asynccontextmanager
async def replica(stage: Stage) -> AsyncIterator[Replica]:
    """Start a replica behind proxies, and submit a proposal elsewhere."""
    async with (
        FaultProxy("127.0.0.1", stage.server.port) as database,
        FaultProxy("127.0.0.1", stage.exchange_port) as exchange,
    ):
        with stage.spare(database_port=database.port, exchange_port=exchange.port) as service:
            service.start()
            await asyncio.to_thread(service.wait_ready)
            async with stage.caller(service, *stage.system.trade) as caller:
                proposal = await caller.submit(stage.user(), buy(), 1)
                order_id = stage.truth.client_order_id(proposal.user_id, proposal.proposal_id)
                yield Replica(stage, service, database, exchange, caller, proposal, order_id)
