"""Both services beside real attestations: refused at the start, lost and found again while they run."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio
import pytest

from attest.files import write_attestation
from kernel.attestation import MAX_AGE, Attestation, Conclusion, Outcome, Probe, Role, path_of
from kernel.attestation_watch import read_written
from kernel.secret import Secret
from market_service.settings import read_settings as read_market_settings
from protos.market.v1 import market_pb2
from protos.market.v1.market_pb2_grpc import MarketServiceStub
from protos.trade.v1 import trade_pb2 as pb
from standalone.secret_files import KeyFiles
from standalone.service import Service, serving
from tests.attest.exchange import declare
from tests.e2e.caller import CALL_SECONDS, Caller, Failure, bid, buy
from tests.e2e.stage import Stage
from tests.market_service.processes import KEY, SECRET, MarketService, Simulator
from tests.market_service.refusals import details
from trade_service.settings import read_settings as read_trade_settings

ROOT: Final = Path(__file__).parents[2]
SECONDS: Final = 40.0
VARIABLES: Final = {Role.MARKET: "BITVAVO_READONLY", Role.TRADE: "BITVAVO_TRADE"}


def attest(role: Role, files: KeyFiles, url: str, directory: Path) -> str:
    """Run the real program about this key; return how it ended and what it wrote."""
    directory.mkdir(exist_ok=True)
    name = VARIABLES[role]
    declaration = declare(directory / f"{role}.yaml", Secret(files.key).fingerprint())
    variables = {
        f"{name}_KEY_FILE": str(files.key_file),
        f"{name}_SECRET_FILE": str(files.secret_file),
        "BITVAVO_REST_URL": f"{url}/v2",
        "ATTESTATION_DIR": str(directory),
        "ATTEST_DECLARATION_FILE": str(declaration),
    }
    bare = {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-m", "attest", role.value],
        cwd=ROOT,
        env=bare | variables,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return f"{done.returncode} {done.stdout} {done.stderr}"


def standing(directory: Path, role: Role) -> Attestation:
    found = read_written(path_of(directory, role))
    assert isinstance(found, Attestation)
    return found


@contextmanager
def grown_old(directory: Path, role: Role) -> Iterator[None]:
    """Let an attestation be too old for a while."""
    fresh = standing(directory, role)
    at = datetime.now(UTC) - MAX_AGE - timedelta(minutes=1)
    write_attestation(directory, Attestation(role, fresh.fingerprint, fresh.outcome, at, fresh.probes))
    yield
    write_attestation(directory, fresh)


# --- the start ---


@pytest.mark.parametrize("module", ["market_service", "trade_service"])
@pytest.mark.parametrize(
    ("fingerprints", "outcome", "says"),
    [
        ({}, Outcome.PROVED, "is missing; run: python -m attest"),
        ({Role.MARKET: "own", Role.TRADE: "own"}, Outcome.PROVED, "have the same key"),
        ({Role.MARKET: "own", Role.TRADE: "own"}, Outcome.INCONCLUSIVE, "INCONCLUSIVE: the answer proved nothing"),
        ({Role.MARKET: "other", Role.TRADE: "other"}, Outcome.PROVED, "give attest the key in use"),
    ],
)
def test_g3_a_service_does_not_start_without_a_proof_about_its_key(
    tmp_path: Path, module: str, fingerprints: Mapping[Role, str], outcome: Outcome, says: str
) -> None:
    probe = Probe("trade", "absent", "DELETE /order", "400 / 205", Conclusion.INCONCLUSIVE, "the answer proved nothing")
    for role, fingerprint in fingerprints.items():
        own = Secret(KEY).fingerprint() if fingerprint == "own" else "00000000"
        write_attestation(tmp_path, Attestation(role, own, outcome, datetime.now(UTC), (probe,)))
    done = subprocess.run(
        [sys.executable, "-m", module],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **variables_of(module, tmp_path)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    line = done.stderr.splitlines()[-1]
    assert line.startswith(f"{module} does not start: ATTESTATION_DIR: not attested within 0 s: ")
    assert says in line
    assert KEY not in done.stderr


def variables_of(module: str, directory: Path) -> dict[str, str]:
    """What a service needs to come as far as its attestation; nothing behind it is reached."""
    (directory / "policies").mkdir(exist_ok=True)
    prefix = "MARKET" if module == "market_service" else "TRADE"
    key = VARIABLES[Role.MARKET if module == "market_service" else Role.TRADE]
    more = {
        "TRADE_DATABASE_URL": "postgresql://trade_service:pw@127.0.0.1:1/trade",
        "TRADE_RECONCILER_DATABASE_URL": "postgresql://trade_reconciler:pw@127.0.0.1:1/trade",
        "BITVAVO_OPERATOR_ID": "7",
        "POLICY_DIR": str(directory / "policies"),
    }
    return {
        f"{key}_KEY": KEY,
        f"{key}_SECRET": SECRET,
        f"{prefix}_LISTEN": "127.0.0.1:0",
        f"{prefix}_METRICS_LISTEN": "127.0.0.1:0",
        "ATTESTATION_DIR": str(directory),
        "ATTESTATION_WAIT": "0s",
        **(more if module == "trade_service" else {}),
    }


def test_off_loopback_the_attestation_is_required(tmp_path: Path) -> None:
    reads: dict[str, Callable[[Mapping[str, str]], Any]] = {
        "market_service": read_market_settings,
        "trade_service": read_trade_settings,
    }
    for module, read in reads.items():
        variables = variables_of(module, tmp_path)
        assert read(variables).attestation.strict is True
        del variables["ATTESTATION_DIR"]
        assert read(variables).attestation is None
        prefix = module.partition("_")[0].upper()
        with pytest.raises(Exception, match="ATTESTATION_DIR: absent; expected a directory"):
            read(variables | {f"{prefix}_LISTEN": "10.0.0.1:0"})


# --- trade_service, running ---


@pytest.fixture
def attested(stage: Stage, tmp_path: Path) -> Path:
    """Attest both keys of the running system."""
    secrets = stage.system.folder / "secrets"
    for role in Role:
        folder = secrets / f"{role}_service"
        told = attest(role, KeyFiles(folder / "key", folder / "secret"), stage.simulator.url, tmp_path / "written")
        assert told.startswith("0 "), told
    return tmp_path / "written"


async def test_g3_while_its_attestation_is_lost_trade_service_claims_nothing_and_does_all_else(
    stage: Stage, attested: Path
) -> None:
    user = stage.user()
    with stage.spare(settings={"ATTESTATION_DIR": str(attested), "ATTESTATION_LOOK": "1s"}) as service:
        service.start()
        await asyncio.to_thread(service.wait_ready)
        async with stage.caller(service) as caller:
            resting = await caller.place(user, bid("ETH-EUR", "0.01", "1000"))
            waiting = await caller.submit(user, buy())
            with grown_old(attested, Role.TRADE):
                failure = await until_lost(caller, stage)
                assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "KEY_NOT_ATTESTED")
                assert failure.retry_seconds == 30.0
                await until(lambda: not ready(service))
                await all_else_goes_on(stage, caller, resting.proposal, waiting)
            await until(lambda: ready(service))
            executed = await caller.execute(waiting)
    assert executed.execution.status == pb.EXECUTION_STATUS_FILLED
    alarm, *_ = stage.truth.rows("SELECT code, subject, message FROM alarms WHERE code = 'ATTESTATION_LOST'")
    assert alarm["subject"] == "trade"
    assert "more than 2:30:00 ago" in alarm["message"]


async def until_lost(caller: Caller, stage: Stage) -> Failure:
    """Place orders until one is refused."""
    ends = time.monotonic() + SECONDS
    while time.monotonic() < ends:
        try:
            await caller.place(stage.user(), buy())
        except grpc.aio.AioRpcError as error:
            return caller.failure(error)
        await asyncio.sleep(0.1)
    raise AssertionError("orders were placed all the while")


async def all_else_goes_on(
    stage: Stage, caller: Caller, resting: pb.Proposal, waiting: pb.SubmitProposalRequest
) -> None:
    """Check, submit, read, cancel, and turn the switch."""
    check = pb.CheckProposalRequest(user_id=waiting.user_id, proposal_id=waiting.proposal_id)
    checked = await caller.trade[0].CheckProposal(check, timeout=CALL_SECONDS)
    assert checked.decision.outcome == pb.DECISION_OUTCOME_ALLOW
    await caller.submit(stage.user(), buy())
    answered = await caller.cancel(resting.user_id, resting.proposal_id)
    assert answered.HasField("cancel_requested_at")
    await stage.truth.becomes(resting.user_id, resting.proposal_id, "CANCELED")
    halt = pb.SetTradingStateRequest(
        scope=pb.TRADING_SCOPE_USER, subject=stage.user(), state=pb.TRADING_STATE_HALTED, reason="a test"
    )
    assert (await caller.admin[0].SetTradingState(halt, timeout=CALL_SECONDS)).switch.state == halt.state


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not await asyncio.to_thread(holds):  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.1)


def ready(service: Service) -> bool:
    with grpc.insecure_channel(service.address) as channel:
        return serving(channel, "trade.ready")


# --- market_service, running ---


async def test_g3_while_its_attestation_is_lost_market_service_reads_no_account_and_tells_prices(
    tmp_path: Path,
) -> None:
    directory = tmp_path / "written"
    simulator = Simulator(tmp_path)
    try:
        (tmp_path / "key").write_text(KEY)
        (tmp_path / "secret").write_text(SECRET)
        for name in ("key", "secret"):
            (tmp_path / name).chmod(0o400)
        told = attest(Role.MARKET, KeyFiles(tmp_path / "key", tmp_path / "secret"), simulator.url, directory)
        assert told.startswith("0 "), told
        proved = standing(directory, Role.MARKET)
        trade = Attestation(Role.TRADE, "00000000", Outcome.PROVED, proved.at, proved.probes)
        write_attestation(directory, trade)
        service = MarketService(tmp_path, simulator.url, ATTESTATION_DIR=str(directory), ATTESTATION_LOOK="1s")
        try:
            await loses_and_finds(service, directory)
        finally:
            assert service.stop() == 0
    finally:
        simulator.stop()


async def loses_and_finds(service: MarketService, directory: Path) -> None:
    balances, markets = market_pb2.GetBalancesRequest(), market_pb2.ListMarketsRequest()
    book = market_pb2.GetOrderBookRequest(market="BTC-EUR")
    async with grpc.aio.insecure_channel(service.address) as channel:
        stub: Any = MarketServiceStub(channel)
        assert (await stub.GetBalances(balances)).balances
        with grown_old(directory, Role.MARKET):
            assert await answers(lambda: stub.GetBalances(balances), "UNAVAILABLE KEY_NOT_ATTESTED")
            assert (await stub.ListMarkets(markets)).markets
            assert (await stub.GetOrderBook(book)).bids
        assert await answers(lambda: stub.GetBalances(balances), "OK")


async def answers(call: Callable[[], Awaitable[object]], wanted: str) -> bool:
    """Call until the answer is what is wanted; balances are told from memory for some seconds."""
    ends = time.monotonic() + SECONDS
    while time.monotonic() < ends:
        try:
            await call()
            told = "OK"
        except grpc.aio.AioRpcError as error:
            told = f"{error.code().name} {details(error)[0]}"
        if told == wanted:
            return True
        await asyncio.sleep(0.2)
    return False
