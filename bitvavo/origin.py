"""Which addresses of the exchange may be talked to: TLS everywhere, plaintext on loopback only."""

import ipaddress
import ssl
from pathlib import Path
from typing import Final

import certifi
from yarl import URL

SOCKET_PATH: Final = "/v2/"


def checked_socket_url(text: str) -> URL:
    """Return the URL of the exchange's WebSocket.

    Raises:
        ValueError: not ``wss://…/v2/``, or ``ws://`` off loopback, or with user, query or fragment.
    """
    url = URL(text)
    if url.path.rstrip("/") != SOCKET_PATH.rstrip("/") or url.user or url.password or url.query_string or url.fragment:
        raise ValueError(f"the WebSocket's URL must end in {SOCKET_PATH}, without user, query or fragment")
    if url.scheme != "wss" and not (url.scheme == "ws" and is_loopback_host(url.host or "")):
        raise ValueError("the WebSocket's URL must be wss; ws is for a loopback address only")
    return url.with_path(SOCKET_PATH)


def is_loopback_host(host: str) -> bool:
    """Say whether a host of a URL is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return a context that trusts the public authorities, or those of `ca_file` only; TLS 1.2 at least."""
    context = ssl.create_default_context(cafile=str(ca_file) if ca_file else certifi.where())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
