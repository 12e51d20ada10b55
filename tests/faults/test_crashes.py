"""A replica that is killed, frozen or cut off at each step of its way: at most one order, and the row tells the truth.

The replica under test is a third one, behind proxies to the database and to the exchange; the other two go on.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc
import grpc.aio
import psycopg
import pytest

from protos.trade.v1 import trade_pb2 as pb
from standalone.service import Service
from tests.e2e.caller import Caller, buy
from tests.e2e.stage import OVERDUE_SECONDS, WINDOW_SECONDS, Stage
from tests.e2e.truth import Row, creates
from tests.fixtures.fault_proxy import FaultProxy

ON_ITS_WAY_SECONDS = 0.4
"""Long enough for a call to be where a test wants it."""
LATENCY_SECONDS = 0.25
"""How long the acknowledgement of a commit is under way while a test looks and strikes."""
ANSWER_DELAY_MS = 1_200
FROZEN_SHORT_SECONDS = WINDOW_SECONDS + 0.3
FROZEN_LONG_SECONDS = OVERDUE_SECONDS + 1.5


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


@pytest.mark.parametrize("where", ["before it read", "waiting for the lock"])
async def test_killed_before_the_claim_nothing_happened_and_a_repeat_trades(stage: Stage, where: str) -> None:
    async with replica(stage) as here:
        with psycopg.connect(stage.server.url("stage_trade")) as holder:
            if where == "before it read":
                here.database.blackhole()
            else:
                holder.execute("SELECT FROM users WHERE user_id = %s FOR UPDATE", (here.proposal.user_id,))
            call = here.execute()
            await asyncio.sleep(ON_ITS_WAY_SECONDS)
            here.service.kill()
            await here.refused(call)
        assert here.row() is None
        assert (await here.repeat()).execution.status == pb.EXECUTION_STATUS_FILLED
        await here.ends("FILLED", posts=1, orders=1)


async def test_a_commit_cut_before_it_arrived_leaves_no_row_and_a_repeat_trades(stage: Stage) -> None:
    async with replica(stage) as here:
        here.database.cut_before(b"COMMIT")
        assert await here.refused(here.execute()) == "DATABASE_UNAVAILABLE"
        assert here.database.cuts_done == 1
        assert here.row() is None
        again = await here.caller.execute(here.proposal)
        assert (again.replayed, again.execution.status) == (False, pb.EXECUTION_STATUS_FILLED)
        await here.ends("FILLED", posts=1, orders=1)


async def test_a_commit_without_its_acknowledgement_gives_no_right_to_send(stage: Stage) -> None:
    async with replica(stage) as here:
        here.database.lose_answer_to(b"COMMIT")
        assert await here.refused(here.execute()) == "DATABASE_UNAVAILABLE"
        assert here.database.cuts_done == 1
        again = await here.repeat()
        assert (again.replayed, again.execution.status) == (True, pb.EXECUTION_STATUS_SUBMITTING)
        await here.ends("UNKNOWN", posts=0, orders=0)


async def test_killed_before_the_acknowledgement_came_nothing_is_sent(stage: Stage) -> None:
    async with replica(stage) as here:
        here.database.latency_seconds = LATENCY_SECONDS
        call = here.execute()
        await here.committed()
        here.service.kill()
        await here.refused(call)
        await here.ends("UNKNOWN", posts=0, orders=0)
        assert (await here.repeat()).execution.status == pb.EXECUTION_STATUS_UNKNOWN


@pytest.mark.parametrize(("seconds", "ends"), [(FROZEN_SHORT_SECONDS, "NOT_PLACED"), (FROZEN_LONG_SECONDS, "UNKNOWN")])
async def test_frozen_between_commit_and_send_for_longer_than_the_window_nothing_is_sent(
    stage: Stage, seconds: float, ends: str
) -> None:
    async with replica(stage) as here:
        here.database.latency_seconds = LATENCY_SECONDS
        call = here.execute()
        await here.committed()
        os.kill(here.service.pid or 0, signal.SIGSTOP)
        await asyncio.sleep(seconds)
        os.kill(here.service.pid or 0, signal.SIGCONT)
        here.database.latency_seconds = 0
        answered = await call
        assert pb.ExecutionStatus.Name(answered.execution.status) == f"EXECUTION_STATUS_{ends}"
        await here.ends(ends, posts=0, orders=0)


@pytest.mark.parametrize("delivered", [False, True], ids=["request lost", "request delivered"])
async def test_killed_while_the_request_is_on_its_way_the_row_ends_as_the_exchange_saw_it(
    stage: Stage, *, delivered: bool
) -> None:
    async with replica(stage) as here:
        here.exchange.blackhole()
        call = here.execute()
        await here.committed()
        await asyncio.sleep(ON_ITS_WAY_SECONDS)
        here.service.kill()
        await here.refused(call)
        if not delivered:
            here.exchange.reset_all()
        here.exchange.heal()
        await here.ends("FILLED" if delivered else "UNKNOWN", posts=delivered, orders=delivered)


async def test_killed_while_the_answer_is_on_its_way_the_order_is_found_and_a_restart_repeats_it(
    stage: Stage,
) -> None:
    async with replica(stage) as here:
        stage.fault("delay_response", "POST", here.order_id, ms=ANSWER_DELAY_MS)
        call = here.execute()
        await stage.truth.until(
            lambda: next(iter(stage.simulator.orders(here.order_id)), None), lambda: "no order was made", 10
        )
        here.service.kill()
        await here.refused(call)
        here.service.start()
        await asyncio.to_thread(here.service.wait_ready)
        row = await here.ends("FILLED", posts=1, orders=1)
        again = await here.caller.execute(here.proposal)
        assert (again.replayed, again.execution.execution_id) == (True, str(row["execution_id"]))


async def test_a_request_that_arrives_after_its_window_is_refused_by_the_exchange(stage: Stage) -> None:
    async with replica(stage) as here:
        here.exchange.blackhole()
        call = here.execute()
        await here.committed()
        await asyncio.sleep(FROZEN_SHORT_SECONDS)
        here.exchange.heal()
        answered = await call
        assert answered.execution.reject_code == 304
        await here.ends("REJECTED", posts=1, orders=0)


async def test_a_database_lost_between_send_and_settle_is_waited_for(stage: Stage) -> None:
    async with replica(stage) as here:
        stage.fault("delay_response", "POST", here.order_id, ms=ANSWER_DELAY_MS)
        call = here.execute()
        await here.committed()
        await asyncio.sleep(ON_ITS_WAY_SECONDS)
        here.database.refusing = True
        here.database.reset_all()
        await asyncio.sleep(ANSWER_DELAY_MS / 1000 + 0.2)
        here.database.heal()
        answered = await call
        assert answered.execution.status == pb.EXECUTION_STATUS_FILLED
        await here.ends("FILLED", posts=1, orders=1)
