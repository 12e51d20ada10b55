"""Every method of both services against every kind of caller, over real TLS. The table is written by hand.

The list of methods comes from the .proto files: a new one without a row fails here, and one whose right changes too.
"""

from typing import Final

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]  # the package has no stubs

from protos.market.v1 import market_pb2
from protos.trade.v1 import trade_pb2 as pb
from tests.access.clients import GRANTS, GRANTS_FOR_ALL, STRANGER, Callers
from tests.contract.methods import Method, put
from tests.contract.wishes import new_id

READERS: Final = "reader auditor operator trade_service"
HALTERS: Final = "halter operator brakeman"
ADMINISTRATORS: Final = "administrator operator foreign-admin"
ALL_READERS: Final = f"{READERS} foreign-admin"
"""Where no user is named."""

OF_A_USER: Final = {
    "TradeService": {
        "SubmitProposal": "proposer market_service",
        "GetProposal": READERS,
        "ListProposals": READERS,
        "ApproveProposal": "approver overrider",
        "DeclineProposal": "approver overrider proposer market_service",
        "CheckProposal": READERS,
        "ExecuteProposal": "executor",
        "PlaceOrder": "placer",
        "GetExecution": READERS,
        "ListExecutions": READERS,
        "CancelExecution": "executor",
        "GetDecision": READERS,
        "ListDecisions": READERS,
    },
    "BudgetService": {
        "ReserveBudget": "spender market_service",
        "SettleBudget": "spender market_service",
        "GetBudget": READERS,
    },
    "AdminService": {"GetPolicy": READERS},
    "ScanService": {"CreateScanJob": "administrator operator", "ListScanJobs": READERS},
}
"""Methods whose requests name a user, and the clients that may call them for the user they serve."""
OF_NO_USER: Final = {
    "AdminService": {
        "GetTradingState": ALL_READERS,
        "SetTradingState": HALTERS,
        "ListPolicies": ALL_READERS,
        "ReloadPolicies": ADMINISTRATORS,
    },
    "MarketService": {
        "ListMarkets": ALL_READERS,
        "GetMarket": ALL_READERS,
        "GetTicker": ALL_READERS,
        "ListTickers": ALL_READERS,
        "GetTicker24h": ALL_READERS,
        "GetOrderBook": ALL_READERS,
        "ListTrades": ALL_READERS,
        "ListCandles": ALL_READERS,
        "GetBalances": ALL_READERS,
        "GetFees": ALL_READERS,
        "WatchTickers": ALL_READERS,
        "WatchOrderBook": ALL_READERS,
        "WatchTrades": ALL_READERS,
        "WatchCandles": ALL_READERS,
    },
    "ScanService": {
        "GetScanJob": ALL_READERS,
        "PauseScanJob": ADMINISTRATORS,
        "ResumeScanJob": ADMINISTRATORS,
        "RunScanJob": ADMINISTRATORS,
        "ListScanRuns": ALL_READERS,
        "GetMarketSnapshot": ALL_READERS,
    },
}
"""Methods whose requests name none. A scan job has a user: see the tests below for whose job it may be."""

METHODS: Final = [
    Method(method)
    for file in (pb.DESCRIPTOR, market_pb2.DESCRIPTOR)
    for service in file.services_by_name.values()
    for method in service.methods
]
KNOWN: Final = (*GRANTS, *GRANTS_FOR_ALL, "foreign-admin")
TURNED_AWAY: Final = ("no certificate", "another CA", "expired")
NAMELESS: Final = ("unknown name", "common name only", "DNS name only", "two names", "another trust domain")


def admitted_to(table: dict[str, dict[str, str]], method: Method) -> set[str] | None:
    row = table.get(method.descriptor.containing_service.name, {}).get(method.name)
    return None if row is None else set(row.split())


def fate(callers: Callers, client: str, method: Method, user: str | None = None) -> str:
    """Call, and say in a word what became of it."""
    request = method.good()
    if method.name == "ApproveProposal":
        request.ClearField("overrides")
    if user is not None:
        put(request, "terms.user_id" if method.name == "CreateScanJob" else "user_id", user)
    refusal = callers.call(client, method, request)
    if refusal is None or (refusal.reason and refusal.code is not grpc.StatusCode.PERMISSION_DENIED):
        return "admitted"
    return refusal.reason or refusal.code.name


def test_the_table_has_every_method_once() -> None:
    rows = [
        (service, name) for table in (OF_A_USER, OF_NO_USER) for service, methods in table.items() for name in methods
    ]
    assert sorted(rows) == sorted((each.descriptor.containing_service.name, each.name) for each in METHODS)


@pytest.mark.parametrize("method", METHODS, ids=lambda each: each.path)
def test_every_method_admits_whom_the_table_says_and_nobody_else(callers: Callers, method: Method) -> None:
    admitted = admitted_to(OF_A_USER, method)
    if admitted is None:
        admitted = admitted_to(OF_NO_USER, method)
    assert admitted is not None, "a new method: say in the table who may call it"
    expected = {name: "admitted" if name in admitted else "RIGHT_MISSING" for name in KNOWN}
    if admitted_to(OF_A_USER, method) is not None:
        # It serves another user, so where it has the right it still is not for this one.
        expected["foreign-admin"] = _of_foreign_admin(admitted)
    expected |= dict.fromkeys(TURNED_AWAY, "UNAVAILABLE")
    expected |= dict.fromkeys(NAMELESS, "RIGHT_MISSING")
    assert {name: fate(callers, name, method) for name in expected} == expected


def _of_foreign_admin(admitted: set[str]) -> str:
    return "USER_NOT_ALLOWED" if admitted & {"reader", "administrator"} else "RIGHT_MISSING"


@pytest.mark.parametrize(
    "method", [each for each in METHODS if admitted_to(OF_A_USER, each) is not None], ids=lambda each: each.path
)
def test_the_right_client_is_refused_for_a_user_it_does_not_serve(callers: Callers, method: Method) -> None:
    """Those that serve everyone may read and administer for everyone."""
    admitted = admitted_to(OF_A_USER, method) or set()
    expected = {name: "admitted" if name in GRANTS_FOR_ALL else "USER_NOT_ALLOWED" for name in admitted}
    assert {name: fate(callers, name, method, STRANGER) for name in expected} == expected


def method_of(name: str) -> Method:
    return next(each for each in METHODS if each.name == name)


def test_a_list_of_all_users_jobs_is_for_those_who_serve_everyone(callers: Callers) -> None:
    fates = {name: fate(callers, name, method_of("ListScanJobs"), "") for name in ("reader", "auditor")}
    assert fates == {"reader": "USER_NOT_ALLOWED", "auditor": "admitted"}


@pytest.mark.parametrize(
    "name", ["GetScanJob", "PauseScanJob", "ResumeScanJob", "RunScanJob", "ListScanRuns", "GetMarketSnapshot"]
)
def test_a_job_is_for_those_who_serve_its_user(callers: Callers, name: str) -> None:
    """`foreign-admin` may read and administer for another user only."""
    job_id, create = new_id(), method_of("CreateScanJob")
    assert callers.call("administrator", create, create.request(**{**_fields(create), "job_id": job_id})) is None
    method = method_of(name)
    request = method.request(job_id=job_id)
    told = callers.call("foreign-admin", method, request)
    assert told is not None
    assert (told.code.name, told.reason) == ("PERMISSION_DENIED", "USER_NOT_ALLOWED")
    served = callers.call("operator", method, request)
    assert served is None or served.reason == "SNAPSHOT_NOT_FOUND"


def _fields(method: Method) -> dict[str, object]:
    good = method.good()
    return {field.name: value for field, value in good.ListFields()}


def test_a_user_is_halted_by_those_who_serve_him_and_a_market_by_anyone_who_may_halt(callers: Callers) -> None:
    method = method_of("SetTradingState")

    def told(client: str, scope: "pb.TradingScope.ValueType", subject: str) -> str:
        request = method.request(scope=scope, subject=subject, state=pb.TRADING_STATE_HALTED, reason="drill")
        refusal = callers.call(client, method, request)
        return "done" if refusal is None else refusal.reason

    user, market = pb.TRADING_SCOPE_USER, pb.TRADING_SCOPE_MARKET
    assert told("halter", user, "mallory") == "done"
    assert told("halter", user, STRANGER) == "USER_NOT_ALLOWED"
    assert told("halter", market, "QQQ-EUR") == "done"
    assert told("brakeman", user, STRANGER) == "USER_NOT_ALLOWED"  # "*" serves read and admin only
    assert told("brakeman", market, "QQQ-EUR") == "done"
    assert told("operator", user, STRANGER) == "done"


def test_to_loosen_needs_admin_and_an_override_its_own_right(callers: Callers) -> None:
    method, approve = method_of("SetTradingState"), method_of("ApproveProposal")
    loosen = method.request(
        scope=pb.TRADING_SCOPE_MARKET,
        subject="ZZZ-EUR",
        state=pb.TRADING_STATE_ACTIVE,
        reason="drill",
        expected_generation=1,
    )
    halt = method.request(
        scope=pb.TRADING_SCOPE_MARKET, subject="ZZZ-EUR", state=pb.TRADING_STATE_HALTED, reason="drill"
    )
    assert callers.call("halter", method, halt) is None
    told = callers.call("halter", method, loosen)
    assert told is not None
    assert (told.reason, told.metadata["right"]) == ("RIGHT_MISSING", "admin")
    overridden = callers.call("approver", approve, approve.good())
    assert overridden is not None
    assert (overridden.reason, overridden.metadata["right"]) == ("RIGHT_MISSING", "override")


def test_a_proposer_declines_its_own_proposal_and_not_another_ones(callers: Callers) -> None:
    submit, decline = method_of("SubmitProposal"), method_of("DeclineProposal")
    wish = submit.good()
    assert callers.call("market_service", submit, wish) is None
    request = decline.request(user_id=wish.user_id, proposal_id=wish.proposal_id, reason="drill")
    told = callers.call("proposer", decline, request)
    assert told is not None
    assert told.reason == "RIGHT_MISSING"
    assert callers.call("market_service", decline, request) is None


@pytest.mark.parametrize("client", ["unknown name", "proposer"])
def test_health_is_told_to_anyone_whose_certificate_is_ours(callers: Callers, client: str) -> None:
    for service, name in ((callers.system.trade[0], "trade.ready"), (callers.system.market, "market.ready")):
        stub = health_pb2_grpc.HealthStub(callers.channel(client, service.address))
        answer = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=20)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_health_is_not_told_without_a_certificate(callers: Callers) -> None:
    stub = health_pb2_grpc.HealthStub(callers.channel("no certificate", callers.system.trade[0].address))
    with pytest.raises(grpc.RpcError, match="UNAVAILABLE"):
        stub.Check(health_pb2.HealthCheckRequest(), timeout=20)
