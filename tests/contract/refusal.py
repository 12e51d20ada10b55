"""What a refused call tells a program: status, reason, metadata and every detail. For sync and aio calls alike."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2  # type: ignore[import-untyped]  # the packages have no stubs
from grpc_status import rpc_status  # type: ignore[import-untyped]

KINDS = (
    error_details_pb2.ErrorInfo,
    error_details_pb2.BadRequest,
    error_details_pb2.PreconditionFailure,
    error_details_pb2.RetryInfo,
)


@dataclass(frozen=True)
class Refusal:
    """One refused call, read as a client would."""

    code: grpc.StatusCode
    message: str
    details: dict[str, Any]
    trailers: dict[str, str | bytes]

    @property
    def reason(self) -> str:
        return str(self.details["ErrorInfo"].reason) if "ErrorInfo" in self.details else ""

    @property
    def domain(self) -> str:
        return str(self.details["ErrorInfo"].domain)

    @property
    def metadata(self) -> dict[str, str]:
        return dict(self.details["ErrorInfo"].metadata)

    @property
    def fields(self) -> list[str]:
        """Name the wrong fields."""
        bad = self.details.get("BadRequest")
        return [each.field for each in bad.field_violations] if bad else []

    @property
    def states(self) -> list[tuple[str, str]]:
        """Name the unmet conditions: type and subject."""
        unmet = self.details.get("PreconditionFailure")
        return [(each.type, each.subject) for each in unmet.violations] if unmet else []

    def all_text(self) -> str:
        """Return everything a caller could read."""
        return "\n".join([self.message, *(str(each) for each in self.details.values())])


def refused(call: Callable[[], object]) -> Refusal:
    """Make a call that must fail."""
    with pytest.raises(grpc.RpcError) as failed:
        call()
    return read(failed.value)


async def refused_aio(call: Awaitable[object]) -> Refusal:
    """Wait for a call that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return read(failed.value)


def read(error: Any) -> Refusal:  # noqa: ANN401 - a sync error has code() and more only at run time
    """Read what came back."""
    trailers = {str(key): value for key, value in error.trailing_metadata() or ()}
    status = rpc_status.from_call(error) if "grpc-status-details-bin" in trailers else None
    found = {
        kind.DESCRIPTOR.name: kind.FromString(packed.value)
        for packed in (status.details if status else ())
        for kind in KINDS
        if packed.Is(kind.DESCRIPTOR)
    }
    return Refusal(error.code(), error.details() or "", found, trailers)
