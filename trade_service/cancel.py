"""CancelExecution: record the wish, ask the exchange, read what became of the order. Cancels pass while halted."""

from uuid import UUID

from kernel.errors import NotFound, NotNow, StateViolation
from trade_service import reasons
from trade_service.execution import OPEN, Execution
from trade_service.ports import Exchange, ExecutionStore


class Cancel:
    """Cancels of our own orders."""

    def __init__(self, executions: ExecutionStore, exchange: Exchange) -> None:
        """Take the parts."""
        self._executions = executions
        self._exchange = exchange

    async def cancel(self, user_id: str, proposal_id: UUID, actor: str, reason: str) -> Execution:
        """Ask for a cancel; answer the execution as it is known afterwards. May be repeated until it is final.

        The order may fill first, or be found later: what the exchange says afterwards decides, never the cancel's
        own answer. An execution still unknown keeps the wish, and reconciliation repeats it.

        Raises:
            NotFound: no execution of this proposal. NotNow: it is final.
        """
        execution = await self._executions.request_cancel(user_id, proposal_id, actor, reason)
        if execution is None:
            message = f"no execution of proposal {proposal_id} of this user"
            raise NotFound(reasons.EXECUTION_NOT_FOUND, message)
        if execution.status not in OPEN:
            message = f"the execution is {execution.status}; there is nothing to cancel"
            violation = StateViolation("EXECUTION_STATUS", str(execution.status), message)
            raise NotNow(reasons.EXECUTION_FINAL, message, (violation,), metadata={"status": str(execution.status)})
        await self._exchange.cancel(execution.target)
        found = await self._exchange.look_up(execution.target)
        if found.settlement is None:
            return execution
        return await self._executions.settle(user_id, execution.execution_id, found.settlement)
