"""Measures ExecuteProposal: `make bench-execute`, or `python -m benchmarks.execute --rounds 5 --in-flight 1,8,32`.

Candidates, on the same PostgreSQL, market_service and simulated exchange, in turns of changing order:
    interlock  trade_service as it is
    floor      the same RPC and quote around two hand-written transactions of as many statements, and one POST
    batched    the floor with statements that need no answer sent together, as trade_service sends them
    dbos       the floor's code as a DBOS Transact workflow of four steps
    exchange   one in flight only: nothing but the POST

docs/performance.md explains the columns. Every answer is checked, and at the end the exchange's ledger.
"""

import argparse
import os
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import grpc.aio
import orjson
import psycopg
import uvloop

from benchmarks import breakdown, cpu, tables
from benchmarks.job import MARKET, QUOTE_AMOUNT, WINDOW_MS, claim_values
from benchmarks.load import CALL_TIMEOUT_SECONDS, Call, Run, drive, require_executed
from benchmarks.stage import Stage, staged
from benchmarks.tables import Sample
from bitvavo.signing import Credentials, signed_headers
from kernel.secret import Secret
from protos.trade.v1 import trade_pb2 as pb
from protos.trade.v1.trade_pb2_grpc import TradeServiceStub

RESULTS: Final = Path(__file__).parent / "results"
CANDIDATES: Final = ("interlock", "floor", "batched", "dbos")
EXCHANGE: Final = "exchange"
AIMS: Final = "aims: interlock over floor 0.7, over dbos 4; one in flight at most 8 ms over the exchange's own answer"
WARM_UP: Final = 64
WARM_UP_IN_FLIGHT: Final = 8
SUBMIT_IN_FLIGHT: Final = 16

Work = list[tuple[str, str]]
Prepare = Callable[[Work], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Candidate:
    """How its proposals are made, untimed, and how one is executed."""

    prepare: Prepare
    call: Call


async def measure(stage: Stage, arguments: argparse.Namespace) -> list[Sample]:
    """Run all rounds; return a sample for each run of each candidate."""
    candidates = {name: _candidate(stage, name) for name in CANDIDATES}
    samples: list[Sample] = []
    async with aiohttp.ClientSession() as session:
        exchange = _bare_post(stage, session)
        for candidate in candidates.values():
            await _run(candidate, WARM_UP, WARM_UP_IN_FLIGHT)
        await _run(exchange, WARM_UP, 1)
        for number in range(arguments.rounds):
            for in_flight in arguments.in_flight:
                turn = number % len(CANDIDATES)
                order = [*CANDIDATES[turn:], *CANDIDATES[:turn]]
                chosen = {name: candidates[name] for name in order} | ({EXCHANGE: exchange} if in_flight == 1 else {})
                for name, candidate in chosen.items():
                    _say(f"round {number + 1}/{arguments.rounds}, {in_flight:2} in flight: {name}")
                    sample = await _sample(stage, name, candidate, arguments.executions, in_flight, number)
                    samples.append(sample)
                    _say(f"  {sample.per_second:6.0f} /s, p50 {sample.p50_ms:.2f} ms, p99 {sample.p99_ms:.2f} ms\n")
    return samples


async def _sample(
    stage: Stage, name: str, candidate: Candidate, executions: int, in_flight: int, number: int
) -> Sample:
    work = await _prepared(candidate, executions)
    before = cpu.seconds_by_process(stage.pids)
    run = await drive(candidate.call, work, in_flight)
    after = cpu.seconds_by_process(stage.pids)
    spent = {each: (after[each] - before[each]) / executions * 1000 for each in before}
    return Sample(
        candidate=name,
        in_flight=in_flight,
        round=number,
        per_second=run.per_second,
        p50_ms=run.quantile_ms(0.50),
        p99_ms=run.quantile_ms(0.99),
        cpu_ms=spent,
        latencies_ms=[round(each * 1000, 3) for each in run.latencies],
    )


async def _run(candidate: Candidate, executions: int, in_flight: int) -> Run:
    return await drive(candidate.call, await _prepared(candidate, executions), in_flight)


async def _prepared(candidate: Candidate, executions: int) -> Work:
    """Make fresh proposals, each of a user of its own, so that no cap denies."""
    work = [(f"u{uuid.uuid4().hex}", str(uuid.uuid4())) for _ in range(executions)]
    await candidate.prepare(work)
    return work


def _candidate(stage: Stage, name: str) -> Candidate:
    stub: Any = TradeServiceStub(grpc.aio.insecure_channel(stage.addresses[name]))
    return Candidate(_submitting(stub) if name == "interlock" else _inserting(stage.by_hand_url), _executing(stub))


def _executing(stub: Any) -> Call:  # noqa: ANN401 - the generated stub is generic in its channel
    async def call(item: tuple[str, str]) -> None:
        request = pb.ExecuteProposalRequest(user_id=item[0], proposal_id=item[1])
        require_executed(await stub.ExecuteProposal(request, timeout=CALL_TIMEOUT_SECONDS), item)

    return call


def _submitting(stub: Any) -> Prepare:  # noqa: ANN401
    terms = pb.OrderTerms(market=MARKET, side=pb.SIDE_BUY, order_type=pb.ORDER_TYPE_MARKET, quote_amount=QUOTE_AMOUNT)

    async def submit(item: tuple[str, str]) -> None:
        request = pb.SubmitProposalRequest(
            user_id=item[0], proposal_id=item[1], terms=terms, confidence=75, rationale="benchmark"
        )
        await stub.SubmitProposal(request, timeout=CALL_TIMEOUT_SECONDS)

    async def prepare(work: Work) -> None:
        await drive(submit, work, SUBMIT_IN_FLIGHT)

    return prepare


def _inserting(url: str) -> Prepare:
    async def prepare(work: Work) -> None:
        async with await psycopg.AsyncConnection.connect(url) as connection:
            cursor = connection.cursor()
            await cursor.executemany("INSERT INTO users (user_id) VALUES (%s)", [(user,) for user, _ in work])
            await cursor.executemany(
                "INSERT INTO proposals VALUES (%s, %s, %s, %s, 'PROPOSED')",
                [(user, proposal, MARKET, QUOTE_AMOUNT) for user, proposal in work],
            )

    return prepare


def _bare_post(stage: Stage, session: aiohttp.ClientSession) -> Candidate:
    """POST the same bytes with nothing around them."""
    credentials = Credentials(Secret(stage.rivals_key.key), Secret(stage.rivals_key.secret))

    async def call(item: tuple[str, str]) -> None:
        values = claim_values(*item, "{}")
        moment, body = time.time_ns() // 1_000_000, values["body"]
        headers = signed_headers(credentials, moment, WINDOW_MS, "POST", "/v2/order", body)
        headers["content-type"] = "application/json"
        url = f"{stage.system.simulator.url}/v2/order"
        async with session.post(url, data=body, headers=headers) as answer:
            if answer.status != 200 or orjson.loads(await answer.read())["status"] != "filled":  # noqa: PLR2004
                raise RuntimeError(f"the exchange answered {answer.status}")

    async def prepare(_: Work) -> None:
        return None

    return Candidate(prepare, call)


async def traced(stage: Stage, executions: int, in_flight: int) -> breakdown.Breakdown:
    """Run the service under the tracer and return where the time went."""
    with stage.traced_service() as (address, file):
        async with grpc.aio.insecure_channel(address) as channel:
            stub: Any = TradeServiceStub(channel)
            candidate = Candidate(_submitting(stub), _executing(stub))
            await _run(candidate, WARM_UP, in_flight)
            run = await _run(candidate, executions, in_flight)
    return breakdown.read(orjson.loads(file.read_bytes()), run, in_flight, warm_up=WARM_UP)


def require_one_post_each(stage: Stage) -> int:
    """Pass when the exchange saw exactly one POST and made exactly one order per execution; return how many.

    Raises:
        RuntimeError: it saw something else.
    """
    with psycopg.connect(stage.system.database_url("auditor")) as connection:
        real = {str(row[0]) for row in connection.execute("SELECT client_order_id FROM trade_executions")}
    with psycopg.connect(stage.by_hand_url) as connection:
        others = {str(row[0]) for row in connection.execute("SELECT client_order_id FROM executions")}
    simulator = stage.system.simulator
    posts = Counter(
        orjson.loads(each["body"])["clientOrderId"] for each in simulator.requests() if each["method"] == "POST"
    )
    orders = Counter(each["clientOrderId"] for each in simulator.orders())
    repeated = [each for counted in (posts, orders) for each, times in counted.items() if times != 1]
    unsent = (real | others) - posts.keys()
    if repeated or unsent or posts.keys() != orders.keys():
        raise RuntimeError(f"{len(repeated)} orders not sent exactly once, {len(unsent)} executions never sent")
    return len(real | others)


async def run(stage: Stage, arguments: argparse.Namespace) -> None:
    """Measure, check the ledger, write the samples, print."""
    samples = [] if arguments.profile else await measure(stage, arguments)
    profiles = [await traced(stage, arguments.executions, in_flight) for in_flight in arguments.in_flight]
    breakdown.require_same_statements(profiles[0])
    executions = require_one_post_each(stage)
    RESULTS.mkdir(exist_ok=True)
    print(AIMS)
    path = RESULTS / f"execute-{time.strftime('%Y%m%d-%H%M%S')}.json"
    about = {"load_average": os.getloadavg(), "cpus": os.cpu_count(), "executions": executions}
    path.write_bytes(orjson.dumps({**about, "samples": samples, "profiles": profiles}, option=orjson.OPT_INDENT_2))
    for text in (*tables.all_of(samples), *breakdown.tables(profiles)):
        print(f"\n{text}")
    print(
        f"\n{executions} executions, in the ledger exactly one POST and one order each; load {os.getloadavg()[0]:.1f}"
    )
    print(f"samples: {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")


def _say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def _whole_numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def read_arguments(words: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="paired rounds (5)")
    parser.add_argument("--executions", type=int, default=400, help="executions of one run of one candidate (400)")
    parser.add_argument("--in-flight", type=_whole_numbers, default=[1, 8, 32], help="levels of concurrency (1,8,32)")
    parser.add_argument("--profile", action="store_true", help="only say where the time of an execution goes")
    return parser.parse_args(words)


def main() -> None:
    """Start everything, measure, stop everything."""
    arguments = read_arguments(sys.argv[1:])
    with (
        tempfile.TemporaryDirectory(prefix="interlock-bench-") as folder,
        staged(Path(folder), lambda line: _say(f"{line}\n")) as stage,
    ):
        uvloop.run(run(stage, arguments))


if __name__ == "__main__":
    main()
