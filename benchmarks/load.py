"""Keeps a number of ExecuteProposal calls in flight, times each, and checks each answer."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from protos.trade.v1 import trade_pb2 as pb

CALL_TIMEOUT_SECONDS = 30.0

Call = Callable[[tuple[str, str]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Run:
    """One measured run: latencies in seconds in the order of the answers, and how long all of them took."""

    latencies: list[float]
    seconds: float

    @property
    def per_second(self) -> float:
        """Executions per second."""
        return len(self.latencies) / self.seconds

    def quantile_ms(self, share: float) -> float:
        """Return the latency below which `share` of the calls stayed."""
        ordered = sorted(self.latencies)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000


async def drive(call: Call, work: Sequence[tuple[str, str]], in_flight: int) -> Run:
    """Run `call` for each (user, proposal) of the work, `in_flight` at a time."""
    latencies: list[float] = []
    left = iter(work)

    async def worker() -> None:
        for item in left:
            began = time.perf_counter()
            await call(item)
            latencies.append(time.perf_counter() - began)

    started = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(in_flight)))
    return Run(latencies, time.perf_counter() - started)


def require_executed(answer: pb.ExecuteProposalResponse, item: tuple[str, str]) -> None:
    """Pass an answer that allowed, filled and was no replay.

    Raises:
        RuntimeError: anything else was measured.
    """
    execution = answer.execution
    good = (
        answer.decision.outcome == pb.DECISION_OUTCOME_ALLOW
        and execution.status == pb.EXECUTION_STATUS_FILLED
        and not answer.replayed
        and (execution.user_id, execution.proposal_id) == item
    )
    if not good:
        raise RuntimeError(f"not an execution of {item}: {answer}")
