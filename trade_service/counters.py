"""What an operator watches: decisions, denials by rule, executions by status, and how many outcomes are not known."""

from typing import Final

from kernel.telemetry import counter, gauge
from policy.model import Decision, VerdictOutcome
from trade_service.execution import Settlement

_DECISIONS: Final = counter("interlock_decisions_total", "Decisions stored, by outcome.", ["outcome"])
_DENIALS: Final = counter("interlock_denials_total", "Verdicts that denied, by rule and code.", ["rule", "code"])
_SETTLEMENTS: Final = counter("interlock_settlements_total", "Things learned about executions, by status.", ["status"])
_UNRESOLVED: Final = gauge("interlock_executions_unresolved", "Executions whose outcome is not known.")
_ACCOUNT: Final = gauge(
    "interlock_account_orders_unexplained", "Orders no row explains, as last looked: ours (missing) or not.", ["kind"]
)
_OPEN: Final = gauge("interlock_executions_open", "Executions that rest at the exchange.")


def count_decision(decision: Decision) -> None:
    """Count one stored decision and every verdict that denied."""
    _DECISIONS.labels(decision.outcome).inc()
    for verdict in decision.verdicts:
        if verdict.outcome is not VerdictOutcome.PASS:
            _DENIALS.labels(verdict.rule, verdict.code).inc()


def count_settlement(settlement: Settlement) -> None:
    """Count one thing learned about an execution."""
    _SETTLEMENTS.labels(settlement.status).inc()


def show_open(unresolved: int, resting: int) -> None:
    """Show how many executions are not final, as the last round of reconciliation saw them."""
    _UNRESOLVED.set(unresolved)
    _OPEN.set(resting)


def show_account(missing: int, foreign: int) -> None:
    """Show how many orders of the account no row explains, as the last look at it saw them."""
    _ACCOUNT.labels("missing").set(missing)
    _ACCOUNT.labels("foreign").set(foreign)
