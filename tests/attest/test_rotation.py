"""A trade key replaced under load while attest runs: no order is refused, and the new key is attested before use."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from kernel.attestation import Attestation, Outcome, Role, path_of
from kernel.attestation_watch import read_written
from kernel.secret import Secret
from protos.trade.v1 import trade_pb2 as pb
from standalone.secret_files import KeyFiles, kept_key
from tests.attest.exchange import declare, replace_key
from tests.attest.test_services import ROOT, attest, until
from tests.e2e.caller import Caller, buy
from tests.e2e.stage import Stage

CALLERS = 3


@asynccontextmanager
async def attesting(variables: Mapping[str, str]) -> AsyncIterator[None]:
    """Run `attest trade --every 1h` beside the test."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "attest", "trade", "--every", "1h"),
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **variables},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.kill()
        await process.wait()


async def test_g3_a_replaced_key_is_used_once_it_is_attested_and_no_order_is_refused(
    stage: Stage, tmp_path: Path
) -> None:
    files, new = opened(stage, tmp_path / "used"), opened(stage, tmp_path / "new")
    written, declaration = tmp_path / "written", tmp_path / "declaration.yaml"
    market = stage.system.folder / "secrets" / "market_service"
    told = attest(Role.MARKET, KeyFiles(market / "key", market / "secret"), stage.simulator.url, written)
    assert told.startswith("0 "), told
    declare(declaration, Secret(files.key).fingerprint())
    key = {"BITVAVO_TRADE_KEY_FILE": str(files.key_file), "BITVAVO_TRADE_SECRET_FILE": str(files.secret_file)}
    shared = {**key, "ATTESTATION_DIR": str(written)}
    url = {"BITVAVO_REST_URL": f"{stage.simulator.url}/v2", "ATTEST_DECLARATION_FILE": str(declaration)}
    async with attesting(shared | url):
        with stage.spare(settings={**shared, "ATTESTATION_LOOK": "1s"}) as service:
            service.start()
            await asyncio.to_thread(service.wait_ready)
            async with stage.caller(service) as caller:
                enough = asyncio.Event()
                load = [asyncio.create_task(place(caller, stage, enough)) for _ in range(CALLERS)]
                await until(lambda: keys_of_orders(stage) >= {files.key[:8]})
                declare(declaration, Secret(new.key).fingerprint())
                replace_key(files, new)
                await until(lambda: keys_of_orders(stage) >= {new.key[:8]} or any(each.done() for each in load))
                attested = read_written(path_of(written, Role.TRADE))
                enough.set()
                placed = await asyncio.gather(*load)
    assert sum(placed) > 0
    assert isinstance(attested, Attestation)
    assert (attested.outcome, attested.fingerprint) == (Outcome.PROVED, Secret(new.key).fingerprint())


def opened(stage: Stage, folder: Path) -> KeyFiles:
    """Make a trade key of the account at the exchange."""
    files = kept_key(folder)
    stage.retired_keys.append(files.key)
    stage.simulator.admin(
        *("POST", "accounts"), key=files.key, secret=files.secret, account="interlock", rights=["view", "trade"]
    )
    return files


async def place(caller: Caller, stage: Stage, enough: asyncio.Event) -> int:
    """Place orders until it is enough; a refusal is an error of the test."""
    placed = 0
    while not enough.is_set():
        answer = await caller.place(stage.user(), buy())
        assert answer.execution.status == pb.EXECUTION_STATUS_FILLED
        placed += 1
        await asyncio.sleep(0.05)
    return placed


def keys_of_orders(stage: Stage) -> set[str]:
    """Name the keys, by their first characters, that orders were sent with so far."""
    return {str(row["key"]) for row in stage.simulator.requests() if row["method"] == "POST"}
