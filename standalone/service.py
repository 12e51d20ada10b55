"""One of the two services as a child process: started, ready by its own health name, killed, started again."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]  # the package has no stubs

from standalone.process import START_TIMEOUT_SECONDS, Process, Program
from standalone.tls import Tls

HEALTH_TIMEOUT_SECONDS = 2.0
HEALTH_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Kind:
    """Which of the two: package, prefix of its variables, health name that says it can do its work."""

    module: str
    prefix: str
    ready_name: str


MARKET = Kind("market_service", "MARKET", "market.ready")
TRADE = Kind("trade_service", "TRADE", "trade.ready")


class Service:
    """A running service. Ports are kept over restarts, so that an address once told stays right."""

    def __init__(
        self,
        kind: Kind,
        name: str,
        folder: Path,
        ports: tuple[int, int],
        environment: Mapping[str, str],
        tls: Tls | None = None,
    ) -> None:
        """Describe it: ports of gRPC and metrics, 0 for any; the environment holds its own settings only."""
        self._kind = kind
        self._name = name
        self._folder = folder
        self._ports = ports
        self._tls = tls
        self._environment = {**environment, **(tls.variables(kind.prefix, kind.module) if tls else {})}
        self.process = self._new_process()

    @property
    def address(self) -> str:
        """Where it serves gRPC, as host:port."""
        return f"127.0.0.1:{self._ports[0]}"

    @property
    def metrics_url(self) -> str:
        """Where it shows its metrics."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._ports[1]}/metrics"

    @property
    def pid(self) -> int | None:
        """Its process id, None while it does not run."""
        return self.process.pid

    def channel(self) -> grpc.Channel:
        """Open a channel to it: in plaintext, or over TLS when it serves that."""
        return grpc.insecure_channel(self.address) if self._tls is None else self._tls.channel(self.address)

    def start(self) -> None:
        """Start the process; `wait_listening` or `wait_ready` follows."""
        self.process = self._new_process()
        self.process.start()

    def wait_listening(self) -> None:
        """Wait until it answers calls; it may not be able to do its work yet.

        Raises:
            ProcessStartError: it did not start.
        """
        ports = json.loads(self.process.wait_ready())
        self._ports = (ports["grpc"], ports["metrics"])

    def wait_ready(self) -> None:
        """Wait until it can do its work.

        Raises:
            ProcessStartError: it did not start, or never became ready.
        """
        self.wait_listening()
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        with self.channel() as channel:
            while not serving(channel, self._kind.ready_name):
                self.process.require_running(deadline)
                time.sleep(HEALTH_POLL_SECONDS)

    def restart(self) -> None:
        """Start again after `kill` or `terminate`, on the same ports, and wait until it is ready."""
        self.terminate()
        self.start()
        self.wait_ready()

    def terminate(self) -> int | None:
        """Stop it in order: calls drained, sends settled. Returns its exit code."""
        return self.process.terminate()

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()

    def set_environment(self, **variables: str) -> None:
        """Change settings that the next start will use."""
        self._environment |= variables

    def _new_process(self) -> Process:
        ready = self._folder / "ready" / self._name
        prefix = self._kind.prefix
        listen = {
            f"{prefix}_LISTEN": f"127.0.0.1:{self._ports[0]}",
            f"{prefix}_METRICS_LISTEN": f"127.0.0.1:{self._ports[1]}",
            f"{prefix}_READY_FILE": str(ready),
        }
        log = self._folder / "logs" / f"{self._name}.log"
        return Process(Program(self._name, (self._kind.module,), {**listen, **self._environment}, ready, log))


def serving(channel: grpc.Channel, name: str) -> bool:
    """Say whether the server behind a channel calls this health name SERVING."""
    request = health_pb2.HealthCheckRequest(service=name)
    try:
        answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=HEALTH_TIMEOUT_SECONDS)
    except grpc.RpcError:
        return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
