"""What the benchmark makes of its samples, and that its stopwatch changes nothing."""

import asyncio

import pytest

from benchmarks.fan_out import SERVICE_CPU
from benchmarks.load import Run, drive, require_executed
from benchmarks.market import Sample as MarketSample
from benchmarks.market import over_floor
from benchmarks.tables import Sample, ratios
from benchmarks.traced import _samples, metered
from protos.trade.v1 import trade_pb2 as pb

ITEM = ("alice", "5f3f2d4e-0000-4000-8000-000000000001")


def sample(candidate: str, number: int, per_second: float) -> Sample:
    return Sample(candidate, 8, number, per_second, 1.0, 2.0, {}, [])


def test_ratios_are_taken_within_a_round_and_their_median_is_shown() -> None:
    speeds = {"interlock": [70, 140, 30], "floor": [100, 200, 30], "batched": [100, 200, 30], "dbos": [10, 20, 30]}
    samples = [sample(name, number, value) for name, values in speeds.items() for number, value in enumerate(values)]
    lines = [line.split() for line in ratios(samples)][1:]
    assert lines == [
        ["8", "floor", "0.70", "(0.70-1.00)"],
        ["8", "batched", "0.70", "(0.70-1.00)"],
        ["8", "dbos", "7.00", "(1.00-7.00)"],
    ]


def test_a_message_is_compared_with_the_floors_of_the_same_round_and_load() -> None:
    costs = {"1 x 50/s market_service": [60, 90, 50], "1 x 50/s fan_out_floor": [40, 45, 50]}
    samples = [
        MarketSample("fan-out", name, number, {SERVICE_CPU: value})
        for name, values in costs.items()
        for number, value in enumerate(values)
    ]
    assert [line.rpartition(": ")[2] for line in over_floor(samples)] == ["1.50 (1.00-2.00)"]


def test_a_quantile_is_one_of_the_latencies() -> None:
    run = Run([number / 1000 for number in range(1, 101)], 2.0)
    assert (run.quantile_ms(0.5), run.quantile_ms(0.99), run.per_second) == (51.0, 100.0, 50.0)


async def test_no_more_calls_are_in_flight_than_asked_for_and_each_is_timed() -> None:
    flying, most = 0, 0

    async def call(_: tuple[str, str]) -> None:
        nonlocal flying, most
        flying += 1
        most = max(most, flying)
        await asyncio.sleep(0.001)
        flying -= 1

    run = await drive(call, [ITEM] * 20, 4)
    assert (most, len(run.latencies)) == (4, 20)


def answered(
    *,
    outcome: pb.DecisionOutcome.ValueType = pb.DECISION_OUTCOME_ALLOW,
    status: pb.ExecutionStatus.ValueType = pb.EXECUTION_STATUS_FILLED,
    user_id: str = ITEM[0],
    replayed: bool = False,
) -> pb.ExecuteProposalResponse:
    return pb.ExecuteProposalResponse(
        decision=pb.Decision(outcome=outcome),
        execution=pb.Execution(user_id=user_id, proposal_id=ITEM[1], status=status),
        replayed=replayed,
    )


@pytest.mark.parametrize(
    "answer",
    [
        answered(replayed=True),
        answered(outcome=pb.DECISION_OUTCOME_DENY),
        answered(status=pb.EXECUTION_STATUS_UNKNOWN),
        answered(user_id="bob"),
    ],
)
def test_an_answer_that_is_no_fresh_filled_execution_of_the_proposal_is_not_counted(
    answer: pb.ExecuteProposalResponse,
) -> None:
    require_executed(answered(), ITEM)
    with pytest.raises(RuntimeError, match="not an execution"):
        require_executed(answer, ITEM)


async def test_the_stopwatch_hands_on_results_errors_and_cancellation() -> None:
    async def work() -> int:
        await asyncio.sleep(0.01)
        return 7

    async def fail() -> None:
        await asyncio.sleep(0)
        raise LookupError

    assert await metered("work", work()) == 7
    wall, busy = _samples["work"][0]
    assert wall >= 0.01 > busy
    with pytest.raises(LookupError):
        await metered("fail", fail())
    task = asyncio.create_task(metered("work", asyncio.sleep(60)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
