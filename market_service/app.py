"""Names every real part of market_service and joins them; `__main__` runs it."""

import asyncio
import os
import time
from pathlib import Path
from typing import Final

import httpx
import orjson

from bitvavo.client import wall_clock_ms
from bitvavo.clock import ExchangeClock
from bitvavo.endpoints import MARKET_ENDPOINTS
from bitvavo.market_client import MarketClient
from bitvavo.signing import Credentials, taking
from bitvavo.transport import open_client
from kernel import logs
from kernel.attestation import Role
from kernel.attestation_watch import AttestationWatch
from kernel.db_safety import UnsafeDatabaseError
from kernel.environment import SettingsError
from kernel.lifecycle import Loops
from kernel.rotation import Rotation, SecretGroup
from kernel.rpc.perimeter import Perimeter, certificates_of, keep_perimeter, metrics_context, open_perimeter
from kernel.rpc.server import Limits, RpcServer
from kernel.telemetry import serve_metrics
from market_service.account import Account
from market_service.books import Books
from market_service.candles import Candles
from market_service.catalogue import Catalogue
from market_service.exchange import BitvavoExchange, Points
from market_service.live.assembly import LiveParts, open_live
from market_service.live.rpc import Live
from market_service.pulse import Pulse
from market_service.rpc import DOMAIN, RIGHTS, USERLESS, MarketRpc, UseCases
from market_service.scan import rpc as scan_rpc
from market_service.scan.assembly import open_scans
from market_service.settings import Settings
from market_service.tickers import Tickers
from market_service.trades import Trades
from protos.market.v1.market_pb2_grpc import add_MarketServiceServicer_to_server, add_ScanServiceServicer_to_server

NAME: Final = "market_service"
READY_NAME: Final = "market.ready"
LIMITS: Final = Limits(concurrent_rpcs=2048, concurrent_streams=1024, connection_age_seconds=3600.0)
"""Streams live as long as their connection, so that is an hour here. A reader who reads nothing keeps his seat and one
message as long; what he watches is let go of after `Patience.read_seconds`."""


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Serve until `stop` is set, then drain.

    Raises:
        SettingsError: the exchange's URL is not one we may talk to, the metrics' address cannot be listened on, or the
            key is not attested in time, or the files of the perimeter cannot be used.
        ServerRefusal: the address for gRPC cannot be listened on.
        UnsafeDatabaseError: the database of the scans must not be used.
        OSError: the ready file cannot be written.
    """
    pair = settings.readonly_key
    key = SecretGroup("exchange key", pair.key, pair.secret) if pair else None
    attestation = _attestation(settings, key)
    if attestation is not None:
        await attestation.wait(stop)
    perimeter = open_perimeter(settings.tls, NAME)
    rotation = Rotation()
    async with _open(settings) as http:
        exchange = _exchange(http, key, attestation, rotation)
        catalogue = Catalogue(exchange)
        candles = Candles(exchange, catalogue, exchange)
        async with open_live(settings.live, settings.ca_file, exchange, catalogue, candles) as live:
            use_cases = build(exchange, catalogue, candles, live.streams)
            await _serve(settings, perimeter, stop, exchange, use_cases, live, attestation, rotation)


async def _serve(
    settings: Settings,
    perimeter: Perimeter | None,
    stop: asyncio.Event,
    exchange: BitvavoExchange,
    use_cases: UseCases,
    live: LiveParts,
    attestation: AttestationWatch | None,
    rotation: Rotation,
) -> None:
    server = RpcServer(
        domain=DOMAIN,
        rights={**RIGHTS, **scan_rpc.RIGHTS},
        userless=USERLESS | scan_rpc.USERLESS,
        limits=LIMITS,
        perimeter=perimeter,
    )
    server.add(add_MarketServiceServicer_to_server, MarketRpc(use_cases, live.streams))
    server.health.set(READY_NAME, serving=False)
    pulse = Pulse(exchange, lambda ready: server.health.set(READY_NAME, ready))
    certificates = certificates_of(perimeter)
    async with open_scans(settings.scans, use_cases.candles, rotation, certificates) as scans, Loops() as loops:
        server.add(add_ScanServiceServicer_to_server, scans.rpc)
        loops.start("pulse", pulse.run)
        loops.start("markets", use_cases.catalogue.keep_fresh)
        loops.start("secrets", rotation.forever)
        if attestation is not None:
            loops.start("attestation", attestation.follow)
        live.start(loops)
        keep_perimeter(perimeter, loops)
        await _announce(settings, server, perimeter)
        scans.start(loops)
        try:
            await scans.watch.until(stop)
        except UnsafeDatabaseError:
            live.stop_readers()
            await server.drain()
            raise
        live.stop_readers()
        await asyncio.gather(scans.hand_over(), server.drain())
    await close(use_cases)


def build(exchange: BitvavoExchange, catalogue: Catalogue, candles: Candles, live: Live) -> UseCases:
    """Join the use cases to one exchange, and those that can to what it tells by itself."""
    return UseCases(
        catalogue=catalogue,
        tickers=Tickers(exchange, catalogue, live.tickers),
        books=Books(exchange, catalogue, live.books),
        trades=Trades(exchange, catalogue),
        candles=candles,
        account=Account(exchange, catalogue),
    )


async def close(use_cases: UseCases) -> None:
    """End every request under way; nobody waits for one any more."""
    await asyncio.gather(
        use_cases.tickers.close(),
        use_cases.books.close(),
        use_cases.trades.close(),
        use_cases.candles.close(),
        use_cases.account.close(),
        use_cases.catalogue.close(),
    )


def _open(settings: Settings) -> httpx.AsyncClient:
    try:
        return open_client(settings.rest_url, MARKET_ENDPOINTS, ca_file=settings.ca_file)
    except ValueError as error:
        raise SettingsError(f"settings refused:\n  BITVAVO_REST_URL: {error}") from None


def _attestation(settings: Settings, key: SecretGroup | None) -> AttestationWatch | None:
    if settings.attestation is None or key is None:
        return None
    return AttestationWatch(settings.attestation, Role.MARKET, key.fingerprint)


def _exchange(
    http: httpx.AsyncClient,
    key: SecretGroup | None,
    attestation: AttestationWatch | None,
    rotation: Rotation,
) -> BitvavoExchange:
    clock = ExchangeClock(time.monotonic)
    points = Points(lambda: clock.read_timestamp_ms(wall_clock_ms()))

    def now_ms() -> int:
        known = exchange.exchange_ms()
        return wall_clock_ms() if known is None else known

    client = MarketClient(http, Credentials(*key.current) if key else None, now_ms=now_ms, observe=points.observe)
    exchange = BitvavoExchange(
        client, points, clock, has_key=key is not None, attested=lambda: attestation is None or attestation.attested
    )
    if key is not None:
        rotation.follow(key, taking(client.use, attestation.admits if attestation else None))
    return exchange


async def _announce(settings: Settings, server: RpcServer, perimeter: Perimeter | None) -> None:
    metrics = _serve_metrics(settings.metrics_listen, perimeter)
    grpc = await server.start(settings.listen)
    logs.log("ready", grpc=grpc, metrics=metrics, readonly_key=settings.readonly_key is not None)
    if settings.ready_file is not None:
        await asyncio.to_thread(_write_whole, settings.ready_file, orjson.dumps({"grpc": grpc, "metrics": metrics}))


def _serve_metrics(address: str, perimeter: Perimeter | None) -> int:
    host, _, port = address.rpartition(":")
    try:
        return serve_metrics(host.strip("[]"), int(port), metrics_context(perimeter))
    except OSError as error:
        reason = f"cannot listen on {address} ({error.strerror}); expected a free port of an address of this machine"
        raise SettingsError(f"settings refused:\n  MARKET_METRICS_LISTEN: {reason}") from None


def _write_whole(path: Path, content: bytes) -> None:
    # Whoever waits for the file must never read half of it.
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    unfinished.write_bytes(content)
    unfinished.replace(path)
