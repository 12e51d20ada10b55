"""Names every real part of trade_service and joins them; `__main__` runs it."""

import asyncio
import os
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import orjson

from bitvavo.budget import RateBudget
from bitvavo.client import TradeClient, wall_clock_ms
from bitvavo.clock import ExchangeClock
from bitvavo.endpoints import TRADE_ENDPOINTS
from bitvavo.signing import Credentials, taking
from bitvavo.transport import open_client
from kernel import logs
from kernel.alarms import add_sink
from kernel.attestation import Role
from kernel.attestation_watch import AttestationWatch
from kernel.db import Database, Reasons
from kernel.db_safety import UnsafeDatabaseError
from kernel.db_watch import DatabaseWatch, taking_url
from kernel.environment import SettingsError
from kernel.errors import NotNow, StateViolation
from kernel.inflight import InFlight
from kernel.lifecycle import Loops
from kernel.rotation import Rotation, SecretGroup
from kernel.rpc.channel import open_channel
from kernel.rpc.perimeter import Perimeter, certificates_of, keep_perimeter, metrics_context, open_perimeter
from kernel.rpc.server import Limits, RpcServer
from kernel.rpc.validation import add_check
from kernel.secret import Secret
from kernel.telemetry import serve_metrics
from policy.load import PolicyLoadError, load_directory
from policy.policy import Policy
from policy.rules.allowlist import AllowlistRule
from protos.market.v1.market_pb2_grpc import MarketServiceStub
from protos.trade.v1 import trade_pb2 as pb
from protos.trade.v1 import trade_pb2_grpc
from trade_service import reasons
from trade_service.bitvavo_account import BitvavoAccount
from trade_service.budget import Budget
from trade_service.cancel import Cancel
from trade_service.exchange import BitvavoExchange, keep_clock
from trade_service.execute import Execute
from trade_service.market import MarketService
from trade_service.match import Match
from trade_service.policies import PolicyBook
from trade_service.readiness import Readiness
from trade_service.reconcile import Reconcile
from trade_service.reload import Reload
from trade_service.rpc.admin import AdminRpc
from trade_service.rpc.budget import BudgetRpc
from trade_service.rpc.requests import check_terms
from trade_service.rpc.rights import DOMAIN, RIGHTS, USERLESS
from trade_service.rpc.trade import TradeRpc
from trade_service.settings import Settings
from trade_service.start import prepare, pulse, take_attestation
from trade_service.store.admin import AdminRows
from trade_service.store.alarms import AlarmRows
from trade_service.store.budget import BudgetRows
from trade_service.store.claim import ClaimRows
from trade_service.store.executions import ExecutionRows
from trade_service.store.match import MatchRows
from trade_service.store.proposals import ProposalRows
from trade_service.store.reading import ReadingRows
from trade_service.store.sweep import SweepRows
from trade_service.submit import Submit
from trade_service.trading_state import TradingStates

NAME: Final = "trade_service"
READY_NAME: Final = "trade.ready"
LIMITS: Final = Limits(concurrent_rpcs=256, concurrent_streams=256)
RECONCILER_CONNECTIONS_MAX: Final = 2
ADMIN_CONNECTIONS_MAX: Final = 2
"""Apart from the claims' connections, so that the kill switch never waits for one of theirs."""
DATABASE: Final = Reasons(reasons.DATABASE_UNAVAILABLE)
SCHEMA: Final = "0001_ground"
"""The newest revision of the trade tree; an older database is refused."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What the service talks to."""

    database: Database
    admin: Database
    reconciler: Database
    client: TradeClient
    clock: ExchangeClock
    exchange: BitvavoExchange
    account: BitvavoAccount
    market: MarketService


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Serve until `stop` is set, then drain: no new call, every send under way is settled.

    Raises:
        SettingsError: the exchange's URL is not one we may talk to, the key is not attested in time, or the files
            of the perimeter cannot be used.
        ServerRefusal, OSError: an address cannot be listened on.
        UnsafeDatabaseError: the database must not be used for this.
    """
    key = SecretGroup("exchange key", settings.key, settings.secret)
    attestation = _attestation(settings, key)
    if attestation is not None:
        await attestation.wait(stop)
    async with AsyncExitStack() as stack:
        perimeter = open_perimeter(settings.tls, NAME)
        outside = await _open(settings, perimeter, stack)
        databases = DatabaseWatch(outside.database, outside.admin, outside.reconciler)
        await databases.meet()
        in_flight = InFlight()
        server = RpcServer(domain=DOMAIN, rights=RIGHTS, userless=USERLESS, limits=LIMITS, perimeter=perimeter)
        loops = await stack.enter_async_context(Loops())
        _join(settings, outside, server, loops, in_flight, attestation)
        loops.start("databases", databases.forever)
        loops.start("secrets", _rotation(settings, outside, key, attestation).forever)
        keep_perimeter(perimeter, loops)
        await _announce(settings, server, perimeter)
        try:
            await databases.until(stop)
        except UnsafeDatabaseError:
            await server.drain()
            raise
        await server.drain()
        left = await in_flight.drain()
        logs.log("drained", left=left)


def _attestation(settings: Settings, key: SecretGroup) -> AttestationWatch | None:
    if settings.attestation is None:
        return None
    return AttestationWatch(settings.attestation, Role.TRADE, key.fingerprint)


async def _open(settings: Settings, perimeter: Perimeter | None, stack: AsyncExitStack) -> Outside:
    """Open everything outside; none of it has to answer yet."""
    try:
        http = await stack.enter_async_context(
            open_client(settings.rest_url, TRADE_ENDPOINTS, ca_file=settings.ca_file)
        )
    except ValueError as error:
        raise SettingsError(f"settings refused:\n  BITVAVO_REST_URL: {error}") from None
    channel = await stack.enter_async_context(open_channel(settings.market_address, certificates_of(perimeter)))
    database = await _pool(settings.database_url, settings.database_connections, stack)
    admin = await _pool(settings.database_url, ADMIN_CONNECTIONS_MAX, stack)
    reconciler = await _pool(settings.reconciler_database_url, RECONCILER_CONNECTIONS_MAX, stack)
    clock = ExchangeClock(time.monotonic)

    def now_ms() -> int:
        return clock.read_timestamp_ms(wall_clock_ms())

    budget = RateBudget(now_ms, replicas=settings.replicas)
    client = TradeClient(http, Credentials(settings.key, settings.secret), now_ms=now_ms, observe=budget.observe)
    exchange = BitvavoExchange(client, budget, clock, settings.operator_id)
    account = BitvavoAccount(client, budget, clock, settings.operator_id)
    market = MarketService(MarketServiceStub(channel))
    return Outside(database, admin, reconciler, client, clock, exchange, account, market)


async def _pool(url: Secret, connections_max: int, stack: AsyncExitStack) -> Database:
    database = Database(url.reveal(), connections_max=connections_max, reasons=DATABASE, revision_min=SCHEMA)
    await database.open()
    stack.push_async_callback(database.close)
    return database


def _rotation(settings: Settings, outside: Outside, key: SecretGroup, attestation: AttestationWatch | None) -> Rotation:
    """Say what takes up which secret when its file changes."""
    rotation = Rotation()
    rotation.follow(key, taking(outside.client.use, attestation.admits if attestation else None))
    url, reconciler_url = settings.database_url, settings.reconciler_database_url
    rotation.follow(SecretGroup("database URL", url), taking_url(outside.database, outside.admin))
    rotation.follow(SecretGroup("reconciler database URL", reconciler_url), taking_url(outside.reconciler))
    return rotation


def _join(
    settings: Settings,
    outside: Outside,
    server: RpcServer,
    loops: Loops,
    in_flight: InFlight,
    attestation: AttestationWatch | None,
) -> None:
    """Join use cases, edges, methods and loops."""
    proposals, claims = ProposalRows(outside.database), ClaimRows(outside.database)
    executions, admin = ExecutionRows(outside.database), AdminRows(outside.admin)
    budget_rows, alarms = BudgetRows(outside.database), AlarmRows(outside.admin)
    readiness, book = Readiness(), PolicyBook(admin)
    reload = Reload(admin, book, lambda: _read_directory(settings.policy_dir))
    execute = Execute(
        proposals, claims, executions, outside.market, outside.exchange, book, readiness, settings.window_ms
    )
    reconcile = Reconcile(
        SweepRows(outside.reconciler), executions, proposals, budget_rows, outside.exchange, readiness, time.monotonic
    )
    match = Match(
        outside.account,
        MatchRows(outside.reconciler),
        admin,
        readiness,
        lambda: _listed_markets(settings.policy_dir),
        time.monotonic,
        halts=settings.halt_on_foreign_orders,
    )
    for database in (outside.database, outside.reconciler):
        database.on_connect(match.note_database)
    cancel = Cancel(executions, outside.exchange)
    reading = ReadingRows(outside.database)
    trade = TradeRpc(Submit(proposals, book), execute, cancel, proposals, executions, reading, in_flight)
    add_check(pb.SubmitProposalRequest, check_terms)
    add_check(pb.PlaceOrderRequest, check_terms)
    server.add(trade_pb2_grpc.add_TradeServiceServicer_to_server, trade)
    server.add(trade_pb2_grpc.add_BudgetServiceServicer_to_server, BudgetRpc(Budget(budget_rows, book)))
    server.add(trade_pb2_grpc.add_AdminServiceServicer_to_server, AdminRpc(TradingStates(admin), reload, book, admin))
    server.health.set(READY_NAME, serving=False)
    add_sink(alarms.offer)
    loops.start("alarms", alarms.forever)
    if attestation is None:
        take_attestation(readiness, attested=True)
    else:
        loops.start("attestation", lambda: attestation.follow(partial(take_attestation, readiness)))
    loops.start("prepare", lambda: prepare(admin, reload, readiness))
    loops.start("exchange_clock", lambda: keep_clock(outside.client, outside.clock))
    loops.start("reconcile", reconcile.forever)
    loops.start("match", match.forever)
    loops.start(
        "pulse",
        lambda: pulse(
            readiness,
            outside.admin.answers,
            lambda: outside.exchange.timestamp_ms() is not None,
            lambda ready: server.health.set(READY_NAME, ready),
        ),
    )


def _read_directory(path: Path) -> Sequence[Policy]:
    """Read every policy file.

    Raises:
        NotNow: a file is wrong; every problem is named.
    """
    try:
        return load_directory(path).policies
    except PolicyLoadError as error:
        violations = tuple(
            StateViolation(
                "POLICY_FILE", f"{Path(one.file).name}:{one.line}", f"{one.key}: found {one.found}; {one.allowed}"
            )
            for one in error.problems
        )
        message = f"{len(violations)} problems in the policy directory; nothing changed"
        raise NotNow(reasons.POLICY_INVALID, message, violations) from None


def _listed_markets(path: Path) -> frozenset[str]:
    """Read which markets the policy files allow; none while one of them is wrong."""
    try:
        policies = _read_directory(path)
    except NotNow:
        logs.log("policy_directory_unread", why="a file is wrong; ReloadPolicies names every problem")
        return frozenset()
    rules = [rule for policy in policies for rule in policy.rules if isinstance(rule, AllowlistRule)]
    return frozenset(market for rule in rules for market in rule.markets)


async def _announce(settings: Settings, server: RpcServer, perimeter: Perimeter | None) -> None:
    host, _, port = settings.metrics_listen.rpartition(":")
    metrics = serve_metrics(host.strip("[]"), int(port), metrics_context(perimeter))
    grpc = await server.start(settings.listen)
    logs.log("ready", grpc=grpc, metrics=metrics, operator_id=settings.operator_id, key=settings.key.fingerprint())
    if settings.ready_file is not None:
        await asyncio.to_thread(_write_whole, settings.ready_file, orjson.dumps({"grpc": grpc, "metrics": metrics}))


def _write_whole(path: Path, content: bytes) -> None:
    # Whoever waits for the file must never read half of it.
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    unfinished.write_bytes(content)
    unfinished.replace(path)
