"""Where gRPC finds the methods of a service, and where a call is first seen: `kernel.rpc.server` registers these."""

from collections.abc import Mapping
from typing import Any

import grpc

from kernel.rpc import call
from kernel.rpc.users import Handler


class Methods(grpc.GenericRpcHandler):
    """The methods of one service. What came with a call is looked at in the task that will serve it."""

    def __init__(self, service: str, handlers: Mapping[str, Handler], metadata_bytes_max: int) -> None:
        """Take the handler of each method by its short name."""
        self._handlers = {f"/{service}/{method}": handler for method, handler in handlers.items()}
        self._metadata_bytes_max = metadata_bytes_max

    def service(self, details: grpc.HandlerCallDetails) -> Any:  # noqa: ANN401 - the stubs want a handler generic in two messages
        """Return the method's handler, None for a method of another service."""
        handler = self._handlers.get(details.method)
        if handler is not None:
            call.arrive(details.invocation_metadata, self._metadata_bytes_max)
        return handler
