"""A replica that is killed, frozen or cut off at each step of its way: at most one order, and the row tells the truth.

The scenarios run side by side, once, each with a replica of its own; the two shared ones go on.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from functools import partial

import psycopg
import pytest

from protos.trade.v1 import trade_pb2 as pb
from tests.e2e.stage import OVERDUE_SECONDS, WINDOW_SECONDS, Stage
from tests.faults.replica import Replica, replica

SIDE_BY_SIDE = 4
ON_ITS_WAY_SECONDS = 0.4
"""Long enough for a call to be where a test wants it."""
LATENCY_SECONDS = 0.5
"""How long the acknowledgement of a commit is under way while a test looks and strikes."""
ANSWER_DELAY_MS = 1_200
COMMIT = b"set_config('statement_timeout'"
"""The statement that every commit of a write carries with it, as the wire shows it the first time on a connection; the
claim's is the first of a replica that just started."""
FROZEN_SHORT_SECONDS = WINDOW_SECONDS - 0.2
"""With what the commit took, longer than the window; shorter than it takes others to call the execution lost."""
LATE_SECONDS = WINDOW_SECONDS + 0.3
FROZEN_LONG_SECONDS = OVERDUE_SECONDS + 1.5


async def killed_before_the_claim_nothing_happened_and_a_repeat_trades(here: Replica, *, locked: bool) -> None:
    with psycopg.connect(here.stage.server.url("stage_trade")) as holder:
        if not locked:
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


async def a_commit_cut_before_it_arrived_leaves_no_row_and_a_repeat_trades(here: Replica) -> None:
    here.database.cut_before(COMMIT)
    assert await here.refused(here.execute()) == "DATABASE_UNAVAILABLE"
    assert here.database.cuts_done == 1
    assert here.row() is None
    again = await here.caller.execute(here.proposal)
    assert (again.replayed, again.execution.status) == (False, pb.EXECUTION_STATUS_FILLED)
    await here.ends("FILLED", posts=1, orders=1)


async def a_commit_without_its_acknowledgement_gives_no_right_to_send(here: Replica) -> None:
    here.database.lose_answer_to(COMMIT)
    assert await here.refused(here.execute()) == "DATABASE_UNAVAILABLE"
    assert here.database.cuts_done == 1
    again = await here.repeat()
    assert (again.replayed, again.execution.status) == (True, pb.EXECUTION_STATUS_SUBMITTING)
    await here.ends("UNKNOWN", posts=0, orders=0)


async def killed_before_the_acknowledgement_came_nothing_is_sent(here: Replica) -> None:
    here.database.latency_seconds = LATENCY_SECONDS
    call = here.execute()
    await here.committed()
    here.service.kill()
    await here.refused(call)
    await here.ends("UNKNOWN", posts=0, orders=0)
    assert (await here.repeat()).execution.status == pb.EXECUTION_STATUS_UNKNOWN


async def frozen_between_commit_and_send_for_longer_than_the_window_nothing_is_sent(
    here: Replica, *, seconds: float, ends: str
) -> None:
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


async def killed_while_the_request_is_on_its_way_the_row_ends_as_the_exchange_saw_it(
    here: Replica, *, delivered: bool
) -> None:
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


async def killed_while_the_answer_is_on_its_way_the_order_is_found_and_a_restart_repeats_it(here: Replica) -> None:
    here.stage.fault("delay_response", "POST", here.order_id, ms=ANSWER_DELAY_MS)
    call = here.execute()
    await here.stage.truth.until(
        lambda: next(iter(here.stage.simulator.orders(here.order_id)), None), lambda: "no order was made", 10
    )
    here.service.kill()
    await here.refused(call)
    here.service.start()
    await asyncio.to_thread(here.service.wait_ready)
    row = await here.ends("FILLED", posts=1, orders=1)
    again = await here.caller.execute(here.proposal)
    assert (again.replayed, again.execution.execution_id) == (True, str(row["execution_id"]))


async def a_request_that_arrives_after_its_window_is_refused_by_the_exchange(here: Replica) -> None:
    here.exchange.blackhole()
    call = here.execute()
    await here.committed()
    await asyncio.sleep(LATE_SECONDS)
    here.exchange.heal()
    answered = await call
    assert answered.execution.reject_code == 304
    await here.ends("REJECTED", posts=1, orders=0)


async def a_database_lost_between_send_and_settle_is_waited_for(here: Replica) -> None:
    here.stage.fault("delay_response", "POST", here.order_id, ms=ANSWER_DELAY_MS)
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


SCENARIOS: dict[str, Callable[[Replica], Awaitable[None]]] = {
    "killed before it read": partial(killed_before_the_claim_nothing_happened_and_a_repeat_trades, locked=False),
    "killed waiting for the lock": partial(killed_before_the_claim_nothing_happened_and_a_repeat_trades, locked=True),
    "commit cut": a_commit_cut_before_it_arrived_leaves_no_row_and_a_repeat_trades,
    "acknowledgement lost": a_commit_without_its_acknowledgement_gives_no_right_to_send,
    "killed before the acknowledgement": killed_before_the_acknowledgement_came_nothing_is_sent,
    "frozen past the window": partial(
        frozen_between_commit_and_send_for_longer_than_the_window_nothing_is_sent,
        seconds=FROZEN_SHORT_SECONDS,
        ends="NOT_PLACED",
    ),
    "frozen until others call it lost": partial(
        frozen_between_commit_and_send_for_longer_than_the_window_nothing_is_sent,
        seconds=FROZEN_LONG_SECONDS,
        ends="UNKNOWN",
    ),
    "killed, request lost": partial(
        killed_while_the_request_is_on_its_way_the_row_ends_as_the_exchange_saw_it, delivered=False
    ),
    "killed, request delivered": partial(
        killed_while_the_request_is_on_its_way_the_row_ends_as_the_exchange_saw_it, delivered=True
    ),
    "killed, answer lost": killed_while_the_answer_is_on_its_way_the_order_is_found_and_a_restart_repeats_it,
    "request late": a_request_that_arrives_after_its_window_is_refused_by_the_exchange,
    "database lost after the send": a_database_lost_between_send_and_settle_is_waited_for,
}


@pytest.fixture(scope="module")
def ended(stage: Stage) -> dict[str, BaseException | None]:
    """Run all scenarios; say of each what it failed with."""
    return asyncio.run(run_all(stage))


async def run_all(stage: Stage) -> dict[str, BaseException | None]:
    turn = asyncio.Semaphore(SIDE_BY_SIDE)

    async def run(scenario: Callable[[Replica], Awaitable[None]]) -> None:
        async with turn, replica(stage) as here:
            await scenario(here)

    results = await asyncio.gather(*map(run, SCENARIOS.values()), return_exceptions=True)
    return dict(zip(SCENARIOS, results, strict=True))


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", SCENARIOS)
def test_whatever_happens_to_its_process_a_proposal_trades_at_most_once_and_the_row_says_so(
    ended: dict[str, BaseException | None], name: str
) -> None:
    failed = ended[name]
    if failed is not None:
        raise failed
