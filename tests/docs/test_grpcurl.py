"""What a person with grpcurl sees of both services: methods, health, and errors with their details decoded."""

import json
import re

import pytest

from tests.docs.conftest import Shell

TRADE, MARKET = "127.0.0.1:50052", "127.0.0.1:50051"
INVALID_ARGUMENT = 64 + 3
"""grpcurl ends with 64 and the status."""
ALWAYS = {"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"}


@pytest.mark.parametrize(
    ("address", "services"),
    [
        (TRADE, {"trade.v1.TradeService", "trade.v1.BudgetService", "trade.v1.AdminService"}),
        (MARKET, {"market.v1.MarketService", "market.v1.ScanService"}),
    ],
)
def test_reflection_lists_and_describes_every_service(grpcurl: Shell, address: str, services: set[str]) -> None:
    assert set(grpcurl(f"{address} list").stdout.split()) == services | ALWAYS
    for service in services:
        methods = grpcurl(f"{address} list {service}").stdout.split()
        described = grpcurl(f"{address} describe {service}").stdout
        assert re.findall(r"rpc (\w+)", described) == [each.rpartition(".")[2] for each in methods]
        request = re.findall(r"\( \.(\S+) \)", described)[0]
        assert f"message {request.rpartition('.')[2]}" in grpcurl(f"{address} describe {request}").stdout


@pytest.mark.parametrize(
    ("address", "name"),
    [(TRADE, ""), (TRADE, "trade.ready"), (TRADE, "trade.v1.TradeService"), (MARKET, ""), (MARKET, "market.ready")],
)
def test_every_health_name_is_serving(grpcurl: Shell, address: str, name: str) -> None:
    answer = grpcurl(f"-d '{json.dumps({'service': name})}' {address} grpc.health.v1.Health/Check")
    assert json.loads(answer.stdout) == {"status": "SERVING"}


@pytest.mark.parametrize(
    ("address", "method", "domain", "fields"),
    [
        (TRADE, "trade.v1.TradeService/GetProposal", "trade.interlock", ["user_id", "proposal_id"]),
        (MARKET, "market.v1.MarketService/GetTicker", "market.interlock", ["market"]),
    ],
)
def test_the_details_of_an_error_are_decoded(
    grpcurl: Shell, address: str, method: str, domain: str, fields: list[str]
) -> None:
    ran = grpcurl(f"-format-error {address} {method}")
    assert ran.returncode == INVALID_ARGUMENT
    status = json.loads(ran.stderr[ran.stderr.index("{") :])
    info, bad = status["details"]
    assert (info["@type"], info["reason"], info["domain"]) == (
        "type.googleapis.com/google.rpc.ErrorInfo",
        "INVALID_REQUEST",
        domain,
    )
    assert [each["field"] for each in bad["field_violations"]] == fields


def test_an_error_without_fields_is_decoded_for_people(grpcurl: Shell) -> None:
    wish = json.dumps({"user_id": "alice", "proposal_id": "00000000-0000-4000-8000-000000000000"})
    ran = grpcurl(f"-d '{wish}' {TRADE} trade.v1.TradeService/GetProposal")
    assert "Code: NotFound" in ran.stderr
    assert '"domain":"trade.interlock","reason":"PROPOSAL_NOT_FOUND"' in ran.stderr
