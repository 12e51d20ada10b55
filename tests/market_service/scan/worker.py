"""A scanner of real parts, one job at a time; with `--die`, one for each step of a slot that kills itself there.

Around each part lies a wrapper that counts nothing and changes nothing but where the process ends.
"""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import grpc.aio

from kernel import logs
from kernel.errors import Failure
from market_service.scan.desk import Desk
from market_service.scan.holds import HoldRows
from market_service.scan.job import AnalystKind
from market_service.scan.model_analyst import ModelAnalyst
from market_service.scan.slot_run import LostError, SlotRun
from market_service.settings import read_settings
from protos.trade.v1.trade_pb2_grpc import BudgetServiceStub, TradeServiceStub
from tests.market_service.scan import given
from tests.market_service.scan.given import AtOnce, OneAtATime

METHODS = ("claim", "keep_snapshot", "reserve", "judge", "settle", "keep_opinion", "submit", "end")
STEPS = tuple(f"{when}:{method}" for method in METHODS for when in ("before", "after"))[1:]
"""Before a claim nothing has happened; after it and around each later step, a process may end."""


class Dying:
    """A part whose process ends at a step."""

    def __init__(self, part: Any, step: str) -> None:  # noqa: ANN401
        self._part = part
        self._step = step

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        found = getattr(self._part, name)
        return _dying(found, name, self._step) if name in METHODS else found


def _dying(method: Callable[..., Any], name: str, step: str) -> Callable[..., Any]:
    async def call(*arguments: object) -> Any:  # noqa: ANN401
        if step == f"before:{name}":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = await method(*arguments)
        if step == f"after:{name}":
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    return call


async def work(step: str) -> None:
    settings = read_settings(os.environ).scans
    assert settings is not None
    assert settings.model is not None
    database = given.database(settings.database_url.reveal())
    await database.open()
    async with grpc.aio.insecure_channel(settings.trade_address) as channel:
        rows = OneAtATime(database, given.boot(f"worker/{os.getpid()}"))
        holds: Any = Dying(rows, step)
        ends: Any = Dying(AtOnce(rows), step)
        desk: Any = Dying(Desk(BudgetServiceStub(channel), TradeServiceStub(channel)), step)
        model: Any = Dying(ModelAnalyst(settings.model), step)
        while True:
            for claim in await holds.claim(settings.lease, 1):
                parts = {"market": given.MarketAt(), "desk": desk, "analysts": {AnalystKind.MODEL: model}}
                await _run(SlotRun(claim, holds=holds, ends=ends, **parts), holds)
            await asyncio.sleep(0.05)


async def _run(slot_run: SlotRun, holds: HoldRows) -> None:
    try:
        await slot_run.run()
    except LostError:
        return
    except Failure:
        await holds.release([slot_run.claim], timedelta(seconds=1))


def die_at_each() -> bool:
    """Fork a scanner for each step, before any connection or thread exists; say whether each was killed."""
    children = []
    for step in STEPS:
        if (child := os.fork()) == 0:
            asyncio.run(work(step))
        children.append(child)
    return all(os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL for child in children)


if __name__ == "__main__":
    logs.configure()
    parser = argparse.ArgumentParser()
    parser.add_argument("--die", action="store_true")
    if parser.parse_args().die:
        sys.exit(not die_at_each())
    asyncio.run(work(""))
