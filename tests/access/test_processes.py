"""The running programs themselves: what their ports speak, and what a health check of a container learns."""

import socket
import ssl
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from kernel.rpc.probe import NOT_SERVING, SERVING, WRONG
from standalone.tls import Tls
from tests.access.clients import Callers
from tests.fixtures.certificates import context_as

QUESTION = b"GET /metrics HTTP/1.0\r\n\r\n"
PORTS = ("trade", "market", "trade metrics", "market metrics")


def address_of(callers: Callers, port: str) -> str:
    service = callers.system.trade[0] if port.startswith("trade") else callers.system.market
    return urlsplit(service.metrics_url).netloc if port.endswith("metrics") else service.address


def version_of(address: str, context: ssl.SSLContext) -> str | None:
    """Shake hands and wait for the server's first word: in TLS 1.3 a client is refused only after its side is done.

    None: it was refused, or the server hung up without a word.
    """
    host = address.split(":", maxsplit=1)[0]
    with (
        suppress(ssl.SSLError, ConnectionError),
        connected(address) as plain,
        context.wrap_socket(plain, server_hostname=host) as end,
    ):
        end.sendall(QUESTION)
        return end.version() if end.recv(1) else None
    return None


def answer_in_plaintext(address: str) -> bytes:
    with connected(address) as plain, suppress(ConnectionError):
        plain.sendall(QUESTION)
        return plain.recv(65_536)
    return b""


def connected(address: str) -> socket.socket:
    host, port = address.split(":")
    return socket.create_connection((host, int(port)), 10)


@pytest.mark.parametrize("port", PORTS)
def test_every_port_speaks_tls_1_3_with_a_certificate_of_ours_and_nothing_else(
    callers: Callers, port: str, tmp_path: Path
) -> None:
    address, ours = address_of(callers, port), callers.authority
    context = context_as(ours.leaf("reader"), ours, tmp_path)
    if port.endswith("metrics"):
        context.set_alpn_protocols(["http/1.1"])
    assert version_of(address, context) == "TLSv1.3"
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert version_of(address, context) is None
    assert version_of(address, context_as(None, ours, tmp_path)) is None
    assert b"200" not in answer_in_plaintext(address)


def probed(address: str, name: str, tls: Tls | None) -> tuple[int, str]:
    variables = tls.variables("TRADE", "trade_service") if tls else {}
    done = subprocess.run(
        [sys.executable, "-m", "kernel.rpc.probe", address, name],
        env={"PATH": "/usr/bin:/bin", **variables},
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr.strip()


def test_a_health_check_says_serving_or_in_a_line_why_not(callers: Callers) -> None:
    address, tls = callers.system.trade[0].address, callers.system.tls
    assert probed(address, "trade.ready", tls) == (SERVING, "")
    assert probed(address, "no.such.name", tls) == (NOT_SERVING, f"no.such.name at {address}: NOT_FOUND")
    assert probed(address, "trade.ready", None) == (NOT_SERVING, f"trade.ready at {address}: UNAVAILABLE")
    code, why = probed("trade_service:50052", "trade.ready", None)
    assert code == WRONG
    assert "in plaintext only a loopback address is asked" in why
