"""The client channel from one service to another; only a service's market or trade client opens one."""

from typing import Final

import grpc.aio

MAX_RECEIVE_BYTES: Final = 4 * 1024 * 1024
MAX_SEND_BYTES: Final = 16 * 1024
MAX_METADATA_BYTES: Final = 16 * 1024
KEEPALIVE_SECONDS: Final = 30.0
KEEPALIVE_TIMEOUT_SECONDS: Final = 5.0
MIN_RECONNECT_SECONDS: Final = 0.1
MAX_RECONNECT_SECONDS: Final = 2.0
"""A service that came back is found again within two seconds."""


def open_channel(address: str) -> grpc.aio.Channel:
    """Open a plaintext channel to "host:port" on this machine. Close it with `await channel.close()`.

    gRPC retries nothing by itself on it: a caller repeats knowingly or not at all. Every call needs a timeout.
    """
    return grpc.aio.insecure_channel(address, options=_options())


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
