"""Serves ExecuteProposal without Interlock: `python -m benchmarks.rival floor|batched|dbos`, started by the benchmark.

floor: two hand-written transactions, statement by statement, and one POST. batched: the same with what does not wait
for an answer sent together. dbos: the same job as a DBOS Transact workflow of four steps, its system database on the
same server; the proposal is the workflow's id, so that a repeat answers the same execution.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import grpc
import grpc.aio
import orjson
import uvloop

from benchmarks.by_hand import ByHand
from benchmarks.job import Job, Values, answer, claim_values, open_job
from protos.trade.v1 import trade_pb2 as pb
from trade_service.settings import CONNECTIONS

Run = Callable[[str, str], Awaitable[Values]]
CONCURRENT_RPCS: Final = 256


def serving(run: Run) -> grpc.GenericRpcHandler:
    """Return the one method that is measured."""

    async def execute(request: pb.ExecuteProposalRequest, _: object) -> pb.ExecuteProposalResponse:
        return answer(await run(request.user_id, request.proposal_id))

    handler = grpc.unary_unary_rpc_method_handler(
        execute,
        request_deserializer=pb.ExecuteProposalRequest.FromString,
        response_serializer=pb.ExecuteProposalResponse.SerializeToString,
    )
    return grpc.method_handlers_generic_handler("trade.v1.TradeService", {"ExecuteProposal": handler})


def by_hand(job: Job, *, batched: bool) -> Run:
    """Return the job as plain code."""
    hand = ByHand(batched)

    async def run(user_id: str, proposal_id: str) -> Values:
        values = claim_values(user_id, proposal_id, await job.facts())
        async with job.pool.connection() as connection:
            await hand.claim(connection, values)
        values |= await job.post(values)
        async with job.pool.connection() as connection:
            await hand.settle(connection, values)
        return values

    return run


def durable(job: Job) -> Run:
    """Return the job as a DBOS workflow; its steps are the same code, each checkpointed by DBOS."""
    from dbos import DBOS, SetWorkflowID  # noqa: PLC0415 - in the bench extra only, and not needed by the floor

    hand = ByHand(batched=False)

    @DBOS.step()
    async def gather() -> str:
        return await job.facts()

    @DBOS.step()
    async def claim(user_id: str, proposal_id: str, facts: str) -> Values:
        values = claim_values(user_id, proposal_id, facts)
        async with job.pool.connection() as connection:
            await hand.claim(connection, values)
        return {name: value for name, value in values.items() if name != "facts"}

    @DBOS.step()
    async def post(values: Values) -> Values:
        return await job.post(values)

    @DBOS.step()
    async def settle(values: Values) -> None:
        async with job.pool.connection() as connection:
            await hand.settle(connection, values)

    @DBOS.workflow()
    async def execute(user_id: str, proposal_id: str) -> Values:
        values = await claim(user_id, proposal_id, await gather())
        values |= await post(values)
        await settle(values)
        return values

    async def run(user_id: str, proposal_id: str) -> Values:
        with SetWorkflowID(proposal_id):
            return await execute(user_id, proposal_id)

    return run


def launch_dbos() -> None:
    """Start DBOS quietly, with as many connections as the others have."""
    from dbos import DBOS  # noqa: PLC0415

    DBOS(
        config={
            "name": "bench",
            "system_database_url": os.environ["BENCH_SYSTEM_DATABASE"],
            "sys_db_pool_size": CONNECTIONS,
            "log_level": "ERROR",
            "application_version": "1",
            "executor_id": "bench",
        }
    )
    DBOS.launch()


async def serve(kind: str, ready_file: Path) -> None:
    """Serve until killed; write the port once ready."""
    async with open_job() as job:
        if kind == "dbos":
            run = durable(job)
            launch_dbos()
        else:
            run = by_hand(job, batched=kind == "batched")
        server = grpc.aio.server(maximum_concurrent_rpcs=CONCURRENT_RPCS)
        server.add_generic_rpc_handlers((serving(run),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        unfinished = ready_file.with_suffix(".unfinished")
        unfinished.write_bytes(orjson.dumps({"grpc": port}))
        unfinished.replace(ready_file)
        await server.wait_for_termination()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(sys.argv[1], Path(os.environ["BENCH_READY_FILE"])))
