"""Asks the exchange about one key and turns the answers into an attestation.

A question that nobody answered is asked again with back-off until the patience for all of them is used up; every
other answer stands as it came. `attest.rounds` calls `attest_key`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Final

import httpx

from attest import declaration as declared
from attest.evidence import ORDERS, TRADE, VIEW, WANTED, Question, weigh
from attest.outcome import outcome
from attest.settings import Settings
from bitvavo.client import wall_clock_ms
from bitvavo.clock import ExchangeClock
from bitvavo.endpoints import ATTEST_ENDPOINTS
from bitvavo.errors import HTTP_TOO_MANY_REQUESTS
from bitvavo.probe_client import ProbeAnswer, ProbeClient
from bitvavo.session import ExchangeUnavailableError
from bitvavo.signing import Credentials
from bitvavo.transport import open_client
from kernel import logs
from kernel.attestation import Attestation, Conclusion, Probe
from kernel.environment import SettingsError

FIRST_BACKOFF_SECONDS: Final = 0.5
MAX_BACKOFF_SECONDS: Final = 15.0

Ask = Callable[[], Awaitable[ProbeAnswer]]


async def attest_key(
    settings: Settings, credentials: Credentials, statement: declared.Declaration | str, *, strict: bool
) -> Attestation:
    """Ask everything that the role wants to know of this key; never raises for what the exchange does.

    `statement` is the operator's declaration, or why there is none.

    Raises:
        SettingsError: the exchange's URL is not one we may talk to.
        OSError: its authorities cannot be read any more.
    """
    fingerprint = credentials.key.fingerprint()
    async with _open(settings) as http:
        probes = await _probes(settings, ProbeClient(http, credentials, await _clock(http, credentials)))
    now = datetime.now(UTC).replace(microsecond=0)
    probes = (*probes, declared.weigh(statement, fingerprint, now.date()))
    return Attestation(settings.role, fingerprint, outcome(probes, strict=strict), now, probes)


async def _probes(settings: Settings, client: ProbeClient) -> tuple[Probe, ...]:
    asks: Mapping[Question, Ask] = {
        VIEW: client.read_account,
        TRADE: lambda: client.cancel_nobodys_order(settings.market),
        ORDERS: lambda: client.read_open_orders(settings.market),
    }
    ends = time.monotonic() + settings.patience_seconds
    return tuple([await _until_answered(settings, each, asks[each], ends) for each in WANTED[settings.role]])


async def _until_answered(settings: Settings, question: Question, ask: Ask, ends: float) -> Probe:
    backoff_seconds = FIRST_BACKOFF_SECONDS
    while True:
        answer = await ask()
        probe = weigh(settings.role, question, answer)
        # During a ban every further request prolongs it: the next round asks again, this one does not.
        banned = answer.status == HTTP_TOO_MANY_REQUESTS
        if probe.conclusion is not Conclusion.UNANSWERED or banned or time.monotonic() + backoff_seconds > ends:
            return probe
        logs.log("probe_unanswered", level=logs.WARNING, right=probe.right, answered=probe.answered)
        await asyncio.sleep(backoff_seconds)
        backoff_seconds = min(backoff_seconds * 2, MAX_BACKOFF_SECONDS)


async def _clock(http: httpx.AsyncClient, credentials: Credentials) -> Callable[[], int]:
    """Return what to sign by: the exchange's own clock when it tells, else this machine's."""
    clock = ExchangeClock(time.monotonic)
    try:
        told = await ProbeClient(http, credentials).time()
        clock.observe(told.server_ms, told.sent_at, told.received_at)
    except ExchangeUnavailableError as error:
        logs.log("exchange_clock_unknown", level=logs.WARNING, why=error.kind.value)
    return lambda: clock.read_timestamp_ms(wall_clock_ms())


def _open(settings: Settings) -> httpx.AsyncClient:
    try:
        return open_client(settings.rest_url, ATTEST_ENDPOINTS, ca_file=settings.ca_file)
    except ValueError as error:
        raise SettingsError(f"settings refused:\n  BITVAVO_REST_URL: {error}") from None
