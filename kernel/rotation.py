"""Takes up secrets whose files changed, without a restart: one loop for all secrets of a service.

    key = SecretGroup("exchange key", settings.key, settings.secret)
    rotation = Rotation()
    rotation.follow(key, use_key)         # use_key(new) says whether the new ones are in use now
    loops.start("secrets", rotation.forever)

Files are looked at by their status once a second. What changed is read, with every check of the start, once nothing
moved between two looks; it is masked in logs before anybody gets it. Secrets that belong together are taken together or
not at all, so a new key never meets the old secret. A file that cannot be read changes nothing but an alarm.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from kernel import logs
from kernel.alarms import raise_alarm
from kernel.redaction import hide
from kernel.secret import Secret, SecretFileError, read_secret_file

LOOK_SECONDS: Final = 1.0
PATIENCE_SECONDS: Final = 30.0
"""How long changed files may wait for the rest of their group, or to be accepted, before a person is told."""
SECRET_UNREADABLE: Final = "SECRET_UNREADABLE"  # noqa: S105 - the code of an alarm
SECRET_NOT_TAKEN: Final = "SECRET_NOT_TAKEN"  # noqa: S105 - the code of an alarm

Secrets = tuple[Secret, ...]
Take = Callable[[Secrets], Awaitable[bool]]
"""Gets new secrets as a whole; False: not yet, ask again, the old ones stay in use."""
Stamp = tuple[int, ...] | None


class SecretGroup:
    """Secrets that only change together, as they are used now."""

    def __init__(self, subject: str, *secrets: Secret) -> None:
        """Begin with what was read at the start; `subject` names them to a person."""
        self.subject = subject
        self.current: Secrets = secrets

    def fingerprint(self) -> str:
        """Return the fingerprint of the first secret in use, such as that of a key."""
        return self.current[0].fingerprint()


class Rotation:
    """Every group of a service that can change while it runs."""

    def __init__(self) -> None:
        """Follow nothing yet."""
        self._followed: list[_Followed] = []

    def follow(self, group: SecretGroup, take: Take) -> None:
        """Follow a group whose secrets all come from files; one from a plain variable stays as it is."""
        files = tuple(secret.file for secret in group.current if secret.file is not None)
        if len(files) == len(group.current):
            self._followed.append(_Followed(group, files, take))

    async def forever(self) -> None:
        """Look at every group again and again."""
        while True:
            for each in self._followed:
                await each.look()
            await asyncio.sleep(LOOK_SECONDS)


class _Followed:
    def __init__(self, group: SecretGroup, files: tuple[Path, ...], take: Take) -> None:
        self._group = group
        self._files = files
        self._take = take
        self._stamps: tuple[Stamp, ...] = ()
        self._open = False
        self._waits_since: float | None = None

    async def look(self) -> None:
        """Cases: something moved since the last look; nothing is open; what is open can, or cannot, be taken."""
        stamps = await asyncio.to_thread(_stamps, self._files)
        if stamps != self._stamps:
            self._stamps, self._open = stamps, True
        elif self._open:
            self._open = not await self._settle()

    async def _settle(self) -> bool:
        """Say whether what the files say is in use."""
        try:
            found = await asyncio.to_thread(_read, self._files)
        except SecretFileError as error:
            raise_alarm(SECRET_UNREADABLE, f"{error}; the old one stays in use", subject=self._group.subject)
            return False
        changed = [new != old for new, old in zip(found, self._group.current, strict=True)]
        if not any(changed):
            self._waits_since = None
            return True
        if not all(changed):
            return self._wait("only a part of what belongs together has changed; write the other files too")
        return await self._offer(found)

    async def _offer(self, found: Secrets) -> bool:
        for secret in found:
            hide(secret)
        if not await self._take(found):
            return self._wait("the new one is not accepted yet")
        self._group.current, self._waits_since = found, None
        logs.log("secret_rotated", subject=self._group.subject)
        return True

    def _wait(self, why: str) -> bool:
        now = time.monotonic()
        if self._waits_since is None:
            self._waits_since = now
            logs.log("secret_waits", subject=self._group.subject, why=why)
        elif now - self._waits_since >= PATIENCE_SECONDS:
            raise_alarm(SECRET_NOT_TAKEN, f"{why}; the old one stays in use", subject=self._group.subject)
        return False


def _stamps(files: tuple[Path, ...]) -> tuple[Stamp, ...]:
    return tuple(_stamp(file) for file in files)


def _stamp(file: Path) -> Stamp:
    try:
        status = os.stat(file)  # noqa: PTH116 - through links, as Kubernetes swaps them
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size


def _read(files: tuple[Path, ...]) -> Secrets:
    return tuple(read_secret_file(file) for file in files)
