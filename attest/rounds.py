"""Attests once, or again and again: at an interval, soon after nobody answered, and when a file was replaced."""

import asyncio
from collections.abc import Callable
from typing import Final

from attest.ask import attest_key
from attest.declaration import Declaration
from attest.files import Stamp, read_credentials, read_declaration, stamps, write_attestation
from attest.outcome import replaces
from attest.settings import Settings
from bitvavo.signing import Credentials
from kernel import logs
from kernel.attestation import Attestation, Outcome, path_of
from kernel.attestation_watch import read_written
from kernel.secret import SecretFileError

POLL_SECONDS: Final = 2.0
"""How often the files are looked at, and how long they must stay as they are before they are read."""

SOON_SECONDS: Final = 60.0
"""When to ask again after a round without an answer or without a key."""

WHOLE_SECONDS: Final = 30.0
"""How long a new key, its secret and its declaration may be written one after the other, before they are taken as they
are: half of them is refused, and would take back what was proved of the key that is in use meanwhile."""

Show = Callable[[Attestation], None]
Given = tuple[Credentials, Declaration | str]


async def attest_once(settings: Settings, show: Show, *, strict: bool) -> Outcome:
    """Read key and declaration, ask, show and write what was found.

    Raises:
        SecretFileError: the key cannot be read. SettingsError: the exchange's address is wrong.
        OSError: the attestation cannot be written.
    """
    attestation = await _attest(settings, _given(settings), show, strict=strict)
    return attestation.outcome


async def attest_for_ever(
    settings: Settings, show: Show, stop: asyncio.Event, *, strict: bool, every_seconds: float
) -> None:
    """Attest now, and again until `stop` is set; a key that cannot be read is tried again soon.

    Raises:
        SettingsError: the exchange's address is wrong.
    """
    seen, good = stamps(settings), None
    while not stop.is_set():
        wait_seconds = min(SOON_SECONDS, every_seconds)
        try:
            given = await _given_whole(settings, good, stop)
            if stop.is_set():
                return
            attestation = await _attest(settings, given, show, strict=strict)
            good = good if attestation.outcome is Outcome.REFUSED else given[0]
            wait_seconds = wait_seconds if attestation.unanswered else every_seconds
        except (SecretFileError, OSError) as error:
            logs.log("not_attested", level=logs.ERROR, error=error, again_in_seconds=wait_seconds)
        if await _changed(settings, seen, stop, wait_seconds):
            seen = await _settled(settings, stop)


def _given(settings: Settings) -> Given:
    return read_credentials(settings), read_declaration(settings.declaration_file)


async def _given_whole(settings: Settings, good: Credentials | None, stop: asyncio.Event) -> Given:
    """Read the files; while they do not belong together, wait for the rest of what replaces those that were good."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + WHOLE_SECONDS
    while True:
        given = _given(settings)
        if good is None or _whole(given, good) or loop.time() > ends or await _stopped(stop, POLL_SECONDS):
            return given
        logs.log("attestation_waits", why="only a part of key, secret and declaration has been replaced")


def _whole(given: Given, good: Credentials) -> bool:
    # Cases: both new, whatever is declared; one new: the other will follow; neither: the declaration may be ahead.
    (key, secret), statement = (given[0].key, given[0].secret), given[1]
    if key != good.key or secret != good.secret:
        return key != good.key and secret != good.secret
    return isinstance(statement, str) or statement.fingerprint == key.fingerprint()


async def _attest(settings: Settings, given: Given, show: Show, *, strict: bool) -> Attestation:
    credentials, statement = given
    attestation = await attest_key(settings, credentials, statement, strict=strict)
    show(attestation)
    written = replaces(attestation, read_written(path_of(settings.directory, settings.role)))
    if written:
        write_attestation(settings.directory, attestation)
    else:
        logs.log("attestation_left", level=logs.WARNING, why="nobody answered; what stands grows old by itself")
    logs.log(
        "attested",
        role=settings.role.value,
        outcome=attestation.outcome.value,
        fingerprint=attestation.fingerprint,
        strict=strict,
        written=written,
    )
    return attestation


async def _changed(
    settings: Settings, seen: tuple[Stamp | None, ...], stop: asyncio.Event, longest_seconds: float
) -> bool:
    """Wait until a file changes, at most so long; say whether one did."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + longest_seconds
    while stamps(settings) == seen:
        left = ends - loop.time()
        if left <= 0 or await _stopped(stop, min(POLL_SECONDS, left)):
            return False
    return True


async def _settled(settings: Settings, stop: asyncio.Event) -> tuple[Stamp | None, ...]:
    """Wait until no file has changed for a while: key and secret are replaced one after the other."""
    seen = stamps(settings)
    while not await _stopped(stop, POLL_SECONDS) and (now := stamps(settings)) != seen:
        seen = now
    return seen


async def _stopped(stop: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return False
    return True
