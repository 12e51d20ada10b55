"""G3: the process that trades has the trade key only, reads no market data, and calls its own few endpoints only."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bitvavo import endpoints
from bitvavo.client import TradeClient
from bitvavo.endpoints import TRADE_ENDPOINTS, AllowList, Endpoint, ForbiddenEndpointError
from bitvavo.session import Session
from bitvavo.signing import Credentials
from bitvavo.transport import open_client
from kernel.environment import SettingsError
from kernel.secret import Secret
from tests.bitvavo.raw_server import FAULTS, RawServer, running
from tests.trade_service import given
from trade_service.settings import FORBIDDEN, read_settings

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS_MAX = 30

NOT_OURS = [
    *(("PUT", "/order"), ("DELETE", "/orders"), ("POST", "/withdrawal"), ("GET", "/deposit"), ("GET", "/balance")),
    *(("GET", "/account"), ("GET", "/BTC-EUR/book"), ("GET", "/markets"), ("GET", "/ticker/price")),
    *(("POST", "/order/"), ("POST", "/order/../withdrawal"), ("GET", "/withdrawalHistory")),
]
CREDENTIALS = Credentials(Secret("k" * 64), Secret("s" * 128))


@pytest.mark.parametrize(("method", "path"), NOT_OURS)
async def test_g3_a_forbidden_endpoint_is_refused_before_anything_leaves(method: str, path: str) -> None:
    """By the transport, whoever asks it; and by the session, before anything is signed."""
    server = RawServer(FAULTS["ok"])
    async with running(server) as url, open_client(url, TRADE_ENDPOINTS) as http:
        direct = await given.outcome(http.request(method, path))
        session = Session(http, TRADE_ENDPOINTS, CREDENTIALS, lambda: given.SIGNED_MS, None)
        signed = await given.outcome(session.send(Endpoint(method, path, 1, signed=True)))
    assert [type(each) for each in (direct, signed)] == [ForbiddenEndpointError] * 2
    assert server.requests == []


def test_g3_the_trade_side_may_ask_exactly_these_endpoints() -> None:
    assert {(each.method, each.path) for each in TRADE_ENDPOINTS} == {
        *(("POST", "/order"), ("GET", "/order"), ("DELETE", "/order")),
        *(("GET", "/orders"), ("GET", "/ordersOpen"), ("GET", "/trades"), ("GET", "/time")),
    }
    assert not any(isinstance(each, AllowList) for each in (TradeClient, endpoints))


def whole_environment(folder: Path) -> dict[str, str]:
    """Everything trade_service needs to start, and nothing more."""
    (folder / "policies").mkdir(exist_ok=True)
    return {
        "BITVAVO_TRADE_KEY": "k" * 64,
        "BITVAVO_TRADE_SECRET": "s" * 128,
        "TRADE_DATABASE_URL": "postgresql://trade_service:pw-canary@127.0.0.1:1/trade",
        "TRADE_RECONCILER_DATABASE_URL": "postgresql://trade_reconciler:pw-canary@127.0.0.1:1/trade",
        "BITVAVO_OPERATOR_ID": "7",
        "POLICY_DIR": str(folder / "policies"),
        "TRADE_LISTEN": "127.0.0.1:0",
        "TRADE_METRICS_LISTEN": "127.0.0.1:0",
    }


@pytest.mark.parametrize("visible", [*FORBIDDEN, "MARKET_DATABASE_URL", "MARKET_DATABASE_URL_FILE"])
@pytest.mark.parametrize("value", ["", "canary-of-the-other-key"])
def test_g3_the_process_that_trades_refuses_to_start_beside_the_other_key(
    tmp_path: Path, visible: str, value: str
) -> None:
    """Set at all, even to nothing: then somebody's set-up gives it to this process."""
    environment = whole_environment(tmp_path)
    read_settings(environment)
    refusal = ""
    try:
        read_settings(environment | {visible: value})
    except SettingsError as error:
        refusal = str(error)
    assert visible in refusal
    assert "must not be able to read the market" in refusal
    assert "canary" not in refusal


def test_g3_a_started_process_ends_at_once_and_names_the_other_key(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], **whole_environment(tmp_path), "BITVAVO_READONLY_KEY": "canary-key"}
    run = subprocess.run(
        [sys.executable, "-m", "trade_service"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=START_SECONDS_MAX,
    )
    assert run.returncode == 2
    assert "BITVAVO_READONLY_KEY" in run.stderr
    assert "canary" not in run.stderr + run.stdout
    assert "pw-" not in run.stderr + run.stdout


def test_g3_the_import_contracts_hold() -> None:
    """Neither service imports the other; what decides imports no wire, store or exchange."""
    linter = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run(
        [linter, "--no-logo"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=START_SECONDS_MAX
    )
    assert run.returncode == 0, run.stdout
    assert "0 broken" in run.stdout
    assert "The services meet over gRPC only KEPT" in run.stdout
