"""The demo's crash: trade_service is killed between its commit and the exchange's answer. What then is true?"""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import grpc

from protos.trade.v1 import trade_pb2 as pb
from standalone.client import buy_for, error_of
from standalone.demo_steps import codes_against, orders_posted
from standalone.screen import Stopwatch, say, values
from standalone.show import show_denials, show_events, show_execution, show_proposal, status_word
from standalone.stage import ClaimFailedError, Stage, require

USER, MARKET = "carol", "ETH-EUR"
ANSWER_DELAY_MS = 10_000
"""The exchange executes the order at once and holds its answer back: long enough to be killed meanwhile."""
ORDER_TIMEOUT_SECONDS = 10.0
SETTLE_TIMEOUT_SECONDS = 25.0
POLL_SECONDS = 0.05
UNRESOLVED = (pb.EXECUTION_STATUS_SUBMITTING, pb.EXECUTION_STATUS_UNKNOWN)

Found = TypeVar("Found")


def crash_between_commit_and_answer(stage: Stage) -> None:
    """Kill the sender while the exchange holds its answer; see the row, its settlement, and the retry."""
    proposal = stage.client.submit(USER, buy_for(MARKET, "60"), 75, "the one that crashes")
    another = stage.client.submit(USER, buy_for(MARKET, "70"), 75, "a retry under another id")
    show_proposal(proposal)
    match = {"method": "POST", "path": "/v2/order"}
    stage.system.simulator.admin("POST", "faults", match=match, fault="delay_response", ms=ANSWER_DELAY_MS, times=1)
    client_order_id = _kill_while_sending(stage, proposal)
    execution = _read_after_start(stage, proposal)
    _show_that_it_counts(stage, another)
    _wait_until_settled(stage, proposal)
    answer = stage.client.execute(proposal)
    say("  the caller's retry of the call that was lost:")
    show_execution(answer.execution)
    same = answer.execution.execution_id == execution.execution_id
    require(answer.replayed and same, "the same execution, replayed")
    require(orders_posted(stage, client_order_id) == 1, "one POST, before and after the crash together")


def _kill_while_sending(stage: Stage, proposal: pb.Proposal) -> str:
    """Kill trade_service when the exchange has the order and the sender has no answer; returns its client order id."""
    service = stage.system.trade[0]
    with ThreadPoolExecutor(max_workers=1) as threads:
        call = threads.submit(stage.client.execute, proposal)
        client_order_id = str(_wait_for(lambda: stage.row(proposal.proposal_id), "a claim")["client_order_id"])
        order = _wait_for(lambda: stage.system.simulator.orders(client_order_id), "an order at the exchange")[0]
        pid = service.pid
        service.kill()
        row = stage.row(proposal.proposal_id) or {}
        say(f"  trade_service (pid {pid}) was killed with SIGKILL while the exchange held its answer back")
        values(
            caller_got=_outcome(call),
            exchange_has=f"order {order['orderId']}, {order['status']}",
            row_in_database=f"{row['status']}, order id {row['order_id'] or 'not known'}",
        )
    require(row["status"] == "SUBMITTING", 'the row says SUBMITTING: "may have been sent"')
    return client_order_id


def _read_after_start(stage: Stage, proposal: pb.Proposal) -> pb.Execution:
    """Start trade_service again and read the execution at once."""
    service = stage.system.trade[0]
    service.start()
    service.wait_listening()
    stage.reconnect()
    execution = stage.client.execution(proposal)
    say(f"  trade_service runs again (pid {service.pid}); GetExecution answers {status_word(execution)}")
    require(execution.status in UNRESOLVED, "neither success nor failure is claimed while nothing is known")
    service.wait_ready()
    return execution


def _show_that_it_counts(stage: Stage, another: pb.Proposal) -> None:
    """Show that whoever retries under another id does not trade while the first is unresolved."""
    decision = stage.client.check(another)
    show_denials(decision)
    require("UNRESOLVED" in codes_against(decision), "it is counted: another order there would be denied, UNRESOLVED")


def _wait_until_settled(stage: Stage, proposal: pb.Proposal) -> None:
    """Wait until reconciliation found the order, and show the history."""
    watch = Stopwatch()
    while (execution := stage.client.execution(proposal)).status in UNRESOLVED:
        if watch.seconds() > SETTLE_TIMEOUT_SECONDS:
            raise ClaimFailedError(f"reconciliation settles it within {SETTLE_TIMEOUT_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)
    say(f"  settled after another {watch.seconds():.1f} s, by looking it up under its client order id:")
    show_events(execution)
    truth = execution.status == pb.EXECUTION_STATUS_FILLED and execution.fills
    require(truth, "the row tells the truth: FILLED, with the fills and the fee of the exchange")


def _outcome(call: "Future[pb.ExecuteProposalResponse]") -> str:
    try:
        call.result(timeout=ORDER_TIMEOUT_SECONDS)
    except grpc.RpcError as error:
        return f"{error_of(error)[0]}: the connection broke, no answer"
    raise ClaimFailedError("the call breaks when its server is killed")


def _wait_for(look: Callable[[], Found | None], what: str) -> Found:
    """Look until there is something.

    Raises:
        ClaimFailedError: there is nothing for ORDER_TIMEOUT_SECONDS.
    """
    deadline = time.monotonic() + ORDER_TIMEOUT_SECONDS
    while not (found := look()):
        if time.monotonic() > deadline:
            raise ClaimFailedError(f"{what} appears within {ORDER_TIMEOUT_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)
    return found
