"""`interlock.json`: where a running system is found. Written when it is ready, gone when it is not."""

import json
from pathlib import Path
from typing import Any

from migrations.roles import ROLE_NAMES
from standalone.system import System

NAME = "interlock.json"


def write_addresses(folder: Path, system: System) -> None:
    """Write the file whole, readable by its owner only: it holds the databases' passwords."""
    content = {
        "market": system.market.address,
        "trade": system.trade[0].address,
        "simulator": system.simulator.url,
        "metrics": {"market": system.market.metrics_url, "trade": system.trade[0].metrics_url},
        "databases": {role: system.database_url(role) for role in ROLE_NAMES},
        "tls": system.tls.addresses() if system.tls else None,
    }
    unfinished = folder / f"{NAME}.unfinished"
    unfinished.touch(mode=0o600)
    unfinished.write_text(json.dumps(content, indent=2) + "\n")
    unfinished.replace(folder / NAME)


def read_addresses(folder: Path) -> dict[str, Any] | None:
    """Read the file; None when there is none."""
    try:
        content: dict[str, Any] = json.loads((folder / NAME).read_text())
    except FileNotFoundError:
        return None
    return content


def remove_addresses(folder: Path) -> None:
    """Remove the file, if it is there."""
    (folder / NAME).unlink(missing_ok=True)
