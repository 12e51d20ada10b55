"""What market_service is told by its environment, and when it refuses to start; read once, by `__main__`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

from kernel.attestation_watch import AttestationSettings, read_attestation_settings
from kernel.decimals import parse_decimal
from kernel.environment import Environment, is_loopback
from kernel.rpc.tls import TlsFiles, read_tls_files, require_loopback_peer
from kernel.secret import Secret
from market_service.live.settings import LiveSettings, read_live_settings
from market_service.scan.assembly import ScanSettings
from market_service.scan.model_analyst import ModelSettings, Prices, checked_url

DEFAULT_LISTEN: Final = "127.0.0.1:50051"
DEFAULT_METRICS_LISTEN: Final = "127.0.0.1:9464"
DEFAULT_REST_URL: Final = "https://api.bitvavo.com/v2"
DEFAULT_TRADE: Final = "127.0.0.1:50052"
LEASE_SECONDS_MIN: Final = 1.0
LEASE_SECONDS_MAX: Final = 300.0
ANALYST_SECONDS_MIN: Final = 1.0
ANALYST_SECONDS_MAX: Final = 25.0
"""Well within the time that a reserved call has."""

FORBIDDEN: Final = (
    "BITVAVO_TRADE_KEY",
    "BITVAVO_TRADE_SECRET",
    "BITVAVO_TRADE_KEY_FILE",
    "BITVAVO_TRADE_SECRET_FILE",
)
FORBIDDEN_PREFIX: Final = "TRADE_DATABASE_URL"
BECAUSE: Final = (
    "the process that reads the market must not be able to trade; remove it from this process's environment"
)

KEY: Final = "BITVAVO_READONLY_KEY"
DATABASE: Final = "MARKET_DATABASE_URL"
INPUT_PRICE: Final = "ANALYST_INPUT_PRICE"
OUTPUT_PRICE: Final = "ANALYST_OUTPUT_PRICE"
CURRENCY: Final = "ANALYST_CURRENCY"
SECRET: Final = "BITVAVO_READONLY_SECRET"  # noqa: S105 - the name of a variable


@dataclass(frozen=True, slots=True)
class ReadonlyKey:
    """The key that may look at the account and do nothing else."""

    key: Secret
    secret: Secret


@dataclass(frozen=True, slots=True)
class Settings:
    """All that can be set. Addresses are "host:port".

    `on_loopback`: nothing of it can be reached from another machine. Without `readonly_key` only public data is
    answered, without `scans` there are none. Without `attestation`, on loopback only, nobody asks what the key may do.
    """

    listen: str
    metrics_listen: str
    on_loopback: bool
    rest_url: str
    ca_file: Path | None
    live: LiveSettings
    readonly_key: ReadonlyKey | None
    scans: ScanSettings | None
    attestation: AttestationSettings | None
    ready_file: Path | None
    tls: TlsFiles | None


def read_settings(variables: Mapping[str, str]) -> Settings:
    """Read the environment.

    Raises:
        SettingsError: a trade key or a trade database can be seen, or settings are wrong; every one is named, with
            what was found, what is expected and what to do, and without any secret.
    """
    env = Environment(variables)
    env.forbid(*FORBIDDEN, *(name for name in sorted(variables) if name.startswith(FORBIDDEN_PREFIX)), because=BECAUSE)
    listen = env.address("MARKET_LISTEN", default=DEFAULT_LISTEN)
    metrics_listen = env.address("MARKET_METRICS_LISTEN", default=DEFAULT_METRICS_LISTEN)
    loopback = is_loopback(listen) and is_loopback(metrics_listen)
    tls = read_tls_files(env, "MARKET", listen, metrics_listen)
    ready_file = env.optional("MARKET_READY_FILE")
    rest_url = env.text("BITVAVO_REST_URL", default=DEFAULT_REST_URL)
    readonly_key = _readonly_key(env, loopback=loopback)
    settings = Settings(
        listen=listen,
        metrics_listen=metrics_listen,
        on_loopback=loopback,
        rest_url=rest_url,
        ca_file=env.authorities("BITVAVO_CA_FILE"),
        live=read_live_settings(env, rest_url),
        readonly_key=readonly_key,
        scans=_scans(env, tls, loopback=loopback),
        attestation=read_attestation_settings(env, required=not loopback and readonly_key is not None),
        ready_file=Path(ready_file) if ready_file else None,
        tls=tls,
    )
    env.finish()
    return settings


def _readonly_key(env: Environment, *, loopback: bool) -> ReadonlyKey | None:
    # Neither given is a way to run; one of the two is a mistake, which reading both will name.
    if not any(env.optional(name + end) for name in (KEY, SECRET) for end in ("", "_FILE")):
        return None
    return ReadonlyKey(env.secret(KEY, loopback=loopback), env.secret(SECRET, loopback=loopback))


def _scans(env: Environment, tls: TlsFiles | None, *, loopback: bool) -> ScanSettings | None:
    if not any(env.optional(DATABASE + end) for end in ("", "_FILE")):
        return None
    trade_address = env.address("TRADE_ADDRESS", default=DEFAULT_TRADE)
    require_loopback_peer(env, "TRADE_ADDRESS", trade_address, tls)
    lease = env.duration("SCAN_LEASE", low=LEASE_SECONDS_MIN, high=LEASE_SECONDS_MAX, default="15s")
    return ScanSettings(
        database_url=env.database_url(
            DATABASE, loopback=loopback, plaintext=env.private_network("MARKET_DATABASE_PLAINTEXT")
        ),
        trade_address=trade_address,
        lease=timedelta(seconds=lease),
        model=_model(env, loopback=loopback),
    )


def _model(env: Environment, *, loopback: bool) -> ModelSettings | None:
    if not (url := env.optional("ANALYST_URL")):
        return None
    try:
        checked_url(url)
    except ValueError as error:
        env.problem("ANALYST_URL", str(error).removeprefix("expected "))
    seconds = env.duration("ANALYST_TIMEOUT", low=ANALYST_SECONDS_MIN, high=ANALYST_SECONDS_MAX, default="20s")
    return ModelSettings(
        url=url,
        model=env.text("ANALYST_MODEL"),
        key=env.secret("ANALYST_KEY", loopback=loopback),
        timeout_seconds=seconds,
        prices=_prices(env),
    )


def _prices(env: Environment) -> Prices | None:
    if not any(env.optional(name) for name in (INPUT_PRICE, OUTPUT_PRICE, CURRENCY)):
        return None
    return Prices(_price(env, INPUT_PRICE), _price(env, OUTPUT_PRICE), env.text(CURRENCY))


def _price(env: Environment, name: str) -> Decimal:
    try:
        return parse_decimal(env.optional(name) or "")
    except ValueError:
        env.problem(name, 'a price of a million tokens, such as "0.15", together with the other one and the currency')
        return Decimal(0)
