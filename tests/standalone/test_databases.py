"""A DSN in the environment takes the embedded server's place; what is stored stays unless told otherwise."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from standalone.databases import DSN_VARIABLE, Databases, DatabaseSetupError
from standalone.postgres import EmbeddedPostgres
from tests.standalone.processes import reachable_folder


@pytest.fixture
def server() -> Iterator[EmbeddedPostgres]:
    with reachable_folder() as folder:
        started = EmbeddedPostgres.start(folder / "postgres")
        yield started
        started.stop()


def deployment(databases: Databases) -> object:
    with psycopg.connect(databases.url("auditor")) as connection:
        return connection.execute("SELECT deployment_id FROM deployment").fetchone()


def test_the_server_of_a_dsn_is_used_kept_and_left_running(
    server: EmbeddedPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DSN_VARIABLE, server.url())
    first = Databases(tmp_path / "unused", "one", fresh=False)
    assert DSN_VARIABLE in first.start()
    first.prepare()
    made = deployment(first)
    other = Databases(tmp_path / "unused", "two", fresh=True)
    other.start()
    other.prepare()
    assert deployment(other) != made
    again = Databases(tmp_path / "unused", "one", fresh=False)
    again.start()
    again.prepare()
    assert deployment(again) == deployment(first) == made
    fresh = Databases(tmp_path / "unused", "one", fresh=True)
    fresh.start()
    fresh.prepare()
    assert deployment(fresh) != made
    fresh.stop()
    assert server.pid is not None
    assert not (tmp_path / "unused").exists()


@pytest.mark.parametrize("dsn", ["postgresql://postgres@127.0.0.1/postgres", "dbname=postgres password=secret"])
def test_a_dsn_without_host_or_password_is_refused_without_showing_it(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DSN_VARIABLE, dsn)
    with pytest.raises(DatabaseSetupError, match=DSN_VARIABLE) as refusal:
        Databases(tmp_path, "one", fresh=False).start()
    assert "secret" not in str(refusal.value)
