"""Backup and restore of one database by the very commands that docs/operations.md prints."""

import subprocess
from pathlib import Path

from standalone.postgres import EmbeddedPostgres
from standalone.server_account import ServerAccount, readable_binaries
from tests.docs.pages import ROOT, blocks

TOOL_SECONDS = 60.0
BACK_UP, RESTORE = blocks(ROOT / "docs" / "operations.md", "bash")


def dump(server: EmbeddedPostgres, database: str, file: Path) -> Path:
    """Back a database up into a file; services may be at work."""
    run(BACK_UP, server, database, file)
    return file


def restore(server: EmbeddedPostgres, database: str, file: Path) -> None:
    """Put a backup in the database's place; whoever is connected is thrown out."""
    run(RESTORE, server, database, file)


def run(commands: str, server: EmbeddedPostgres, database: str, file: Path) -> None:
    """Run what the page prints, with the programs of the server's own version; fails with what they said."""
    binaries = readable_binaries(ServerAccount.for_this_process())
    superuser = server.url().rpartition("/")[0]
    named = {"SUPERUSER_URL": superuser, "DATABASE": database, "DUMP": str(file), "PATH": f"{binaries}:/usr/bin:/bin"}
    shell = ["bash", "-e", "-c", commands]
    done = subprocess.run(shell, env=named, capture_output=True, text=True, timeout=TOOL_SECONDS, check=False)
    assert done.returncode == 0, f"{commands}: {done.stderr}"
