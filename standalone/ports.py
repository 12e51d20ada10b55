"""Which ports the one-machine system takes, and a clear refusal when somebody else has one of them."""

import secrets
import socket
from contextlib import suppress
from dataclasses import astuple, dataclass, fields

CHOSEN = range(20_000, 32_768)


class PortTakenError(RuntimeError):
    """Another program listens on a port we need; the text names it and what to do."""


@dataclass(frozen=True, slots=True)
class Ports:
    """A port each; 0 takes any free one. Further replicas of trade_service take the next numbers."""

    market: int = 0
    trade: int = 0
    simulator: int = 0
    market_metrics: int = 0
    trade_metrics: int = 0

    def require_free(self) -> None:
        """Pass when nobody listens on any of them.

        Raises:
            PortTakenError: somebody does.
        """
        for field, port in zip(fields(self), astuple(self), strict=True):
            if port:
                require_free(port, field.name)


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free now, for an address that must be told before anyone listens on it.

    It is none of those that the system gives to whoever asks for any (32768 and up, unless told otherwise): one of them
    could be given away before it is used.
    """
    while True:
        port = secrets.choice(CHOSEN)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


FIXED = Ports(market=50051, trade=50052, simulator=8099, market_metrics=9464, trade_metrics=9465)
ANY = Ports()


def require_free(port: int, purpose: str) -> None:
    """Pass when nobody listens on 127.0.0.1 at this port.

    Raises:
        PortTakenError: somebody does.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a closed connection's remains take no port
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise PortTakenError(
                f"port {port} ({purpose}) of 127.0.0.1 is taken ({error.strerror}): "
                f"`ss -ltnp 'sport = :{port}'` shows by whom; stop that program and start again"
            ) from None
