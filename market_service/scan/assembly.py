"""Joins the parts of the scans; `app` calls it. Without a database there is only a ScanService that says so."""

import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from kernel import logs
from kernel.db import Database, Reasons
from kernel.db_watch import DatabaseWatch, taking_url
from kernel.ids import new_id
from kernel.lifecycle import Loops
from kernel.rotation import Rotation, SecretGroup, Secrets, Take
from kernel.rpc.channel import open_channel
from kernel.rpc.tls import Certificates
from kernel.secret import Secret
from market_service import reasons
from market_service.candles import Candles
from market_service.scan.desk import Desk
from market_service.scan.holds import HoldRows
from market_service.scan.job import AnalystKind, Claim
from market_service.scan.job_rows import JobRows
from market_service.scan.jobs import ScanJobs
from market_service.scan.measures import MarketMeasures
from market_service.scan.model_analyst import ModelAnalyst, ModelSettings
from market_service.scan.ports import Analyst, Boot, Ends
from market_service.scan.rpc import ScanRpc
from market_service.scan.rules import RulesAnalyst
from market_service.scan.scheduler import Scheduler
from market_service.scan.slot_run import SlotRun
from protos.trade.v1.trade_pb2_grpc import BudgetServiceStub, TradeServiceStub

CONNECTIONS_MAX: Final = 8
DATABASE: Final = Reasons(reasons.DATABASE_UNAVAILABLE)
SCHEMA: Final = "0002_scans"
"""The newest revision of the market tree; an older database is refused."""


@dataclass(frozen=True, slots=True)
class ScanSettings:
    """Where jobs are kept, where proposals go, how long a claim holds without renewal, and the model, if any."""

    database_url: Secret
    trade_address: str
    lease: timedelta
    model: ModelSettings | None


class Scans:
    """The ScanService and, with a database, a scheduler."""

    def __init__(self, rpc: ScanRpc, scheduler: Scheduler | None, watch: DatabaseWatch) -> None:
        """Hold what `open_scans` makes."""
        self.rpc = rpc
        self.watch = watch
        self._scheduler = scheduler

    def start(self, loops: Loops) -> None:
        """Begin to claim."""
        loops.start("databases", self.watch.forever)
        if self._scheduler is not None:
            loops.start("scan_turns", self._scheduler.take_turns)
            loops.start("scan_leases", self._scheduler.renew_forever)

    async def hand_over(self) -> None:
        """Claim nothing more and give jobs back, so that another instance goes on within a second."""
        if self._scheduler is not None:
            await self._scheduler.hand_over()


@asynccontextmanager
async def open_scans(
    settings: ScanSettings | None, candles: Candles, rotation: Rotation, certificates: Certificates | None = None
) -> AsyncIterator[Scans]:
    """Open what the scans need; none of it has to answer yet. `rotation` follows their secrets.

    Raises:
        UnsafeDatabaseError: the database must not be used for this.
    """
    if settings is None:
        yield Scans(ScanRpc(None), None, DatabaseWatch())
        return
    async with AsyncExitStack() as stack:
        url = settings.database_url.reveal()
        database = Database(url, connections_max=CONNECTIONS_MAX, reasons=DATABASE, revision_min=SCHEMA)
        await database.open()
        stack.push_async_callback(database.close)
        watch = DatabaseWatch(database)
        await watch.meet()
        rotation.follow(SecretGroup("database URL", settings.database_url), taking_url(database))
        channel = await stack.enter_async_context(open_channel(settings.trade_address, certificates))
        analysts = _analysts(settings, stack, rotation)
        boot = Boot(new_id(), f"{socket.gethostname()}/{os.getpid()}")
        holds = HoldRows(database, boot)
        market, desk = MarketMeasures(candles), Desk(BudgetServiceStub(channel), TradeServiceStub(channel))

        def begin(claim: Claim, ends: Ends) -> SlotRun:
            return SlotRun(claim, holds=holds, ends=ends, market=market, desk=desk, analysts=analysts)

        logs.log("scans", boot=str(boot.id), owner=boot.name, analysts=sorted(analysts))
        rpc = ScanRpc(ScanJobs(JobRows(database), tuple(analysts)))
        yield Scans(rpc, Scheduler(holds, begin, settings.lease), watch)


def _analysts(settings: ScanSettings, stack: AsyncExitStack, rotation: Rotation) -> Mapping[AnalystKind, Analyst]:
    analysts: dict[AnalystKind, Analyst] = {AnalystKind.RULES: RulesAnalyst()}
    if settings.model is not None:
        model = ModelAnalyst(settings.model)
        stack.push_async_callback(model.close)
        analysts[AnalystKind.MODEL] = model
        rotation.follow(SecretGroup("analyst key", settings.model.key), _taking_key(model))
    return analysts


def _taking_key(model: ModelAnalyst) -> Take:
    async def take(new: Secrets) -> bool:
        model.use_key(new[0])
        return True

    return take
