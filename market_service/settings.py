"""What market_service is told by its environment, and when it refuses to start; read once, by `__main__`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kernel.environment import Environment, is_loopback
from kernel.secret import Secret

DEFAULT_LISTEN: Final = "127.0.0.1:50051"
DEFAULT_METRICS_LISTEN: Final = "127.0.0.1:9464"
DEFAULT_REST_URL: Final = "https://api.bitvavo.com/v2"

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
SECRET: Final = "BITVAVO_READONLY_SECRET"  # noqa: S105 - the name of a variable


@dataclass(frozen=True, slots=True)
class ReadonlyKey:
    """The key that may look at the account and do nothing else."""

    key: Secret
    secret: Secret


@dataclass(frozen=True, slots=True)
class Settings:
    """All that can be set. Addresses are "host:port". Without `readonly_key` only public data is answered."""

    listen: str
    metrics_listen: str
    rest_url: str
    readonly_key: ReadonlyKey | None
    ready_file: Path | None


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
    ready_file = env.optional("MARKET_READY_FILE")
    settings = Settings(
        listen=listen,
        metrics_listen=metrics_listen,
        rest_url=env.text("BITVAVO_REST_URL", default=DEFAULT_REST_URL),
        readonly_key=_readonly_key(env, loopback=is_loopback(listen) and is_loopback(metrics_listen)),
        ready_file=Path(ready_file) if ready_file else None,
    )
    env.finish()
    return settings


def _readonly_key(env: Environment, *, loopback: bool) -> ReadonlyKey | None:
    # Neither given is a way to run; one of the two is a mistake, which reading both will name.
    if not any(env.optional(name + end) for name in (KEY, SECRET) for end in ("", "_FILE")):
        return None
    return ReadonlyKey(env.secret(KEY, loopback=loopback), env.secret(SECRET, loopback=loopback))
