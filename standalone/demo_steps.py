"""The steps of the demo but the crash: each does one thing, shows the answers, and claims what must hold."""

import time
from decimal import Decimal

import grpc

from protos.trade.v1 import trade_pb2 as pb
from standalone.client import buy_for, error_of, limit_buy
from standalone.screen import say, values
from standalone.show import fee_of, show_decision, show_denials, show_execution, show_proposal, status_word
from standalone.stage import Stage, require

USER, APPROVER = "alice", "bob"
TOO_DEAR = Decimal("1.2")
MANY_REASONS = 4
DENIAL_HOLDS_SECONDS = 1.1
"""Denials of one proposal closer than a second answer the last decision."""


def denied_with_every_reason(stage: Stage) -> None:
    """Propose something that several rules forbid."""
    market = stage.client.market("BTC-EUR")
    dear = stage.client.best_ask(market.market) * TOO_DEAR
    tick = Decimal(market.tick_size)
    price = dear // tick * tick + tick / 2
    terms = limit_buy(market.market, "0.01", f"{price:f}")
    proposal = stage.client.submit(USER, terms, 60, "too large, too dear, off the tick, unsure")
    show_proposal(proposal)
    answer = stage.client.execute(proposal)
    show_decision(answer.decision)
    codes = codes_against(answer.decision)
    require(answer.decision.outcome == pb.DECISION_OUTCOME_DENY, "the proposal is denied")
    require(len(codes) >= MANY_REASONS, f"all {len(codes)} reasons are named at once: {', '.join(codes)}")
    require(not answer.HasField("execution"), "nothing was sent")


def executed_once(stage: Stage) -> pb.Proposal:
    """Submit, approve as another person, execute."""
    proposal = stage.client.submit(USER, buy_for("BTC-EUR", "150"), 75, "first entry")
    show_proposal(proposal)
    before = stage.client.check(proposal)
    require(codes_against(before) == ["APPROVAL_REQUIRED"], "unapproved it would be denied: APPROVAL_REQUIRED")
    approved = stage.client.approve(proposal, APPROVER)
    values(approval=f"by {approved.approval.approver}, of content {approved.approval.content_hash[:16]}…")
    answer = stage.client.execute(proposal)
    execution = answer.execution
    show_denials(answer.decision)
    show_execution(execution)
    orders = stage.system.simulator.orders(execution.client_order_id)
    require(execution.status == pb.EXECUTION_STATUS_FILLED and not answer.replayed, "it was executed, and filled")
    require(
        [each["orderId"] for each in orders] == [execution.order_id], "the exchange has this one order under this id"
    )
    require(execution.fills, f"fills and fee ({fee_of(execution)}) are the exchange's own")
    return proposal


def repeated(stage: Stage, proposal: pb.Proposal) -> None:
    """Make the same call again."""
    first = stage.client.execution(proposal)
    answer = stage.client.execute(proposal)
    values(execution=f"{answer.execution.execution_id}  {status_word(answer.execution)}", replayed=answer.replayed)
    posts = orders_posted(stage, first.client_order_id)
    require(list(answer.execution.fills) == list(first.fills), "its fills are answered again, none lost, none new")
    require(answer.replayed and answer.execution.execution_id == first.execution_id, "the same execution, replayed")
    require(posts == 1, "the exchange got no second request: 1 POST under this client order id")


def market_not_allowed(stage: Stage) -> None:
    """Propose in a market that the allowlist lacks."""
    proposal = stage.client.submit(USER, buy_for("XRP-EUR", "50"), 75, "a market nobody allowed")
    show_proposal(proposal)
    answer = stage.client.execute(proposal)
    show_denials(answer.decision)
    require(codes_against(answer.decision) == ["MARKET_NOT_ALLOWED"], "denied, for this reason alone")
    require(not answer.HasField("execution"), "nothing was sent")


def kill_switch(stage: Stage) -> None:
    """Halt everything, see a denial, loosen, see the same proposal trade."""
    client = stage.client
    proposal = client.submit(USER, buy_for("SOL-EUR", "40"), 100, "wanted while trading is halted")
    show_proposal(proposal)
    switch = client.set_trading(pb.TRADING_STATE_HALTED, "demo: somebody pulled the plug")
    values(switch=f"GLOBAL HALTED, generation {switch.generation}, by {switch.actor}: {switch.reason}")
    answer = client.execute(proposal)
    show_denials(answer.decision)
    require(codes_against(answer.decision) == ["TRADING_HALTED"], "denied while trading is halted: TRADING_HALTED")
    _loosen_blindly(stage, switch)
    opened = client.set_trading(pb.TRADING_STATE_ACTIVE, "demo: looked into it", switch.generation)
    values(switch=f"GLOBAL ACTIVE, generation {opened.generation}: {opened.reason}")
    time.sleep(DENIAL_HOLDS_SECONDS)
    answer = client.execute(proposal)
    show_execution(answer.execution)
    require(answer.execution.status == pb.EXECUTION_STATUS_FILLED, "judged afresh, the same proposal trades")


def codes_against(decision: pb.Decision) -> list[str]:
    """Return the codes of the verdicts that do not pass, in the order judged."""
    return [each.code for each in decision.verdicts if each.outcome != pb.VERDICT_OUTCOME_PASS]


def orders_posted(stage: Stage, client_order_id: str) -> int:
    """Count the POSTs that the exchange received under a client order id."""
    requests = stage.system.simulator.requests(client_order_id)
    return sum(each["method"] == "POST" for each in requests)


def _loosen_blindly(stage: Stage, switch: pb.TradingSwitch) -> None:
    """Show that nobody loosens a switch whose generation he has not seen."""
    try:
        stage.client.set_trading(pb.TRADING_STATE_ACTIVE, "demo: without looking")
    except grpc.RpcError as error:
        status, reason, metadata = error_of(error)
        say(f"  loosening without the generation: {status} {reason} {metadata}")
        named = metadata.get("generation") == str(switch.generation)
        require(reason == "GENERATION_MISMATCH" and named, "refused, and the generation to name is in the error")
        return
    require(holds=False, claim="loosening without the generation is refused")
