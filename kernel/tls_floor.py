"""TLS 1.3 and nothing older for gRPC, and no lines of its own: settings that have to be made before grpc is loaded.

grpcio has no argument for the lowest version. Its core reads the cipher suites of TLS 1.2 from the environment once,
when it is loaded; naming one that no certificate fits leaves the suites of TLS 1.3, which are not configurable.
It also writes a line in a form of its own for each failed handshake, which any stranger can cause, unless told not to.
`kernel` imports this module itself, so that whatever of ours imports grpc comes later.
"""

import os
import sys
from typing import Final

VARIABLE: Final = "GRPC_SSL_CIPHER_SUITES"
SUITE: Final = "ECDHE-PSK-CHACHA20-POLY1305"
"""Needs a key agreed upon beforehand, which nobody here has."""


def _set() -> bool:
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    if os.environ.get(VARIABLE) == SUITE:
        return True
    in_time = "grpc" not in sys.modules
    os.environ[VARIABLE] = SUITE
    return in_time


IN_TIME: Final = _set()
"""Whether the setting came before grpc; `kernel.rpc.tls` makes no credentials for a server without it."""
