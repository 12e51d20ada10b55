"""What the live parts are told by the environment; read by `market_service.settings`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bitvavo.origin import checked_socket_url, is_loopback_host
from kernel.environment import Environment

DEFAULT_WS_URL: Final = "wss://ws.bitvavo.com/v2/"
MIN_AUDIT_SECONDS: Final = 1.0
MAX_AUDIT_SECONDS: Final = 86_400.0
MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class RecordingSettings:
    """Where frames are recorded: at most `max_files` files of about `file_bytes` of compressed frames each."""

    folder: Path
    file_bytes: int
    max_files: int


@dataclass(frozen=True, slots=True)
class LiveSettings:
    """The WebSocket's address, how often each book is compared with a snapshot, and what is recorded."""

    socket_url: str
    audit_seconds: float
    recording: RecordingSettings | None


def read_live_settings(env: Environment, rest_url: str) -> LiveSettings:
    """Read them; problems are noted in `env`."""
    url = env.text("BITVAVO_WS_URL", default=_beside(rest_url))
    try:
        checked_socket_url(url)
    except ValueError:
        env.problem("BITVAVO_WS_URL", "wss://…/v2/, or ws:// on a loopback address")
    folder = env.optional("MARKET_RECORDING_DIR")
    file_bytes = env.integer("MARKET_RECORDING_FILE_MIB", low=1, high=1024, default=64) * MIB
    max_files = env.integer("MARKET_RECORDING_FILES", low=1, high=10_000, default=24)
    if folder and not Path(folder).is_dir():
        env.problem("MARKET_RECORDING_DIR", "a directory that exists")
    return LiveSettings(
        socket_url=url,
        audit_seconds=env.duration("MARKET_AUDIT", low=MIN_AUDIT_SECONDS, high=MAX_AUDIT_SECONDS, default="10m"),
        recording=RecordingSettings(Path(folder), file_bytes, max_files) if folder else None,
    )


def _beside(rest_url: str) -> str:
    """Return the real address; for a REST address on loopback, the same one: nobody mixes simulated and real data."""
    url = urlsplit(rest_url)
    if url.scheme == "http" and is_loopback_host(url.hostname or ""):
        return f"ws://{url.netloc}/v2/"
    return DEFAULT_WS_URL
