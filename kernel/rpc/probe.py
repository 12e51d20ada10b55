"""`python -m kernel.rpc.probe HOST:PORT HEALTH_NAME`: is a service serving? For health checks of containers.

In plaintext, or over TLS when the service's own variables (`TRADE_TLS_CERT_FILE`, … or `MARKET_…`) are set: the probe
then calls with the service's certificate. Exit code 0 when the answer is SERVING, 1 otherwise, 2 for a wrong call.
"""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]  # the package has no stubs

from kernel.environment import Environment, SettingsError, is_loopback
from kernel.rpc.channel import open_channel
from kernel.rpc.tls import Certificates, TlsRefusal, read_tls_files

DEADLINE_SECONDS: Final = 3.0
SERVING, NOT_SERVING, WRONG = 0, 1, 2
_SUFFIX: Final = "_TLS_CERT_FILE"


def main(words: Sequence[str], variables: Mapping[str, str]) -> int:
    """Ask once; returns the exit code, and says in one line why it is not 0."""
    if len(words) != 2:  # noqa: PLR2004 - an address and a name
        return _say(WRONG, "usage: python -m kernel.rpc.probe HOST:PORT HEALTH_NAME")
    address, name = words
    try:
        certificates = _certificates(variables)
    except (SettingsError, TlsRefusal) as refusal:
        return _say(WRONG, "; ".join(str(refusal).split("\n  ")))
    if certificates is None and not is_loopback(address):
        return _say(WRONG, f"{address}: in plaintext only a loopback address is asked; set the service's TLS variables")
    try:
        status = asyncio.run(_ask(address, name, certificates))
    except grpc.aio.AioRpcError as error:
        return _say(NOT_SERVING, f"{name or 'liveness'} at {address}: {error.code().name}")
    return SERVING if status == "SERVING" else _say(NOT_SERVING, f"{name or 'liveness'} at {address}: {status}")


async def _ask(address: str, name: str, certificates: Certificates | None) -> str:
    async with open_channel(address, certificates) as channel:
        request = health_pb2.HealthCheckRequest(service=name)
        answer = await health_pb2_grpc.HealthStub(channel).Check(request, timeout=DEADLINE_SECONDS)
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


def _certificates(variables: Mapping[str, str]) -> Certificates | None:
    """Read the certificate of whichever service's variables are set; there is one in a container."""
    prefixes = [name.removesuffix(_SUFFIX) for name in sorted(variables) if name.endswith(_SUFFIX)]
    if not prefixes:
        return None
    env = Environment(variables)
    if len(prefixes) > 1:
        env.problem(" and ".join(prefix + _SUFFIX for prefix in prefixes), "the variables of one service")
    files = read_tls_files(env, prefixes[0])
    env.finish()
    return None if files is None else Certificates(files)


def _say(code: int, line: str) -> int:
    print(line, file=sys.stderr)  # noqa: T201 - for whoever reads the container's health log
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
