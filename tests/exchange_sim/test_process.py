"""The simulator as the process that everything else starts."""

import json
import subprocess
import sys
import time
from pathlib import Path
from signal import SIGINT, SIGTERM, Signals
from ssl import create_default_context
from urllib.request import urlopen

import pytest

from exchange_sim.__main__ import read_arguments
from exchange_sim.generate_recording import generated_text
from tests.bitvavo.raw_server import CERTIFICATE

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("number", [SIGTERM, SIGINT])
def test_it_says_where_it_listens_and_ends_cleanly(tmp_path: Path, number: Signals) -> None:
    ready = tmp_path / "ready"
    words = [sys.executable, "-m", "exchange_sim", "--port", "0", "--markets", "2", "--ready-file", str(ready)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            address = line.removeprefix("exchange_sim listening on ").strip()
            assert ready.read_text().strip() == address
            with urlopen(f"{address}/v2/time", timeout=5) as answer:  # noqa: S310  an address of our own process
                assert answer.status == 200
            process.send_signal(number)
            assert process.wait(timeout=10) == 0
            assert process.stderr is not None
            assert process.stderr.read() == ""
        finally:
            process.kill()


def test_a_recording_with_frames_plays_while_the_rest_is_still(tmp_path: Path) -> None:
    recording, ready = tmp_path / "recording.json", tmp_path / "ready"
    recording.write_text(generated_text("BTC-EUR", 7, steps=200))
    words = [sys.executable, "-m", "exchange_sim", "--port", "0", "--markets", "2", "--ready-file", str(ready)]
    words += ["--still", "--recording", str(recording), "--speed", "1000"]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().removeprefix("exchange_sim listening on ").strip()
            wanted = [
                frame["price"] for frame in json.loads(recording.read_text())["frames"] if frame["event"] == "trade"
            ]
            deadline = time.monotonic() + 10
            while read(address, f"BTC-EUR/trades?limit={len(wanted)}") != wanted[::-1]:
                assert time.monotonic() < deadline
                time.sleep(0.02)
        finally:
            process.kill()


def read(address: str, path: str) -> list[str]:
    with urlopen(f"{address}/v2/{path}", timeout=5) as answer:  # noqa: S310  an address of our own process
        return [row["price"] for row in json.loads(answer.read())]


def test_it_serves_tls_and_opens_the_accounts_of_a_file(tmp_path: Path) -> None:
    accounts, ready = tmp_path / "accounts.json", tmp_path / "ready"
    accounts.write_text(json.dumps([{"key": "k" * 64, "secret": "s", "rights": ["view"], "balances": {"EUR": "7"}}]))
    words = [sys.executable, "-m", "exchange_sim", "--port", "0", "--markets", "2", "--ready-file", str(ready)]
    words += ["--tls-cert", str(CERTIFICATE), "--tls-key", str(CERTIFICATE), "--accounts", str(accounts)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().removeprefix("exchange_sim listening on ").strip()
            assert address.startswith("https://")
            trusting = create_default_context(cafile=CERTIFICATE)
            with urlopen(f"{address}/_sim/money", timeout=5, context=trusting) as answer:  # noqa: S310  our own process
                assert json.loads(answer.read())["EUR"]["deposited"] == "7"
        finally:
            process.kill()


def test_half_a_certificate_is_refused() -> None:
    with pytest.raises(SystemExit):
        read_arguments(["--tls-cert", "certificate.pem"])
