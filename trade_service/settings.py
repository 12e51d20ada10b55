"""What trade_service is told by its environment, and when it refuses to start; read once, by `__main__`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kernel.attestation_watch import AttestationSettings, read_attestation_settings
from kernel.environment import Environment, is_loopback
from kernel.rpc.tls import TlsFiles, read_tls_files, require_loopback_peer
from kernel.secret import Secret

DEFAULT_LISTEN: Final = "127.0.0.1:50052"
DEFAULT_METRICS_LISTEN: Final = "127.0.0.1:9465"
DEFAULT_MARKET: Final = "127.0.0.1:50051"
DEFAULT_REST_URL: Final = "https://api.bitvavo.com/v2"

FORBIDDEN: Final = (
    "BITVAVO_READONLY_KEY",
    "BITVAVO_READONLY_SECRET",
    "BITVAVO_READONLY_KEY_FILE",
    "BITVAVO_READONLY_SECRET_FILE",
)
FORBIDDEN_PREFIX: Final = "MARKET_DATABASE_URL"
BECAUSE: Final = (
    "the process that trades must not be able to read the market for itself; remove it from this process's environment"
)

OPERATOR_ID_MAX: Final = 2**63 - 1
WINDOW_SECONDS_MIN: Final = 2.0
WINDOW_SECONDS_MAX: Final = 5.0
REPLICAS_MAX: Final = 64
CONNECTIONS: Final = 6
"""Few on purpose: what waits for a connection leaves the event loop free for the kill switch (docs/decisions/0007)."""
CONNECTIONS_MAX: Final = 60


@dataclass(frozen=True, slots=True)
class Settings:
    """All that can be set. Addresses are "host:port"; URLs hold a password and are secrets.

    `on_loopback`: nothing of it can be reached from another machine. Without `attestation`, on loopback only, nobody
    asks what the key may do.
    """

    listen: str
    metrics_listen: str
    on_loopback: bool
    market_address: str
    rest_url: str
    ca_file: Path | None
    key: Secret
    secret: Secret
    database_url: Secret
    reconciler_database_url: Secret
    database_connections: int
    operator_id: int
    window_ms: int
    replicas: int
    halt_on_foreign_orders: bool
    policy_dir: Path
    attestation: AttestationSettings | None
    ready_file: Path | None
    tls: TlsFiles | None


def read_settings(variables: Mapping[str, str]) -> Settings:
    """Read the environment.

    Raises:
        SettingsError: the read-only key can be seen, or settings are wrong; every one is named, with what was found,
            what is expected and what to do, and without any secret.
    """
    env = Environment(variables)
    env.forbid(*FORBIDDEN, *(name for name in sorted(variables) if name.startswith(FORBIDDEN_PREFIX)), because=BECAUSE)
    listen = env.address("TRADE_LISTEN", default=DEFAULT_LISTEN)
    metrics_listen = env.address("TRADE_METRICS_LISTEN", default=DEFAULT_METRICS_LISTEN)
    loopback = is_loopback(listen) and is_loopback(metrics_listen)
    tls = read_tls_files(env, "TRADE", listen, metrics_listen)
    market_address = env.address("MARKET_ADDRESS", default=DEFAULT_MARKET)
    require_loopback_peer(env, "MARKET_ADDRESS", market_address, tls)
    ready_file = env.optional("TRADE_READY_FILE")
    plaintext = env.private_network("TRADE_DATABASE_PLAINTEXT")
    window = env.duration("TRADE_SEND_WINDOW", low=WINDOW_SECONDS_MIN, high=WINDOW_SECONDS_MAX, default="5s")
    settings = Settings(
        listen=listen,
        metrics_listen=metrics_listen,
        on_loopback=loopback,
        market_address=market_address,
        rest_url=env.text("BITVAVO_REST_URL", default=DEFAULT_REST_URL),
        ca_file=env.authorities("BITVAVO_CA_FILE"),
        key=env.secret("BITVAVO_TRADE_KEY", loopback=loopback),
        secret=env.secret("BITVAVO_TRADE_SECRET", loopback=loopback),
        database_url=env.database_url("TRADE_DATABASE_URL", loopback=loopback, plaintext=plaintext),
        reconciler_database_url=env.database_url(
            "TRADE_RECONCILER_DATABASE_URL", loopback=loopback, plaintext=plaintext
        ),
        database_connections=env.integer(
            "TRADE_DATABASE_CONNECTIONS", low=2, high=CONNECTIONS_MAX, default=CONNECTIONS
        ),
        operator_id=env.integer("BITVAVO_OPERATOR_ID", low=1, high=OPERATOR_ID_MAX),
        window_ms=round(window * 1000),
        replicas=env.integer("REPLICAS", low=1, high=REPLICAS_MAX, default=1),
        halt_on_foreign_orders=env.flag("HALT_ON_FOREIGN_ORDERS", default=False),
        policy_dir=env.directory("POLICY_DIR"),
        attestation=read_attestation_settings(env, required=not loopback),
        ready_file=Path(ready_file) if ready_file else None,
        tls=tls,
    )
    env.finish()
    return settings
