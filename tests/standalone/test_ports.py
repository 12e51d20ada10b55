"""Ports that are chosen before anyone listens on them."""

import socket

import pytest

from standalone import ports

GIVEN_TO_ANYONE_FROM = 32_768
"""Linux's own choice: https://docs.kernel.org/networking/ip-sysctl.html, ip_local_port_range."""


def test_a_chosen_port_is_none_that_the_system_gives_to_whoever_asks() -> None:
    assert all(ports.free_port() < GIVEN_TO_ANYONE_FROM for _ in range(50))


def test_a_port_that_is_taken_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        port = ports.free_port()
        taken.bind(("127.0.0.1", port))
        monkeypatch.setattr(ports, "CHOSEN", range(port, port + 8))
        assert {ports.free_port() for _ in range(50)} <= set(range(port + 1, port + 8))
