"""The simulator as the process that everything else starts."""

import subprocess
import sys
from pathlib import Path
from signal import SIGINT, SIGTERM, Signals
from urllib.request import urlopen

import pytest

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
