"""Compose 2 and BuildKit for the container tests: `make test-containers COMPOSE=2`; `tools.docker_engine` calls it.

This Debian has Compose 1. A later release has 2, whose programs need nothing here but the C library: they are taken out
of its packages, from the same mirror, signatures checked.
"""

import shutil
import subprocess
from pathlib import Path
from typing import Final

from tools.docker_bases import BaseImageError, mirror

SUITE: Final = "trixie"
PLUGINS: Final = ("docker-compose", "docker-buildx")
"""Packages, and the program that each is for."""
WITHIN: Final = Path("usr/libexec/docker/cli-plugins")
SECONDS: Final = 300


def ensure_plugins(kept: Path, wanted: Path) -> None:
    """Have both plug-ins in the folder `wanted` of a client; `kept` keeps them for the next time.

    Raises:
        BaseImageError: they cannot be had.
    """
    if not all((kept / name).exists() for name in PLUGINS):
        _extract(kept)
    for name in PLUGINS:
        shutil.copy2(kept / name, wanted / name)


def _extract(kept: Path) -> None:
    tree = kept / "tree"
    words = ["mmdebstrap", "--variant=extract", f"--include={','.join(PLUGINS)}", "--quiet"]
    words += ['--aptopt=Acquire::Check-Valid-Until "false"', SUITE, str(tree), mirror()]
    shutil.rmtree(tree, ignore_errors=True)
    kept.mkdir(parents=True, exist_ok=True)
    ran = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=False)
    if ran.returncode:
        raise BaseImageError(f"Compose 2: {ran.stderr[-1500:]}")
    for name in PLUGINS:
        shutil.copy2(tree / WITHIN / name, kept / name)
    shutil.rmtree(tree)
