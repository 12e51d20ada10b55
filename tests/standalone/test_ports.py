"""Ports that are chosen before anyone listens on them."""

import socket
from pathlib import Path

import pytest

from standalone import ports

GIVEN_TO_ANYONE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def test_a_chosen_port_is_none_that_the_system_gives_to_whoever_asks() -> None:
    lowest = int(GIVEN_TO_ANYONE.read_text().split()[0]) if GIVEN_TO_ANYONE.exists() else 32_768
    assert all(ports.free_port() < lowest for _ in range(50))


def test_a_port_that_is_taken_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        port = ports.free_port()
        taken.bind(("127.0.0.1", port))
        monkeypatch.setattr(ports, "CHOSEN", range(port, port + 8))
        assert {ports.free_port() for _ in range(50)} <= set(range(port + 1, port + 8))
