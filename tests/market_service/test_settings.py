"""When market_service refuses to start, and what it says then."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kernel.environment import SettingsError
from kernel.rpc.tls import TlsFiles
from market_service.settings import read_settings
from tests.fixtures.certificates import open_desk

SECRET = "very-secret-value-0123456789"


def started_with(**variables: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("BITVAVO", "MARKET", "TRADE"))}
    return subprocess.run(
        [sys.executable, "-m", "market_service"],
        env=environ | variables,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def tls_variables(files: TlsFiles) -> dict[str, str]:
    names = ("MARKET_TLS_CERT_FILE", "MARKET_TLS_KEY_FILE", "MARKET_TLS_CA_FILE", "MARKET_ACCESS_FILE")
    paths = (files.certificate, files.key, files.authority, files.access)
    return {name: str(path) for name, path in zip(names, paths, strict=True)}


def test_g3_market_service_refuses_to_start_when_it_can_see_a_trade_key() -> None:
    done = started_with(BITVAVO_TRADE_SECRET=SECRET, MARKET_LISTEN="127.0.0.1:0", MARKET_METRICS_LISTEN="127.0.0.1:0")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "BITVAVO_TRADE_SECRET" in line
    assert "must not be able to trade; remove it" in line
    assert SECRET not in done.stderr + done.stdout


@pytest.mark.parametrize(
    "name",
    [
        "BITVAVO_TRADE_KEY",
        "BITVAVO_TRADE_SECRET",
        "BITVAVO_TRADE_KEY_FILE",
        "BITVAVO_TRADE_SECRET_FILE",
        "TRADE_DATABASE_URL",
        "TRADE_DATABASE_URL_RECONCILER",
    ],
)
@pytest.mark.parametrize("value", [SECRET, ""])
def test_g3_everything_that_can_trade_is_refused_by_name_and_never_shown(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read_settings({name: value})
    assert name in str(refused.value)
    assert SECRET not in str(refused.value)


def test_without_any_variable_it_serves_public_data_on_loopback() -> None:
    settings = read_settings({})
    assert (settings.listen, settings.metrics_listen) == ("127.0.0.1:50051", "127.0.0.1:9464")
    assert settings.rest_url == "https://api.bitvavo.com/v2"
    assert settings.readonly_key is None


def test_a_plain_key_is_for_loopback_only() -> None:
    plain = {"BITVAVO_READONLY_KEY": SECRET, "BITVAVO_READONLY_SECRET": SECRET}
    key = read_settings(plain).readonly_key
    assert key is not None
    assert key.key.reveal() == SECRET
    for name in ("MARKET_LISTEN", "MARKET_METRICS_LISTEN"):
        with pytest.raises(SettingsError) as refused:
            read_settings({**plain, name: "0.0.0.0:1"})
        assert "BITVAVO_READONLY_KEY_FILE" in str(refused.value)
        assert SECRET not in str(refused.value)


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    paths = {}
    for name in ("BITVAVO_READONLY_KEY_FILE", "BITVAVO_READONLY_SECRET_FILE"):
        path = tmp_path / name
        path.write_text(SECRET)
        path.chmod(0o400)
        paths[name] = str(path)
    assert read_settings(paths).readonly_key is not None
    (tmp_path / "BITVAVO_READONLY_SECRET_FILE").chmod(0o444)
    with pytest.raises(SettingsError, match="chmod 0400"):
        read_settings(paths)


def test_half_a_key_is_refused() -> None:
    with pytest.raises(SettingsError, match="BITVAVO_READONLY_SECRET"):
        read_settings({"BITVAVO_READONLY_KEY": SECRET})


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.1:99999", ":", "http://x"])
def test_a_malformed_address_is_refused(address: str) -> None:
    with pytest.raises(SettingsError, match="MARKET_LISTEN"):
        read_settings({"MARKET_LISTEN": address})


@pytest.mark.parametrize("url", ["http://example.com/v2", "https://api.bitvavo.com", "ftp://127.0.0.1/v2"])
def test_an_exchange_off_loopback_without_tls_is_refused_at_the_start(url: str) -> None:
    done = started_with(BITVAVO_REST_URL=url, MARKET_LISTEN="127.0.0.1:0", MARKET_METRICS_LISTEN="127.0.0.1:0")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "BITVAVO_REST_URL" in done.stderr


@pytest.mark.parametrize("name", ["MARKET_LISTEN", "MARKET_METRICS_LISTEN"])
def test_off_loopback_all_four_files_are_needed(name: str, tmp_path: Path) -> None:
    files = open_desk(tmp_path, "market_service").files
    variables = tls_variables(files)
    assert read_settings({name: "0.0.0.0:1", **variables}).tls == files
    for missing in variables:
        with pytest.raises(SettingsError, match=f"{missing}: expected a file, together with the other three"):
            read_settings({each: value for each, value in variables.items() if each != missing})
    with pytest.raises(SettingsError, match="MARKET_ACCESS_FILE: expected a file, required off loopback"):
        read_settings({name: "0.0.0.0:1"})


def test_the_other_service_is_called_in_plaintext_on_loopback_only(tmp_path: Path) -> None:
    far = {
        "MARKET_DATABASE_URL": "postgresql://market_service:x@127.0.0.1:1/market",
        "TRADE_ADDRESS": "trade_service:50052",
    }
    with pytest.raises(SettingsError, match="TRADE_ADDRESS: expected a loopback address"):
        read_settings(far)
    scans = read_settings({**far, **tls_variables(open_desk(tmp_path, "market_service").files)}).scans
    assert scans is not None
    assert scans.trade_address == "trade_service:50052"


@pytest.mark.parametrize(("listen", "metrics_listen"), [("192.0.2.1:0", "127.0.0.1:0"), ("127.0.0.1:0", "192.0.2.1:0")])
def test_an_address_that_cannot_be_listened_on_is_refused(listen: str, metrics_listen: str, tmp_path: Path) -> None:
    variables = tls_variables(open_desk(tmp_path, "market_service").files)
    done = started_with(MARKET_LISTEN=listen, MARKET_METRICS_LISTEN=metrics_listen, **variables)
    assert done.returncode == 2
    assert "192.0.2.1" in done.stderr.splitlines()[-1]


def test_the_websocket_stands_beside_rest_on_loopback_and_is_the_exchanges_own_elsewhere() -> None:
    assert read_settings({}).live.socket_url == "wss://ws.bitvavo.com/v2/"
    beside = read_settings({"BITVAVO_REST_URL": "http://127.0.0.1:8099/v2"})
    assert beside.live.socket_url == "ws://127.0.0.1:8099/v2/"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BITVAVO_WS_URL", "ws://ws.bitvavo.com/v2/"),
        ("BITVAVO_WS_URL", "wss://ws.bitvavo.com/"),
        ("MARKET_AUDIT", "0s"),
        ("MARKET_RECORDING_DIR", "/no/such/directory"),
        ("MARKET_RECORDING_FILES", "0"),
    ],
)
def test_a_wrong_setting_of_the_live_part_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        read_settings({name: value})
