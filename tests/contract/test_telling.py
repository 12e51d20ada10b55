"""What both services tell of themselves: metrics, one JSON object a line, and never a secret."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import grpc
import httpx
import pytest

from protos.trade.v1 import trade_pb2 as pb
from protos.trade.v1.trade_pb2_grpc import TradeServiceStub
from standalone.system import System
from tests.contract.refusal import refused
from tests.contract.wishes import placement, rest

LEVELS = {"debug", "info", "warning", "error"}
PIECE_CHARS = 12


def metrics(system: System) -> dict[str, str]:
    pages = {}
    for service in (system.market, *system.trade):
        answer = httpx.get(service.metrics_url, trust_env=False, timeout=5)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain")
        pages[service.process.program.name] = answer.text
    return pages


def logs(system: System) -> dict[str, str]:
    return {each.process.program.name: each.process.program.log.read_text() for each in (system.market, *system.trade)}


def secrets(system: System) -> Iterator[str]:
    """Yield every secret of the run: both keys, both secrets, every password of a database."""
    for path in (system.folder / "secrets").rglob("*"):
        if path.is_file():
            text = path.read_text()
            yield str(urlsplit(text).password) if "://" in text else text


def forms(secret: str) -> set[str]:
    """Return a secret as it might turn up: whole, in pieces, reversed, encoded."""
    raw = secret.encode()
    whole = (secret, secret[::-1], base64.b64encode(raw).decode().rstrip("="), raw.hex(), quote(secret, safe=""))
    pieces = (secret[at : at + PIECE_CHARS] for at in range(0, len(secret) - PIECE_CHARS, PIECE_CHARS))
    return {*whole, *pieces}


@pytest.fixture
def traffic(trade: TradeServiceStub, user: str) -> None:
    """Make a trade, a rest, a denial and an error."""
    trade.PlaceOrder(placement(user))
    wish = placement("y" + user, rest("30000", "0.001"))
    trade.PlaceOrder(wish)
    trade.CancelExecution(pb.CancelExecutionRequest(user_id=wish.user_id, proposal_id=wish.proposal_id))
    trade.PlaceOrder(placement(user))
    refused(lambda: trade.GetProposal(pb.GetProposalRequest(user_id="'; --", proposal_id="x" * 1_000)))


def test_both_services_count_their_calls_and_decisions(system: System, traffic: None) -> None:
    pages = metrics(system)
    assert 'grpc_method="PlaceOrder",grpc_code="OK"' in pages["trade_service-1"].replace(
        'grpc_code="OK",grpc_method="PlaceOrder"', 'grpc_method="PlaceOrder",grpc_code="OK"'
    )
    assert 'interlock_decisions_total{outcome="ALLOW"}' in pages["trade_service-1"]
    assert 'interlock_denials_total{code="COOLDOWN",rule="cooldown"}' in pages["trade_service-1"]
    assert 'grpc_method="GetOrderBook"' in pages["market_service"]


def test_every_line_of_a_log_is_one_json_object(system: System, traffic: None) -> None:
    for name, text in logs(system).items():
        lines = text.splitlines()
        assert len(lines) > 1, name
        for line in lines:
            told = json.loads(line)
            assert {"ts", "level", "event"} <= told.keys(), line
            assert told["level"] in LEVELS


def test_a_call_is_one_line_with_its_request_id_and_outcome(system: System, trade: TradeServiceStub) -> None:
    request_id = "told-once"
    trade.ListProposals(pb.ListProposalsRequest(user_id="nobody"), metadata=(("x-request-id", request_id),))
    [line] = [json.loads(line) for line in logs(system)["trade_service-1"].splitlines() if f'"{request_id}"' in line]
    assert (line["event"], line["code"], line["actor"], line["authenticated"]) == ("call", "OK", "local", False)
    assert line["method"] == "/trade.v1.TradeService/ListProposals"


def test_no_secret_is_told_in_logs_metrics_files_or_the_exchanges_ledger(system: System, traffic: None) -> None:
    told = [*logs(system).values(), *metrics(system).values(), json.dumps(system.simulator.requests())]
    told += [path.read_text(errors="replace") for path in sorted((system.folder / "logs").glob("*.log"))]
    known = list(secrets(system))
    assert len(known) >= 6
    for secret in known:
        assert len(secret) >= PIECE_CHARS
        for form in forms(secret):
            assert not [text for text in told if form in text], "a secret, or a piece of it, was told"


def test_a_secret_in_a_request_is_masked_in_the_log(system: System, trade: TradeServiceStub) -> None:
    canary = "canary-7f3a9c51e2"
    with pytest.raises(grpc.RpcError):
        trade.GetProposal(
            pb.GetProposalRequest(user_id=f"password={canary}", proposal_id="x"),
            metadata=(("authorization", f"Bearer {canary}"), ("x-request-id", f"secret={canary}")),
        )
    assert not [path for path in Path(system.folder / "logs").glob("*.log") if canary in path.read_text()]
    assert not [page for page in metrics(system).values() if canary in page]
