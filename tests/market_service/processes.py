"""Runs the simulator and market_service as processes of their own, on ports the system chooses."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

KEY, SECRET = "v" * 64, "s" * 128
START_SECONDS = 20
STOP_SECONDS = 20


class Process:
    """A program of ours, started and stopped."""

    def __init__(self, words: list[str], ready_file: Path, environ: dict[str, str], log: Path) -> None:
        self.ready_file = Path(ready_file)
        self.ready_file.unlink(missing_ok=True)
        self.log = Path(log)
        with self.log.open("ab") as out:
            self.popen = subprocess.Popen([sys.executable, "-m", *words], env=environ, stdout=out, stderr=out)

    def wait_ready(self) -> str:
        ends = time.monotonic() + START_SECONDS
        while not self.ready_file.exists():
            if self.popen.poll() is not None or time.monotonic() > ends:
                raise AssertionError(f"it did not start: {self.log.read_text()[-2000:]}")
            time.sleep(0.02)
        return self.ready_file.read_text()

    def stop(self) -> int:
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(STOP_SECONDS)


class Simulator:
    """The simulated exchange; a restart keeps its port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = 0
        self.start()

    def start(self) -> None:
        words = ["exchange_sim", "--port", str(self._port), "--still", "--ready-file", str(self._folder / "sim.ready")]
        self.process = Process(words, self._folder / "sim.ready", dict(os.environ), self._folder / "sim.log")
        self.url = self.process.wait_ready().strip()
        self._port = int(self.url.rpartition(":")[2])
        self.admin("POST", "accounts", key=KEY, secret=SECRET, rights=["view"], balances={"EUR": "1000", "BTC": "0.5"})
        self.admin("POST", "limits", points_per_minute=100_000)

    def admin(self, method: str, path: str, **wish: object) -> Any:  # noqa: ANN401 - JSON
        answer = httpx.request(method, f"{self.url}/_sim/{path}", json=wish or None, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def requests(self, path: str = "") -> list[dict[str, Any]]:
        """List the requests received for `path`, such as "/v2/BTC-EUR/book", whatever their query."""
        rows = self.admin("GET", "ledger?kind=requests")["requests"]
        return [row for row in rows if row["path"].partition("?")[0].endswith(path) and row["path"] != "/v2/time"]

    def fault(self, path: str, fault: str, times: int = 1, **more: object) -> None:
        self.admin("POST", "faults", match={"method": "GET", "path": path}, fault=fault, times=times, **more)

    def stop(self) -> None:
        self.process.stop()


class MarketService:
    """market_service on loopback, reading the simulator."""

    def __init__(self, folder: Path, rest_url: str, *, with_key: bool = True, **more: str) -> None:
        ours = ("BITVAVO", "MARKET", "TRADE")
        environ = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        ready = folder / "market.ready"
        environ |= {
            "BITVAVO_REST_URL": f"{rest_url}/v2",
            "MARKET_LISTEN": "127.0.0.1:0",
            "MARKET_METRICS_LISTEN": "127.0.0.1:0",
            "MARKET_READY_FILE": str(ready),
            **more,
        }
        if with_key:
            environ |= {"BITVAVO_READONLY_KEY_FILE": _file(folder, "key", KEY)}
            environ |= {"BITVAVO_READONLY_SECRET_FILE": _file(folder, "secret", SECRET)}
        self.process = Process(["market_service"], ready, environ, folder / "market.log")
        ports = json.loads(self.process.wait_ready())
        self.address = f"127.0.0.1:{ports['grpc']}"
        self.metrics_url = f"http://127.0.0.1:{ports['metrics']}/metrics"

    def log_events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.process.log.read_text().splitlines()]

    def stop(self) -> int:
        return self.process.stop()


def _file(folder: Path, name: str, text: str) -> str:
    path = folder / name
    if not path.exists():
        path.write_text(text)
        path.chmod(0o400)
    return str(path)
