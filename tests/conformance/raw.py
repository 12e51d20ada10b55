"""Requests without any client: what the exchange's part looks like when a client gets its own part wrong."""

import hmac
import json
import time
from collections.abc import Mapping
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tests.conformance.report import Answer

PATIENCE_S = 10


def signed(settings: dict[str, str], method: str, target: str, body: Mapping[str, object] | None = None) -> Answer:
    """One signed request; the answer's JSON, an error's too."""
    text = "" if body is None else json.dumps(body, separators=(",", ":"))
    timestamp = str(time.time_ns() // 1_000_000)
    message = f"{timestamp}{method}/v2{target}{text}"
    headers = {
        "Bitvavo-Access-Key": settings["key"],
        "Bitvavo-Access-Signature": hmac.new(settings["secret"].encode(), message.encode(), "sha256").hexdigest(),
        "Bitvavo-Access-Timestamp": timestamp,
        "Content-Type": "application/json",
    }
    request = Request(settings["rest"] + target, text.encode() or None, headers, method=method)  # noqa: S310  loopback
    try:
        with urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310  loopback
            return json.load(answer)
    except HTTPError as refused:
        return json.load(refused)


def admin(settings: dict[str, str], method: str, name: str, wish: Mapping[str, object] | None = None) -> Answer:
    """One request to the simulator's admin endpoints."""
    text = None if wish is None else json.dumps(wish).encode()
    request = Request(f"{settings['http']}/_sim/{name}", text, method=method)  # noqa: S310  loopback
    with urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310  loopback
        return json.load(answer)


def requests_received(settings: dict[str, str], path: str) -> list[Answer]:
    """What the ledger holds of this account's requests to a path or with an action, oldest first."""
    rows = admin(settings, "GET", "ledger?kind=requests")["requests"]
    return [row for row in rows if row["path"].partition("?")[0] == path and row["key"] == settings["key"][:8]]
