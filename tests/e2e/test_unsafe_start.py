"""A service does not start on a PostgreSQL that may forget what it acknowledged, or whose role may do too much."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import psycopg
import pytest
from psycopg import sql

from migrations.apply import upgrade
from migrations.roles import ROLE_NAMES, create_database, ensure_roles
from standalone.ports import free_port
from standalone.postgres import EmbeddedPostgres
from standalone.secret_files import write_secret

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 40.0
REFUSED = 2


@dataclass(frozen=True, slots=True)
class Ground:
    """A server of this module's own, with both databases, that tests start again with other settings."""

    server: EmbeddedPostgres
    folder: Path

    def again(self, settings: Mapping[str, str] | None = None, *, standby: bool = False) -> None:
        """Start the server again with settings that differ from the safe ones, or as a standby."""
        self.server.stop()
        self.server._settings = {**SAFE_SETTINGS, **(settings or {})}
        signal = self.server.folder / "data" / "standby.signal"
        signal.unlink(missing_ok=True)
        if standby:
            signal.touch()
            shutil.chown(signal, signal.parent.stat().st_uid, signal.parent.stat().st_gid)
        self.server.restart()

    def change(self, statement: str) -> None:
        """Run a statement as the superuser."""
        with psycopg.connect(self.server.url("ground_trade"), autocommit=True) as connection:
            connection.execute(sql.SQL(statement))

    def start(self, module: str) -> "subprocess.Popen[str]":
        """Start a service on it, with an exchange that is away."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        environment |= {"PYTHONPATH": str(ROOT), **self._settings(module.partition("_")[0].upper())}
        words = [sys.executable, "-m", module]
        return subprocess.Popen(words, env=environment, cwd=ROOT, text=True, stderr=subprocess.PIPE)

    def refusal(self, module: str) -> str:
        """Start a service that must refuse; return what it says last."""
        process = self.start(module)
        _, said = process.communicate(timeout=START_SECONDS)
        assert process.returncode == REFUSED, said
        return said.strip().splitlines()[-1]

    def _settings(self, prefix: str) -> dict[str, str]:
        key = str(write_secret(self.folder / "secrets" / "key", "k" * 64))
        kind = {"TRADE": "TRADE", "MARKET": "READONLY"}[prefix]
        found = {
            f"{prefix}_LISTEN": "127.0.0.1:0",
            f"{prefix}_METRICS_LISTEN": "127.0.0.1:0",
            f"{prefix}_READY_FILE": str(self.folder / "ready"),
            f"BITVAVO_{kind}_KEY_FILE": key,
            f"BITVAVO_{kind}_SECRET_FILE": key,
            "BITVAVO_REST_URL": f"http://127.0.0.1:{free_port()}/v2",
            "BITVAVO_OPERATOR_ID": "1",
            "POLICY_DIR": str(ROOT / "standalone" / "policies"),
        }
        roles = {"TRADE": {"TRADE": "trade_service", "TRADE_RECONCILER": "trade_reconciler"}}
        for name, role in roles.get(prefix, {"MARKET": "market_service"}).items():
            database = "ground_market" if prefix == "MARKET" else "ground_trade"
            url = self.server.url(database, role, PASSWORD)
            found[f"{name}_DATABASE_URL_FILE"] = str(write_secret(self.folder / "secrets" / f"{role}.url", url))
        return found


OURS = ("BITVAVO", "MARKET", "TRADE", "INTERLOCK")
PASSWORD = "of-every-role-here"
SAFE_SETTINGS: dict[str, str] = {}
UNSAFE = {
    **dict.fromkeys(("fsync", "full_page_writes", "synchronous_commit"), "off"),
    **dict.fromkeys(("data_sync_retry", "default_transaction_read_only"), "on"),
}


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    folder = Path(mkdtemp(prefix="interlock-unsafe-"))
    folder.chmod(0o711)
    server = EmbeddedPostgres.start(folder, free_port())
    SAFE_SETTINGS.update(server._settings)
    try:
        ensure_roles(server.url(), dict.fromkeys(ROLE_NAMES, PASSWORD))
        for tree in ("trade", "market"):
            create_database(server.url(), f"ground_{tree}", tree)
            upgrade(server.url(f"ground_{tree}", f"{tree}_owner", PASSWORD), tree)
        yield Ground(server, folder)
    finally:
        server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("service", ["trade", "market"])
def test_a_server_with_unsafe_settings_is_refused_with_all_of_them(ground: Ground, service: str) -> None:
    ground.again(UNSAFE)
    line = ground.refusal(f"{service}_service")
    assert line.startswith(f"{service}_service does not start: database ")
    for problem in (
        "fsync: found off; expected on",
        "full_page_writes: found off; expected on",
        "synchronous_commit: found off; expected on or remote_apply",
        "data_sync_retry: found on; expected off",
        "default_transaction_read_only: found on; expected off",
    ):
        assert f"@ground_{service}: {problem}: " in line
    assert PASSWORD not in line


def test_a_standby_is_refused(ground: Ground) -> None:
    ground.again(standby=True)
    try:
        assert "pg_is_in_recovery: found a standby; expected the primary" in ground.refusal("trade_service")
    finally:
        ground.again()


@pytest.mark.parametrize(
    ("spoil", "said", "mend"),
    [
        (
            "ALTER ROLE trade_service SET default_transaction_isolation = serializable",
            "default_transaction_isolation: found serializable; expected read committed",
            "ALTER ROLE trade_service SET default_transaction_isolation = 'read committed'",
        ),
        (
            "ALTER ROLE trade_reconciler BYPASSRLS",
            "role trade_reconciler: found the powers of trade_reconciler; expected none",
            "ALTER ROLE trade_reconciler NOBYPASSRLS",
        ),
        (
            "UPDATE alembic_version SET version_num = '0000_before'",
            "schema revision: found 0000_before; expected ",
            "UPDATE alembic_version SET version_num = '0001_ground'",
        ),
    ],
)
def test_a_role_or_a_schema_that_is_not_ours_is_refused(ground: Ground, spoil: str, said: str, mend: str) -> None:
    ground.again()
    ground.change(spoil)
    try:
        assert said in ground.refusal("trade_service")
    finally:
        ground.change(mend)


def test_a_database_that_was_away_at_the_start_is_refused_when_it_comes(ground: Ground) -> None:
    ground.again({"fsync": "off"})
    ground.server.stop()
    process = ground.start("trade_service")
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(6)
        ground.server.restart()
        _, said = process.communicate(timeout=START_SECONDS)
    finally:
        process.kill()
        process.wait()
        ground.again()
    assert process.returncode == REFUSED
    assert "fsync: found off; expected on" in said.splitlines()[-1]
