"""What `attest` is told by its environment; read once, by `__main__`. The key itself is read anew every time."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kernel.attestation import Role
from kernel.environment import Environment

DEFAULT_REST_URL: Final = "https://api.bitvavo.com/v2"
DEFAULT_MARKET: Final = "BTC-EUR"
PATIENCE_SECONDS_MAX: Final = 600.0
KEY_VARIABLES: Final[Mapping[Role, str]] = {Role.MARKET: "BITVAVO_READONLY", Role.TRADE: "BITVAVO_TRADE"}
BECAUSE: Final = "one process attests one key; remove the other one from this process's environment"


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the key is, whom to ask about it, for how long, and where to write what was found."""

    role: Role
    key_file: Path
    secret_file: Path
    declaration_file: Path | None
    directory: Path
    rest_url: str
    ca_file: Path | None
    market: str
    patience_seconds: float


def read_settings(variables: Mapping[str, str], role: Role) -> Settings:
    """Read the environment.

    Raises:
        SettingsError: the other role's key can be seen, or settings are wrong; every one is named.
    """
    env = Environment(variables)
    other, own = KEY_VARIABLES[role.counterpart], KEY_VARIABLES[role]
    env.forbid(*(f"{other}_{part}{end}" for part in ("KEY", "SECRET") for end in ("", "_FILE")), because=BECAUSE)
    declaration = env.optional("ATTEST_DECLARATION_FILE")
    settings = Settings(
        role=role,
        key_file=Path(env.text(f"{own}_KEY_FILE")),
        secret_file=Path(env.text(f"{own}_SECRET_FILE")),
        declaration_file=Path(declaration) if declaration else None,
        directory=read_directory(env),
        rest_url=env.text("BITVAVO_REST_URL", default=DEFAULT_REST_URL),
        ca_file=env.authorities("BITVAVO_CA_FILE"),
        market=env.text("ATTEST_MARKET", default=DEFAULT_MARKET),
        patience_seconds=env.duration("ATTEST_PATIENCE", low=0, high=PATIENCE_SECONDS_MAX, default="60s"),
    )
    env.finish()
    return settings


def read_directory(env: Environment) -> Path:
    """Read where attestations are written, all that `check` needs."""
    return env.directory("ATTESTATION_DIR")
