"""A changed secret is taken up whole, masked, once, and only when it can be read; else the old one stays."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from kernel import alarms, logs, rotation
from kernel.rotation import Rotation, SecretGroup
from kernel.secret import Secret, read_secret_file
from standalone.secret_files import write_secret

LOOK_SECONDS = 0.02
PATIENCE_SECONDS = 10.0
SOME_LOOKS = 15 * LOOK_SECONDS


class User:
    """Who uses the secrets of a group; counts what it is offered."""

    def __init__(self) -> None:
        self.offered: list[list[str]] = []
        self.accepts = True

    async def take(self, new: tuple[Secret, ...]) -> bool:
        self.offered.append([secret.reveal() for secret in new])
        logs.log("taken", note=f"now {self.offered[-1][0]}")
        return self.accepts


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "LOOK_SECONDS", LOOK_SECONDS)
    monkeypatch.setattr(alarms, "_told", type(alarms._told)())


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    folder = tmp_path / "secrets"
    return write_secret(folder / "key", "old-key-value"), write_secret(folder / "secret", "old-secret-value")


@asynccontextmanager
async def following(*files: Path) -> AsyncIterator[tuple[SecretGroup, User]]:
    group, user, made = SecretGroup("exchange key", *map(read_secret_file, files)), User(), Rotation()
    made.follow(group, user.take)
    task = asyncio.create_task(made.forever())
    try:
        yield group, user
        assert not task.done(), "the loop goes on"
    finally:
        task.cancel()


async def until(true: Callable[[], object]) -> None:
    ends = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while not true():
        assert asyncio.get_running_loop().time() < ends
        await asyncio.sleep(LOOK_SECONDS)


async def test_a_changed_pair_is_taken_once_and_whole(pair: tuple[Path, Path]) -> None:
    async with following(*pair) as (group, user):
        await asyncio.sleep(SOME_LOOKS)
        assert user.offered == []
        for path, text in zip(pair, ("new-key-value", "new-secret-value"), strict=True):
            write_secret(path, text)
        await until(lambda: group.current[0].reveal() == "new-key-value")
        await asyncio.sleep(SOME_LOOKS)
        assert user.offered == [["new-key-value", "new-secret-value"]]
        assert group.fingerprint() == Secret("new-key-value").fingerprint()


async def test_half_a_pair_is_never_used_however_long_the_other_half_takes(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    monkeypatch.setattr(rotation, "PATIENCE_SECONDS", SOME_LOOKS / 2)
    async with following(*pair) as (group, user):
        write_secret(pair[0], "new-key-value")
        await until(lambda: [line for line in lines() if line.get("code") == "SECRET_NOT_TAKEN"])
        assert user.offered == []
        assert group.current[0].reveal() == "old-key-value"
        write_secret(pair[1], "new-secret-value")
        await until(lambda: group.current[1].reveal() == "new-secret-value")
        assert user.offered == [["new-key-value", "new-secret-value"]]


@pytest.mark.parametrize(
    ("content", "mode"),
    [(b"", 0o400), (b"two\nlines\n", 0o400), (b"x" * 5_000, 0o400), (b"new-value", 0o444), (None, 0)],
)
async def test_a_file_that_cannot_be_used_changes_nothing_but_an_alarm(
    pair: tuple[Path, Path], content: bytes | None, mode: int, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    async with following(pair[0]) as (group, user):
        pair[0].unlink()
        if content is not None:
            pair[0].write_bytes(content)
            pair[0].chmod(mode)
        await until(lambda: [line for line in lines() if line.get("code") == "SECRET_UNREADABLE"])
        assert user.offered == []
        assert group.current[0].reveal() == "old-key-value"
        pair[0].unlink(missing_ok=True)
        write_secret(pair[0], "mended-value")
        await until(lambda: group.current[0].reveal() == "mended-value")
    (alarm,) = [line for line in lines() if line.get("code") == "SECRET_UNREADABLE"]
    assert str(pair[0]) in alarm["message"]
    assert alarm["message"].endswith("; the old one stays in use")


async def test_a_new_value_is_masked_before_anybody_gets_it(
    pair: tuple[Path, Path], lines: Callable[[], list[dict[str, Any]]]
) -> None:
    async with following(*pair) as (group, _):
        write_secret(pair[0], "key-of-tomorrow")
        write_secret(pair[1], "secret-of-tomorrow")
        await until(lambda: group.current[0].reveal() == "key-of-tomorrow")
    (taken,) = [line for line in lines() if line["event"] == "taken"]
    assert taken["note"] == "now ***"


async def test_what_is_not_accepted_yet_is_offered_again_and_the_old_one_stays_in_use(pair: tuple[Path, Path]) -> None:
    async with following(pair[0]) as (group, user):
        user.accepts = False
        write_secret(pair[0], "new-key-value")
        await until(lambda: len(user.offered) > 2)
        assert group.current[0].reveal() == "old-key-value"
        user.accepts = True
        await until(lambda: group.current[0].reveal() == "new-key-value")


async def test_a_file_that_moved_since_the_last_look_is_not_read(pair: tuple[Path, Path]) -> None:
    group, user, made = SecretGroup("url", read_secret_file(pair[0])), User(), Rotation()
    made.follow(group, user.take)
    (followed,) = made._followed
    pair[0].chmod(0o600)
    for number in range(5):
        with pair[0].open("a") as file:
            file.write(f"-part-{number}")
        await followed.look()
        assert user.offered == []
    await followed.look()
    assert user.offered == [["old-key-value-part-0-part-1-part-2-part-3-part-4"]]


async def test_a_secret_of_a_variable_is_not_followed(pair: tuple[Path, Path]) -> None:
    group, user, made = SecretGroup("mixed", read_secret_file(pair[0]), Secret("of a variable")), User(), Rotation()
    made.follow(group, user.take)
    task = asyncio.create_task(made.forever())
    write_secret(pair[0], "new-key-value")
    await asyncio.sleep(SOME_LOOKS)
    task.cancel()
    assert user.offered == []
    assert group.current[0].reveal() == "old-key-value"
