"""The secrets of a deployment: every container gets its own, once, and nobody else's."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from cli.deployment import FILES, OWNERS, ROLES, WRITTEN_BY_ATTEST, export, lacking, prepare
from migrations.roles import ROLES as MADE

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives files away, which only root may")


@pytest.fixture
def volumes(tmp_path: Path) -> Path:
    for name in (*OWNERS, *WRITTEN_BY_ATTEST, "development"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_every_role_that_migrations_make_has_a_password() -> None:
    assert {tree: set(roles) for tree, roles in ROLES.items()} == {
        tree: {role.name for role in MADE if role.tree == tree} for tree in ROLES
    }


@needs_root
def test_every_file_is_made_its_owners_and_closed_to_others(volumes: Path) -> None:
    prepare(volumes)
    for volume, names in FILES.items():
        assert {path.name for path in (volumes / volume).iterdir()} == set(names)
        for path in (volumes / volume).iterdir():
            assert (path.stat().st_uid, path.stat().st_mode & 0o7777) == (OWNERS[volume].uid, 0o400)
    assert lacking(volumes) == []


@needs_root
def test_what_is_secret_is_made_once(volumes: Path) -> None:
    prepare(volumes)
    names = [f"{volume}/{name}" for volume in FILES for name in FILES[volume] if name not in {"cert.pem", "key.pem"}]
    first = {name: (volumes / name).read_bytes() for name in names}
    (volumes / "trade_service" / "key").unlink()
    prepare(volumes)
    assert {name: (volumes / name).read_bytes() for name in names} == first


@needs_root
def test_each_service_has_a_key_a_password_and_a_certificate_of_its_own(volumes: Path) -> None:
    prepare(volumes)
    for name in ("key", "secret", "database.url", "cert.pem", "key.pem"):
        assert (volumes / "market_service" / name).read_bytes() != (volumes / "trade_service" / name).read_bytes()
    for tree, service in (("market", "market_service"), ("trade", "trade_service")):
        for name in ("key", "secret"):
            assert (volumes / f"attest_{tree}" / name).read_bytes() == (volumes / service / name).read_bytes()


def test_whatever_is_missing_or_open_to_others_is_named(volumes: Path) -> None:
    readable = volumes / "trade_service" / "key"
    readable.write_text("k")
    readable.chmod(0o644)
    found = lacking(volumes)
    assert "trade_service/key: mode 0644; expected 0400" in found
    assert "trade_service/secret: missing; expected a file of uid 10002, mode 0400" in found
    assert not any(line.startswith(("simulator/", "attest_market/ca.pem")) for line in found)


@needs_root
def test_a_caller_gets_his_certificate_and_no_authority_to_make_others(volumes: Path) -> None:
    prepare(volumes)
    with tarfile.open(fileobj=io.BytesIO(export(volumes / "development" / "callers" / "operator"))) as archive:
        assert sorted(archive.getnames()) == ["operator/ca.pem", "operator/cert.pem", "operator/key.pem"]
        assert {member.mode for member in archive.getmembers()} == {0o400}
