"""Reconciliation: what became of orders whose answer was lost, and of orders that rest. Any replica may do it.

It never sends an order. A send that was not settled by its window's end becomes UNKNOWN, counted as if the order
existed, and is looked up by its client order id until the exchange shows it; an order id always wins.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from kernel import logs
from kernel.alarms import raise_alarm
from kernel.errors import Unavailable
from policy.model import ExecutionStatus
from trade_service.counters import count_settlement, show_open
from trade_service.execution import Settlement
from trade_service.ports import BudgetStore, Due, Exchange, ExecutionStore, LookUp, ProposalStore, SweepStore
from trade_service.readiness import Condition, Readiness
from trade_service.reservation import Outcome, ReservationStatus

ROUND_PAUSE_SECONDS: Final = 0.5
DUE_MAX: Final = 500
ATTENDED_AT_ONCE_MAX: Final = 8
LAPSED_MAX: Final = 100
EXPIRED_MAX: Final = 100
FIRST_PAUSE_SECONDS: Final = 0.5
PAUSE_MAX_SECONDS: Final = 30.0
LOST_PAUSE_MAX_SECONDS: Final = 600.0
"""For an order that the exchange answers it does not have: it may never have had it, and each look costs six of the 250
points a minute for all look-ups and cancels. At a look every half minute, 21 such orders left none for a cancel."""

NEEDS_REVIEW: Final = "NEEDS_REVIEW"
LOST: Final = "the exchange goes on answering that it has no order of this client order id, which may have been sent"

NO_ANSWER: Final = Settlement(
    ExecutionStatus.UNKNOWN,
    frozenset({ExecutionStatus.SUBMITTING}),
    "ANSWER_LOST",
    evidence={"why": "the window and its margin passed and the sender stored no outcome"},
)
LAPSED: Final = Outcome(ReservationStatus.LAPSED, "", 0, 0, None, "")


@dataclass(slots=True)
class _Patience:
    """When to ask again about one execution, and how long to wait after that; a wish to cancel begins anew.

    `answered`: the exchange has answered about it at least once.
    """

    cancel: bool
    next_at: float
    answered: bool = False
    pause_seconds: float = FIRST_PAUSE_SECONDS

    def learn(self, found: LookUp, status: ExecutionStatus, now: float) -> None:
        """Take what a look at `now` gave about an execution of this status: what is not there can wait longest."""
        lost = found.answered and found.settlement is None and status is not ExecutionStatus.SUBMITTED
        longest = LOST_PAUSE_MAX_SECONDS if lost else PAUSE_MAX_SECONDS
        self.pause_seconds = min(self.pause_seconds * 2, longest)
        self.next_at = min(self.next_at, now + longest)
        self.answered = self.answered or found.answered


class Reconcile:
    """Looks after executions that are not final."""

    def __init__(
        self,
        sweep: SweepStore,
        executions: ExecutionStore,
        proposals: ProposalStore,
        budget: BudgetStore,
        exchange: Exchange,
        readiness: Readiness,
        monotonic: Callable[[], float],
    ) -> None:
        """Take the parts."""
        self._sweep = sweep
        self._executions = executions
        self._proposals = proposals
        self._budget = budget
        self._exchange = exchange
        self._readiness = readiness
        self._monotonic = monotonic
        self._turns = asyncio.Semaphore(ATTENDED_AT_ONCE_MAX)
        self._patience: dict[UUID, _Patience] = {}

    async def forever(self) -> None:
        """Run rounds until cancelled; a database that is away costs a round."""
        while True:
            try:
                await self.round()
            except Unavailable as failure:
                logs.log("reconcile_round_failed", reason=failure.reason)
            await asyncio.sleep(ROUND_PAUSE_SECONDS)

    async def round(self) -> None:
        """Look once at everything due. Ready once every unresolved row was answered about.

        Raises:
            Exception: the first that an execution met; all others were attended all the same.
        """
        due = await self._sweep.due(DUE_MAX)
        resting = sum(each.status is ExecutionStatus.SUBMITTED for each in due)
        show_open(len(due) - resting, resting)
        known = {each.target.execution_id for each in due}
        self._patience = {key: value for key, value in self._patience.items() if key in known}
        attended = await asyncio.gather(*(self._attend_in_turn(each) for each in due), return_exceptions=True)
        # Resting orders come last: where one of them is the last of a full list, no unresolved row was left out.
        whole = len(due) < DUE_MAX or due[-1].status is ExecutionStatus.SUBMITTED
        if whole and all(each is True for each in attended):
            self._readiness.meet(Condition.RECONCILED)
        for user_id, reservation_id in await self._sweep.lapsed(LAPSED_MAX):
            await self._budget.settle(user_id, reservation_id, LAPSED)
        for user_id, proposal_id in await self._sweep.expired(EXPIRED_MAX):
            await self._proposals.expire(user_id, proposal_id)
        for failure in attended:
            if isinstance(failure, BaseException):
                raise failure

    async def _attend_in_turn(self, due: Due) -> bool:
        """Attend, a few at a time: one look-up that hangs holds up no other."""
        async with self._turns:
            return await self._attend(due)

    async def _attend(self, due: Due) -> bool:
        """Do what one execution needs; say whether it keeps nobody from claiming."""
        # Cases: its sender may still be at work; nobody settled it in time; not its turn yet; asked about.
        target = due.target
        if due.status is ExecutionStatus.SUBMITTING and not due.overdue:
            return True
        if due.status is ExecutionStatus.SUBMITTING:
            await self._executions.settle(target.user_id, target.execution_id, NO_ANSWER)
        patience = self._patience.get(target.execution_id)
        if patience is None or due.cancel is not patience.cancel:
            answered = patience is not None and patience.answered
            patience = self._patience[target.execution_id] = _Patience(due.cancel, self._monotonic(), answered)
        if self._monotonic() >= patience.next_at:
            patience.next_at = self._monotonic() + patience.pause_seconds
            patience.learn(await self._ask(due), due.status, self._monotonic())
            if patience.pause_seconds == LOST_PAUSE_MAX_SECONDS:
                raise_alarm(NEEDS_REVIEW, LOST, subject=str(target.client_order_id), user_id=target.user_id)
        return patience.answered or due.status is ExecutionStatus.SUBMITTED

    async def _ask(self, due: Due) -> LookUp:
        target = due.target
        if due.cancel:
            await self._exchange.cancel(target)
        found = await self._exchange.look_up(target)
        if found.settlement is not None:
            count_settlement(found.settlement)
            await self._executions.settle(target.user_id, target.execution_id, found.settlement)
        return found
