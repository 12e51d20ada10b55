"""Both services over TLS, an attacker who holds a good certificate, and a bystander who must be served meanwhile."""

import asyncio
import json
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import cpu
from standalone.service import Service
from standalone.system import System
from tests.abuse.wire import Wire

ATTACKER, BYSTANDER = "alice-bot", "operator"
SLOWEST_SECONDS = 5.0
"""Generous: one machine of two cores carries the attacker, the services and the bystander."""
LEAST_CALLS = 3
REST_SECONDS = 10.0
AT_REST_SHARE = 0.5
"""Of a core; with its own work and the bystander's calls a service takes less than a tenth."""
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Told:
    """One call of the bystander."""

    service: str
    connection: str
    seconds: float
    status: str

    def got_in(self, service: str) -> bool:
        """Say whether it was answered over a new connection."""
        return (self.service, self.connection, self.status) == (service, "new", "OK")


@dataclass
class Bystander:
    """The other process, and what it has told so far."""

    process: "subprocess.Popen[str]"
    told: list[Told] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ear = threading.Thread(target=self._listen, daemon=True)
        self._ear.start()

    def stop(self) -> None:
        """End it."""
        self.process.kill()
        self._ear.join(10)
        self.process.wait(10)

    def _listen(self) -> None:
        """Read its lines until it ends."""
        assert self.process.stdout is not None
        with self.process.stdout as out:
            for line in out:
                self.told.append(Told(*json.loads(line)))


@dataclass
class Ground:
    """What runs."""

    system: System
    attacker: ssl.SSLContext
    bystander: Bystander

    def service(self, name: str) -> Service:
        """Return market or trade."""
        return self.system.market if name == "market" else self.system.trade[0]

    async def wire(self, name: str, **settings: int) -> Wire:
        """Open an HTTP/2 connection as the attacker."""
        return await Wire.open(self.service(name).address, self.attacker, **settings)

    async def silent_wire(self, name: str, *, tls: bool = True) -> Wire:
        """Open a connection that has said nothing yet, and acknowledges nothing."""
        wire = await Wire.connect(self.service(name).address, self.attacker if tls else None)
        wire.answering = False
        wire.listen()
        return wire

    @asynccontextmanager
    async def watched(self, name: str, *, grows_mib: int, new_connections: bool = True) -> AsyncIterator[None]:
        """Hold a service under attack to its promises: memory bounded, bystander served, alive afterwards.

        `new_connections`: whether the bystander's new ones must be served too while the attack lasts.
        """
        pid = self.service(name).pid
        assert pid is not None
        forget_peak(pid)
        before, first = resident_bytes(pid), len(self.bystander.told)
        yield
        grown = peak_bytes_since(pid, before) / MIB
        await self._until_asked(name, first)
        during = [each for each in self.bystander.told[first:] if new_connections or each.connection == "kept"]
        assert [each for each in during if each.status != "OK"] == []
        assert max(each.seconds for each in during) < SLOWEST_SECONDS
        assert grown < grows_mib
        assert self.service(name).pid == pid, "it crashed"
        slowest_ms = max(each.seconds for each in during) * 1_000
        sys.stdout.write(f"{name}: +{grown:.1f} MiB, slowest legal call {slowest_ms:.0f} ms\n")

    async def until_served(self, name: str, seconds: float) -> None:
        """Wait until the bystander gets answers over new connections again."""
        first = len(self.bystander.told)
        async with asyncio.timeout(seconds):
            while not any(each.got_in(name) for each in self.bystander.told[first:]):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)

    async def until_at_rest(self, name: str) -> None:
        """Wait until a service takes little processor time again, though nobody has let go of anything."""
        pid = self.service(name).pid
        assert pid is not None
        async with asyncio.timeout(REST_SECONDS):
            while await busy_share(pid) > AT_REST_SHARE:
                pass

    async def _until_asked(self, name: str, first: int) -> None:
        """Wait until the bystander has asked often enough, in the attack or right after it, to say something."""
        async with asyncio.timeout(30):
            while self._asked(name, first) < LEAST_CALLS:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)

    def _asked(self, name: str, first: int) -> int:
        return len([each for each in self.bystander.told[first:] if each.service == name])


def attacker_context(certificates: Path) -> ssl.SSLContext:
    """Return a context with the attacker's certificate."""
    own = certificates / ATTACKER
    context = ssl.create_default_context(cafile=str(own / "ca.pem"))
    context.set_alpn_protocols(["h2"])
    context.load_cert_chain(own / "cert.pem", own / "key.pem")
    return context


def start_bystander(system: System, certificates: Path) -> Bystander:
    """Start the other process, and wait for its first answers."""
    words = [system.market.address, system.trade[0].address, str(certificates / BYSTANDER)]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.abuse.bystander", *words], stdout=subprocess.PIPE, text=True
    )
    bystander = Bystander(process)
    ends = time.monotonic() + 30
    while {each.service for each in bystander.told if each.status == "OK"} != {"market", "trade"}:
        assert time.monotonic() < ends, bystander.told[-3:]
        time.sleep(0.05)
    return bystander


async def busy_share(pid: int, seconds: float = 0.5) -> float:
    """Return how much of a core a process takes for a while."""
    before, started = cpu.seconds_of(pid), time.monotonic()
    await asyncio.sleep(seconds)
    return (cpu.seconds_of(pid) - before) / (time.monotonic() - started)


def resident_bytes(pid: int) -> int:
    """Return what a process holds in memory now."""
    return _kib(pid, "VmRSS") * 1024


def forget_peak(pid: int) -> None:
    """Let the kernel measure the peak anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_bytes_since(pid: int, before: int) -> int:
    """Return by how much a process was larger at its peak than `before`."""
    return _kib(pid, "VmHWM") * 1024 - before


def _kib(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
