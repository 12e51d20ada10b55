"""Reads what a refused call tells: its status, reason, metadata and details."""

from collections.abc import Awaitable
from typing import Any

import grpc.aio
import pytest
from google.rpc import error_details_pb2  # type: ignore[import-untyped]  # the packages have no stubs
from grpc_status import rpc_status  # type: ignore[import-untyped]


async def refused(call: Awaitable[object]) -> grpc.aio.AioRpcError:
    """Wait for a call that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return failed.value


def details(error: grpc.aio.AioRpcError) -> tuple[str, dict[str, str], dict[str, Any]]:
    """Return reason, metadata, and all details by the name of their type."""
    found: dict[str, Any] = {}
    for packed in rpc_status.from_call(error).details:
        for kind in (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, error_details_pb2.RetryInfo):
            if packed.Is(kind.DESCRIPTOR):
                found[kind.DESCRIPTOR.name] = kind.FromString(packed.value)
    return found["ErrorInfo"].reason, dict(found["ErrorInfo"].metadata), found
