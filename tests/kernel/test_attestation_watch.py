"""A service waits for its attestation, refuses to start without, and notices when it is lost and when it is back."""

import asyncio
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kernel import alarms, logs
from kernel.attestation import MAX_AGE, Attestation, Conclusion, Outcome, Probe, Role, Unread, as_json, path_of
from kernel.attestation_watch import (
    ATTESTATION_LOST,
    AttestationSettings,
    AttestationWatch,
    read_attestation_settings,
    read_written,
)
from kernel.environment import Environment, SettingsError

PATIENCE_SECONDS = 20.0


def write(directory: Path, role: Role, fingerprint: str, *, age: timedelta = timedelta(0)) -> None:
    probe = Probe("trade", "absent", "DELETE /order", "403 / 310", Conclusion.PROVED, "")
    at = datetime.now(UTC) - age
    path = path_of(directory, role)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(as_json(Attestation(role, fingerprint, Outcome.PROVED, at, (probe,))))


def watch(
    directory: Path,
    *,
    wait: float = 0.0,
    fingerprint: Callable[[], str] = lambda: "aaaaaaaa",
    replacing: float = 0.0,
) -> AttestationWatch:
    settings = AttestationSettings(directory, strict=True, wait_seconds=wait, look_seconds=0.05)
    return AttestationWatch(settings, Role.TRADE, fingerprint, replacing_seconds=replacing)


async def test_it_waits_until_both_are_written(tmp_path: Path) -> None:
    watching = watch(tmp_path, wait=PATIENCE_SECONDS)
    waiting = asyncio.create_task(watching.wait(asyncio.Event()))
    write(tmp_path, Role.TRADE, "aaaaaaaa")
    done, _ = await asyncio.wait([waiting], timeout=1.2)
    assert done == set()
    write(tmp_path, Role.MARKET, "bbbbbbbb")
    await asyncio.wait_for(waiting, PATIENCE_SECONDS)
    assert watching.attested


async def test_g3_after_the_wait_it_refuses_and_says_what_was_found_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        await watch(tmp_path).wait(asyncio.Event())
    found = "not attested within 0 s: the attestation of trade is missing; run: python -m attest trade"
    assert str(refused.value) == f"settings refused:\n  ATTESTATION_DIR: {found}"


async def test_g3_with_the_key_of_the_other_service_it_refuses(tmp_path: Path) -> None:
    for role in Role:
        write(tmp_path, role, "aaaaaaaa")
    with pytest.raises(SettingsError, match="market have the same key aaaaaaaa; make a key for each"):
        await watch(tmp_path).wait(asyncio.Event())


async def test_a_stop_ends_the_wait(tmp_path: Path) -> None:
    stop = asyncio.Event()
    waiting = asyncio.create_task(watch(tmp_path, wait=600).wait(stop))
    await asyncio.sleep(0.1)
    stop.set()
    await asyncio.wait_for(waiting, PATIENCE_SECONDS)


async def test_a_lost_attestation_is_an_alarm_and_it_comes_back_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alarms._told.clear()
    stream = io.StringIO()
    monkeypatch.setattr(logs._output, "stream", stream)
    told: list[bool] = []
    for role, fingerprint in ((Role.TRADE, "aaaaaaaa"), (Role.MARKET, "bbbbbbbb")):
        write(tmp_path, role, fingerprint)
    following = asyncio.create_task(watch(tmp_path).follow(told.append))
    try:
        await until(lambda: told != [])
        write(tmp_path, Role.TRADE, "aaaaaaaa", age=MAX_AGE + timedelta(minutes=1))
        await until(lambda: told[-1] is False)
        write(tmp_path, Role.TRADE, "aaaaaaaa")
        await until(lambda: told[-1] is True)
    finally:
        following.cancel()
    assert told[0] is True
    (alarm,) = [line for line in map(json.loads, stream.getvalue().splitlines()) if line["event"] == "alarm"]
    assert (alarm["code"], alarm["subject"], alarm["finding"]) == (ATTESTATION_LOST, "trade", "TOO_OLD")


async def test_a_key_replaced_while_it_runs_must_be_attested_itself(tmp_path: Path) -> None:
    keys = ["aaaaaaaa"]
    for role, fingerprint in ((Role.TRADE, "aaaaaaaa"), (Role.MARKET, "bbbbbbbb")):
        write(tmp_path, role, fingerprint)
    watching = watch(tmp_path, fingerprint=lambda: keys[-1])
    assert watching.look() is None
    keys.append("cccccccc")
    doubt = watching.look()
    assert doubt is not None
    assert doubt.finding == "OTHER_KEY"


async def test_a_key_that_is_attested_before_we_have_it_loses_nothing(tmp_path: Path) -> None:
    keys, told = ["aaaaaaaa"], list[bool]()
    for role, fingerprint in ((Role.TRADE, "aaaaaaaa"), (Role.MARKET, "bbbbbbbb")):
        write(tmp_path, role, fingerprint)
    watching = watch(tmp_path, fingerprint=lambda: keys[-1], replacing=PATIENCE_SECONDS)
    await watching.wait(asyncio.Event())
    following = asyncio.create_task(watching.follow(told.append))
    try:
        await until(lambda: told != [])
        write(tmp_path, Role.TRADE, "cccccccc")
        await asyncio.sleep(1.0)
        keys.append("cccccccc")
        seen = len(told)
        await until(lambda: len(told) > seen)
    finally:
        following.cancel()
    assert set(told) == {True}


async def test_a_key_that_never_comes_to_us_is_lost_after_a_while(tmp_path: Path) -> None:
    told: list[bool] = []
    for role, fingerprint in ((Role.TRADE, "aaaaaaaa"), (Role.MARKET, "bbbbbbbb")):
        write(tmp_path, role, fingerprint)
    watching = watch(tmp_path, replacing=0.6)
    await watching.wait(asyncio.Event())
    following = asyncio.create_task(watching.follow(told.append))
    try:
        await until(lambda: told != [])
        write(tmp_path, Role.TRADE, "cccccccc")
        await until(lambda: told[-1] is False)
    finally:
        following.cancel()


def test_whatever_a_file_holds_is_read_or_unread(tmp_path: Path) -> None:
    path = tmp_path / "attestation.json"
    assert read_written(path) is Unread.MISSING
    for content in (b"", b"{}", b"\xff", b"x" * 1_000_000):
        path.write_bytes(content)
        assert read_written(path) is Unread.UNREADABLE
    assert read_written(tmp_path) is Unread.UNREADABLE


def test_a_directory_is_needed_where_it_is_required() -> None:
    env = Environment({})
    assert read_attestation_settings(env, required=False) is None
    env.finish()
    env = Environment({"ATTESTATION_STRICT": "no", "ATTESTATION_WAIT": "1d", "ATTESTATION_LOOK": "31s"})
    read_attestation_settings(env, required=True)
    with pytest.raises(SettingsError) as refused:
        env.finish()
    assert [line.split(":")[0].strip() for line in str(refused.value).splitlines()[1:]] == [
        *("ATTESTATION_STRICT", "ATTESTATION_WAIT", "ATTESTATION_LOOK", "ATTESTATION_DIR"),
    ]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.01)
