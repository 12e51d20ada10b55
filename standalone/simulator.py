"""The simulated exchange as a child process, and what is asked of its admin endpoints (docs/simulator.md)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from standalone.process import Process, Program

ADMIN_TIMEOUT_SECONDS = 10.0


class Simulator:
    """The exchange of this machine. All is in memory: a restart opens the accounts again and knows no order."""

    def __init__(self, folder: Path, port: int, arguments: Sequence[str]) -> None:
        """Describe it; port 0 takes any, and a restart the same again."""
        self._folder = folder
        self._port = port
        self._arguments = tuple(arguments)
        self._accounts: list[Mapping[str, object]] = []
        self._client = httpx.Client(trust_env=False, timeout=ADMIN_TIMEOUT_SECONDS)
        self.process = self._new_process()
        self.url = ""

    def start(self) -> None:
        """Start the process; `wait_ready` follows."""
        self.process = self._new_process()
        self.process.start()

    def wait_ready(self) -> None:
        """Wait until it listens, and open its accounts."""
        self.url = self.process.wait_ready().strip()
        self._port = int(self.url.rpartition(":")[2])
        for account in self._accounts:
            self.admin("POST", "accounts", **account)

    def restart(self) -> None:
        """Start again on the same port, as after a crash: accounts as first opened, orders and ledger gone."""
        self.stop()
        self.start()
        self.wait_ready()

    def stop(self) -> None:
        """Stop the process; `start` or `restart` may follow."""
        self.process.terminate()

    def close(self) -> None:
        """Stop for good."""
        self.stop()
        self._client.close()

    def open_account(self, **account: object) -> None:
        """Open an account or give it another key, now and after every restart."""
        self._accounts.append(account)
        self.admin("POST", "accounts", **account)

    def admin(self, method: str, path: str, **wish: object) -> Any:  # noqa: ANN401  # JSON
        """Ask `/_sim/<path>` and return its answer.

        Raises:
            httpx.HTTPError: it does not answer, or refuses.
        """
        answer = self._client.request(method, f"{self.url}/_sim/{path}", json=wish or None)
        answer.raise_for_status()
        return answer.json()

    def requests(self, client_order_id: str = "") -> list[dict[str, Any]]:
        """Return the requests of the ledger, all or those that carry this client order id."""
        return self._ledger("requests", client_order_id)

    def orders(self, client_order_id: str = "") -> list[dict[str, Any]]:
        """Return the orders ever created, all or those of this client order id."""
        return self._ledger("orders", client_order_id)

    def _ledger(self, kind: str, client_order_id: str) -> list[dict[str, Any]]:
        chosen = f"&client_order_id={client_order_id}" if client_order_id else ""
        rows: list[dict[str, Any]] = self.admin("GET", f"ledger?kind={kind}{chosen}")[kind]
        return rows

    def _new_process(self) -> Process:
        ready = self._folder / "ready" / "simulator"
        words = ("exchange_sim", "--port", str(self._port), "--ready-file", str(ready), *self._arguments)
        return Process(Program("simulator", words, {}, ready, self._folder / "logs" / "simulator.log"))
