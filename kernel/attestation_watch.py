"""Waits for a service's attestation at its start and looks at it again for as long as it runs.

Both services use it: `wait` before they serve, `follow` as a loop. What follows from a lost attestation is theirs.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from kernel import logs
from kernel.alarms import raise_alarm
from kernel.attestation import (
    MAX_BYTES,
    Doubt,
    Finding,
    MalformedAttestationError,
    Role,
    Unread,
    Written,
    judge,
    parse,
    path_of,
)
from kernel.environment import Environment, SettingsError

ATTESTATION_LOST: Final = "ATTESTATION_LOST"
START_LOOK_SECONDS: Final = 0.5
WAIT_SECONDS_MAX: Final = 600.0
REPLACING_SECONDS: Final = 15.0
"""How long attest may be ahead of us with a key that is being replaced, before ours counts as not attested."""
LOOK_SECONDS_MIN: Final = 1.0
LOOK_SECONDS_MAX: Final = 30.0


@dataclass(frozen=True, slots=True)
class AttestationSettings:
    """Where attestations are, whether an inconclusive one is refused, how long to wait, how often to look."""

    directory: Path
    strict: bool
    wait_seconds: float
    look_seconds: float


def read_attestation_settings(env: Environment, *, required: bool) -> AttestationSettings | None:
    """Read the variables that both services share; None when no directory is given and none is required."""
    strict = env.flag("ATTESTATION_STRICT", default=True)
    wait = env.duration("ATTESTATION_WAIT", low=0, high=WAIT_SECONDS_MAX, default="60s")
    look = env.duration("ATTESTATION_LOOK", low=LOOK_SECONDS_MIN, high=LOOK_SECONDS_MAX, default="30s")
    if not required and env.optional("ATTESTATION_DIR") is None:
        return None
    return AttestationSettings(env.directory("ATTESTATION_DIR"), strict, wait, look)


class AttestationWatch:
    """One service's view of both attestations. `fingerprint` gives that of the key in use, which may be replaced."""

    def __init__(
        self,
        settings: AttestationSettings,
        role: Role,
        fingerprint: Callable[[], str],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        replacing_seconds: float = REPLACING_SECONDS,
    ) -> None:
        """Look at nothing yet."""
        self._settings = settings
        self._role = role
        self._fingerprint = fingerprint
        self._now = now
        self._replacing_seconds = replacing_seconds
        self.attested = False

    def look(self, fingerprint: str | None = None) -> Doubt | None:
        """Read both files and say what stands against using a key now, by default the one in use."""
        directory = self._settings.directory
        return judge(
            read_written(path_of(directory, self._role)),
            read_written(path_of(directory, self._role.counterpart)),
            role=self._role,
            fingerprint=fingerprint or self._fingerprint(),
            now=self._now(),
            strict=self._settings.strict,
        )

    async def wait(self, stop: asyncio.Event) -> None:
        """Return once the key is attested, or when `stop` is set.

        Raises:
            SettingsError: not within `wait_seconds`; it says what was found and what to do.
        """
        ends = time.monotonic() + self._settings.wait_seconds
        waits_for: Doubt | None = None
        while (doubt := await self._look()) is not None and not stop.is_set():
            if time.monotonic() >= ends:
                waited = f"not attested within {self._settings.wait_seconds:g} s"
                raise SettingsError(f"settings refused:\n  ATTESTATION_DIR: {waited}: {doubt.message}")
            if doubt != waits_for:
                logs.log("attestation_awaited", finding=doubt.finding.value, found=doubt.message)
            waits_for = doubt
            await asyncio.sleep(START_LOOK_SECONDS)

    async def admits(self, fingerprint: str) -> bool:
        """Say whether the key of this fingerprint, which is not in use yet, may replace the one that is."""
        return await asyncio.to_thread(self.look, fingerprint) is None

    async def follow(self, tell: Callable[[bool], None] = lambda _: None) -> None:
        """Look for ever; `tell` gets every time whether the key is attested. A lost attestation is an alarm."""
        while True:
            before = self.attested
            doubt = await self._look_while_replacing() if before else await self._look()
            tell(self.attested)
            if doubt is not None:
                raise_alarm(ATTESTATION_LOST, doubt.message, subject=self._role.value, finding=doubt.finding.value)
            elif not before:
                logs.log("attested", role=self._role.value)
            # A key that was just replaced may be missed by one look; claims need not wait for a whole pause after it.
            await asyncio.sleep(self._settings.look_seconds if self.attested else LOOK_SECONDS_MIN)

    async def _look_while_replacing(self) -> Doubt | None:
        ends = time.monotonic() + self._replacing_seconds
        while (doubt := await asyncio.to_thread(self.look)) and doubt.finding is Finding.OTHER_KEY:
            if time.monotonic() >= ends:
                break
            await asyncio.sleep(START_LOOK_SECONDS)
        self.attested = doubt is None
        return doubt

    async def _look(self) -> Doubt | None:
        doubt = await asyncio.to_thread(self.look)
        self.attested = doubt is None
        return doubt


def read_written(path: Path) -> Written:
    """Read one attestation's file; nothing it may hold is an error."""
    try:
        with path.open("rb") as file:
            return parse(file.read(MAX_BYTES + 1))
    except FileNotFoundError:
        return Unread.MISSING
    except (OSError, MalformedAttestationError):
        return Unread.UNREADABLE
