"""`interlock certs dev`: what it writes, renews and refuses."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cli.__main__ import main
from kernel.rpc.tls import Certificates, TlsFiles


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_it_makes_what_each_service_can_serve_with_and_says_how_to_call(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "certs"
    assert main(["certs", "dev", "--out", str(out), "--client", "alice-bot"]) == 0
    for name in ("market_service", "trade_service"):
        files = TlsFiles(*(out / name / each for each in ("cert.pem", "key.pem", "ca.pem", "access.yaml")))
        assert Certificates(files, name).pair.identity == f"spiffe://interlock/{name}"
    told = capsys.readouterr().out
    assert f"grpcurl -cacert {out}/ca.pem -cert {out}/alice-bot/cert.pem -key {out}/alice-bot/key.pem" in told
    assert {stat.S_IMODE(path.stat().st_mode) for path in out.rglob("*") if path.is_file()} == {0o400}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (out, *out.iterdir()) if path.is_dir()} == {0o700}


def test_again_it_keeps_the_ca_and_renews_every_certificate_the_clients_too(tmp_path: Path) -> None:
    main(["certs", "dev", "--out", str(tmp_path), "--client", "alice-bot"])
    before = files_of(tmp_path)
    assert main(["certs", "dev", "--out", str(tmp_path)]) == 0
    after = files_of(tmp_path)
    assert before.keys() == after.keys()
    kept = {name for name in before if before[name] == after[name]}
    assert kept == {name for name in before if name.endswith(("ca.pem", "ca.key"))}


@pytest.mark.parametrize("lost", ["ca.key", "ca.pem"])
def test_half_a_ca_is_refused_and_nothing_is_written(
    tmp_path: Path, lost: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["certs", "dev", "--out", str(tmp_path)])
    (tmp_path / lost).unlink()
    before = files_of(tmp_path)
    assert main(["certs", "dev", "--out", str(tmp_path)]) == 2
    assert f"{lost} is missing" in capsys.readouterr().err
    assert files_of(tmp_path) == before


def test_a_ca_of_another_key_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["certs", "dev", "--out", str(tmp_path / "one")])
    main(["certs", "dev", "--out", str(tmp_path / "other")])
    (tmp_path / "one" / "ca.key").replace(tmp_path / "other" / "ca.key")
    assert main(["certs", "dev", "--out", str(tmp_path / "other")]) == 2
    assert "not that of the CA's certificate" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["trade_service", "../up", "Alice", "", "a/b", "local"])
def test_a_name_that_is_none_or_a_programs_is_refused(tmp_path: Path, name: str) -> None:
    assert main(["certs", "dev", "--out", str(tmp_path), "--client", name]) == 2
    assert not any(tmp_path.iterdir())


def test_the_command_runs_as_a_program(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "cli", "certs", "dev", "--out", str(tmp_path), "--host", "trade.example.org"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    text = subprocess.run(
        ["openssl", "x509", "-in", tmp_path / "trade_service" / "cert.pem", "-noout", "-ext", "subjectAltName"],  # noqa: S607
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    assert "URI:spiffe://interlock/trade_service" in text
    assert "DNS:trade.example.org" in text
