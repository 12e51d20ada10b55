"""From a started process to one that may claim: the database's word, the policies in force, the health names."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from kernel import logs
from kernel.alarms import raise_alarm
from kernel.errors import NotNow, Unavailable
from trade_service.ports import AdminStore
from trade_service.readiness import NOT_YET, Condition, Readiness
from trade_service.reload import Reload

RETRY_SECONDS: Final = 0.5
PULSE_SECONDS: Final = 1.0
POLICY_DIRECTORY_BAD: Final = "POLICY_DIRECTORY_BAD"


async def prepare(store: AdminStore, reload: Reload, readiness: Readiness) -> None:
    """Read what the database says, waiting for it as long as it takes.

    A policy directory with a bad file, on a database that never had policies, is alarmed and leaves nothing in force:
    everything is denied until ReloadPolicies succeeds.
    """
    while not readiness.holds(Condition.DEPLOYMENT):
        try:
            await reload.load_at_start()
            readiness.know_deployment(await store.deployment_id())
        except NotNow as failure:
            raise_alarm(POLICY_DIRECTORY_BAD, failure.message)
            readiness.know_deployment(await store.deployment_id())
        except Unavailable as failure:
            logs.log("start_waits", reason=failure.reason)
            await asyncio.sleep(RETRY_SECONDS)


def take_attestation(readiness: Readiness, attested: bool) -> None:  # noqa: FBT001 - told by who watches it
    """Let claims wait while what the trade key may do is not attested, and go on when it is."""
    if attested:
        readiness.meet(Condition.ATTESTED)
    else:
        readiness.miss(Condition.ATTESTED, NOT_YET[Condition.ATTESTED])


async def pulse(
    readiness: Readiness,
    database_answers: Callable[[], Awaitable[bool]],
    clock_known: Callable[[], bool],
    show: Callable[[bool], None],
) -> None:
    """Show for ever whether a claim could be made now: the health name `trade.ready`."""
    while True:
        show(readiness.ready and clock_known() and await database_answers())
        await asyncio.sleep(PULSE_SECONDS)
