"""The client channel from one service to another; only a service's market or trade client opens one.

In plaintext on this machine; with certificates everywhere. A channel keeps the certificate it was opened with, so when
another pair is taken the next call opens a new one, and calls under way finish on the old.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, Self

import grpc
import grpc.aio

from kernel.rpc.tls import Certificates

MAX_RECEIVE_BYTES: Final = 4 * 1024 * 1024
MAX_SEND_BYTES: Final = 16 * 1024
MAX_METADATA_BYTES: Final = 16 * 1024
KEEPALIVE_SECONDS: Final = 30.0
KEEPALIVE_TIMEOUT_SECONDS: Final = 5.0
MIN_RECONNECT_SECONDS: Final = 0.1
MAX_RECONNECT_SECONDS: Final = 2.0
"""A service that came back is found again within two seconds."""
LAST_CALLS_SECONDS: Final = 60.0
"""How long calls under way may still use the channel of a certificate that was replaced."""


def open_channel(address: str, certificates: Certificates | None = None) -> grpc.aio.Channel:
    """Open a channel to "host:port"; plaintext without certificates. Close it with `await channel.close()`.

    gRPC retries nothing by itself on it: a caller repeats knowingly or not at all. Every call needs a timeout.
    """
    if certificates is None:
        return grpc.aio.insecure_channel(address, options=_options())
    return RotatingChannel(address, certificates)


class RotatingChannel(grpc.aio.Channel):
    """A channel over TLS that follows its certificates; stubs made on it once stay right for ever."""

    def __init__(self, address: str, certificates: Certificates) -> None:
        """Open the first channel; it connects when it is first used."""
        self._address = address
        self._certificates = certificates
        self._closing: set[asyncio.Task[None]] = set()
        self._open()

    def current(self) -> grpc.aio.Channel:
        """Return the channel for a call that begins now."""
        if self._number != self._certificates.pair.number:
            task = asyncio.create_task(self._channel.close(LAST_CALLS_SECONDS))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
            self._open()
        return self._channel

    async def close(self, grace: float | None = None) -> None:
        """Close the channel in use, and those that were only kept for their last calls."""
        for task in tuple(self._closing):
            task.cancel()
        await asyncio.gather(self._channel.close(grace), *self._closing, return_exceptions=True)

    def unary_unary(self, method: str, *codec: Any, **more: Any) -> Any:  # noqa: ANN401 - as gRPC's stubs have it
        """Return a callable as a stub wants it, which begins each call on the channel of that moment."""
        return _Method(self, "unary_unary", method, codec, more)

    def unary_stream(self, method: str, *codec: Any, **more: Any) -> Any:  # noqa: ANN401 - the same
        """Do the same for a stream of answers."""
        return _Method(self, "unary_stream", method, codec, more)

    def stream_unary(self, method: str, *codec: Any, **more: Any) -> Any:  # noqa: ANN401 - the same
        """Do the same for a stream of requests."""
        return _Method(self, "stream_unary", method, codec, more)

    def stream_stream(self, method: str, *codec: Any, **more: Any) -> Any:  # noqa: ANN401 - the same
        """Do the same for both."""
        return _Method(self, "stream_stream", method, codec, more)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:  # noqa: FBT001, FBT002 - gRPC's
        """Return the state of the channel in use."""
        return self._channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Wait until the channel in use leaves that state."""
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Wait until the channel in use is connected."""
        await self._channel.channel_ready()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _open(self) -> None:
        self._number = self._certificates.pair.number
        credentials = self._certificates.channel_credentials()
        self._channel = grpc.aio.secure_channel(self._address, credentials, options=_options())


class _Method:
    """One method of a stub; remade when the channel is another."""

    def __init__(
        self, owner: RotatingChannel, kind: str, method: str, codec: Sequence[Any], more: dict[str, Any]
    ) -> None:
        self._owner = owner
        self._make = (kind, method, codec, more)
        self._channel: grpc.aio.Channel | None = None
        self._callable: Any = None

    def __call__(self, *request: Any, **options: Any) -> Any:  # noqa: ANN401 - a call of any of the four kinds
        channel = self._owner.current()
        if channel is not self._channel:
            kind, method, codec, more = self._make
            self._channel, self._callable = channel, getattr(channel, kind)(method, *codec, **more)
        return self._callable(*request, **options)


def _options() -> list[tuple[str, int]]:
    return [
        ("grpc.enable_retries", 0),
        ("grpc.max_receive_message_length", MAX_RECEIVE_BYTES),
        ("grpc.max_send_message_length", MAX_SEND_BYTES),
        ("grpc.max_metadata_size", MAX_METADATA_BYTES),
        ("grpc.keepalive_time_ms", round(KEEPALIVE_SECONDS * 1_000)),
        ("grpc.keepalive_timeout_ms", round(KEEPALIVE_TIMEOUT_SECONDS * 1_000)),
        ("grpc.initial_reconnect_backoff_ms", round(MIN_RECONNECT_SECONDS * 1_000)),
        ("grpc.min_reconnect_backoff_ms", round(MIN_RECONNECT_SECONDS * 1_000)),
        ("grpc.max_reconnect_backoff_ms", round(MAX_RECONNECT_SECONDS * 1_000)),
    ]
