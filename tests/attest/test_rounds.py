"""Once and again: outages never pass and take nothing back, files are replaced while it runs, it is written whole."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from attest.files import write_attestation
from attest.rounds import attest_for_ever, attest_once
from attest.settings import Settings
from kernel.attestation import Attestation, Outcome, Role, path_of
from kernel.attestation_watch import read_written
from kernel.environment import SettingsError
from kernel.secret import Secret, SecretFileError
from standalone.secret_files import write_secret
from tests.attest.exchange import KEYS, Bench, Key, declare, replace_key

PATIENCE_SECONDS = 30.0
VIEW = next(key for key in KEYS if key.name == "view")
BOTH = next(key for key in KEYS if key.name == "view+trade")


def ignore(_attestation: Attestation) -> None:
    """Show it to nobody."""


def standing(settings: Settings) -> Attestation:
    found = read_written(path_of(settings.directory, settings.role))
    assert isinstance(found, Attestation)
    return found


FAULTS = [
    {"fault": "drop_request", "how": "close"},
    {"fault": "drop_response", "how": "reset"},
    {"fault": "error_5xx_before"},
    {"fault": "error_code", "code": 109},
    {"fault": "error_code", "code": 111},
    {"fault": "html"},
    {"fault": "reset_mid_body"},
    {"fault": "garbage"},
    {"fault": "ban", "ms": 50},
]


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: "-".join(map(str, fault.values())))
async def test_g3_an_exchange_that_does_not_answer_is_never_a_pass(
    bench: Bench, fault: dict[str, object], *, strict: bool
) -> None:
    settings = bench.settings(Role.MARKET, await bench.make(VIEW))
    await bench.admin("faults", match={"contains": "/v2/order"}, times=None, **fault)
    assert await attest_once(settings, ignore, strict=strict) is Outcome.INCONCLUSIVE
    found = standing(settings)
    assert (found.outcome, found.unanswered) == (Outcome.INCONCLUSIVE, True)


async def test_an_exchange_that_is_away_is_inconclusive_after_the_patience(bench: Bench, tmp_path: Path) -> None:
    settings = bench.settings(Role.MARKET, await bench.make(VIEW), patience=0.6)
    await bench.server.stop()
    assert await attest_once(settings, ignore, strict=True) is Outcome.INCONCLUSIVE


async def test_what_was_not_answered_is_asked_again_within_the_patience(bench: Bench) -> None:
    settings = bench.settings(Role.MARKET, await bench.make(VIEW), patience=PATIENCE_SECONDS)
    await bench.admin("faults", match={"contains": "/v2/order"}, times=2, fault="error_5xx_before")
    assert await attest_once(settings, ignore, strict=True) is Outcome.PROVED
    assert [path for _, path in bench.requests].count("/v2/order") == 3


async def test_during_a_ban_nothing_is_asked_again(bench: Bench) -> None:
    settings = bench.settings(Role.MARKET, await bench.make(VIEW), patience=PATIENCE_SECONDS)
    await bench.admin("faults", match={"contains": "/v2/account"}, times=1, fault="ban", ms=60_000)
    assert await attest_once(settings, ignore, strict=True) is Outcome.INCONCLUSIVE
    assert [path for _, path in bench.requests] == ["/v2/time", "/v2/account", "/v2/order"]


async def test_an_outage_takes_nothing_back_and_a_refusal_does(bench: Bench) -> None:
    files = await bench.make(VIEW)
    settings = bench.settings(Role.MARKET, files)
    await attest_once(settings, ignore, strict=True)
    proved = standing(settings)
    await bench.admin("faults", match={"contains": "/v2/order"}, times=1, fault="html")
    assert await attest_once(settings, ignore, strict=True) is Outcome.INCONCLUSIVE
    assert standing(settings) == proved
    await bench.admin("accounts", key=files.key, secret=files.secret, account="interlock", rights=["view", "trade"])
    assert await attest_once(settings, ignore, strict=True) is Outcome.REFUSED
    assert standing(settings).outcome is Outcome.REFUSED


async def test_what_is_written_is_whole_readable_by_all_and_holds_no_secret(bench: Bench) -> None:
    files = await bench.make(BOTH)
    settings = bench.settings(Role.TRADE, files)
    before = os.umask(0o077)
    try:
        await attest_once(settings, ignore, strict=True)
    finally:
        os.umask(before)
    folder = settings.directory / "trade"
    assert [each.name for each in folder.iterdir()] == ["attestation.json"]
    assert stat.S_IMODE((folder / "attestation.json").stat().st_mode) == 0o644
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    text = (folder / "attestation.json").read_text()
    for value in (files.key, files.secret):
        assert not any(value[at : at + 9] in text for at in range(len(value) - 8))  # eight digits are the fingerprint


async def test_a_file_that_cannot_be_written_leaves_the_one_that_stands(bench: Bench) -> None:
    settings = bench.settings(Role.MARKET, await bench.make(VIEW))
    await attest_once(settings, ignore, strict=True)
    proved = standing(settings)
    (settings.directory / "market" / "attestation.json.unfinished").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_attestation(settings.directory, proved)
    assert standing(settings) == proved


async def test_a_key_that_cannot_be_read_or_an_address_that_cannot_be_asked_is_told(bench: Bench) -> None:
    files = await bench.make(VIEW)
    settings = bench.settings(Role.MARKET, files)
    off_loopback = {**{name: getattr(settings, name) for name in Settings.__slots__}, "rest_url": "http://10.0.0.1/v2"}
    with pytest.raises(SettingsError, match="must be https"):
        await attest_once(Settings(**off_loopback), ignore, strict=True)
    files.secret_file.chmod(0o444)
    with pytest.raises(SecretFileError, match="lets others read it"):
        await attest_once(settings, ignore, strict=True)


@asynccontextmanager
async def running(settings: Settings, shown: list[Attestation], every_seconds: float) -> AsyncIterator[None]:
    """Attest for ever, until the test is done."""
    stop = asyncio.Event()
    task = asyncio.create_task(attest_for_ever(settings, shown.append, stop, strict=True, every_seconds=every_seconds))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, PATIENCE_SECONDS)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.05)


async def test_it_attests_again_at_its_interval(bench: Bench) -> None:
    shown: list[Attestation] = []
    async with running(bench.settings(Role.MARKET, await bench.make(VIEW)), shown, every_seconds=0.2):
        await until(lambda: len(shown) >= 3)
    assert {each.outcome for each in shown} == {Outcome.PROVED}


async def test_a_replaced_key_is_attested_at_once_and_not_half_replaced(bench: Bench) -> None:
    files, new = await bench.make(VIEW), await bench.make(VIEW)
    settings, shown = bench.settings(Role.MARKET, files), list[Attestation]()
    async with running(settings, shown, every_seconds=3_600):
        await until(lambda: len(shown) == 1)
        declare(files.key_file.parent / "declaration.yaml", fingerprint_of(new.key))
        replace_key(files, new)
        await until(lambda: len(shown) == 2)
    assert [each.outcome for each in shown] == [Outcome.PROVED] * 2
    assert [each.fingerprint for each in shown] == [shown[0].fingerprint, fingerprint_of(new.key)]
    assert standing(settings) == shown[1]


@pytest.mark.parametrize("first", ["declaration", "key", "secret"])
async def test_files_that_are_replaced_slowly_take_nothing_back_from_the_key_in_use(bench: Bench, first: str) -> None:
    files, new = await bench.make(VIEW), await bench.make(VIEW)
    settings, shown = bench.settings(Role.MARKET, files), list[Attestation]()
    steps: dict[str, Callable[[], object]] = {
        "declaration": lambda: declare(files.key_file.parent / "declaration.yaml", fingerprint_of(new.key)),
        "key": lambda: write_secret(files.key_file, new.key),
        "secret": lambda: write_secret(files.secret_file, new.secret),
    }
    async with running(settings, shown, every_seconds=3_600):
        await until(lambda: len(shown) == 1)
        steps.pop(first)()
        await asyncio.sleep(6)  # a person looks for the other files
        assert standing(settings) == shown[0]
        for step in steps.values():
            step()
        await until(lambda: standing(settings).fingerprint == fingerprint_of(new.key))
    assert {each.outcome for each in shown} == {Outcome.PROVED}


async def test_a_key_with_more_rights_put_in_its_place_is_refused_at_once(bench: Bench) -> None:
    files, new = await bench.make(VIEW), await bench.make(Key("too much", ("view", "trade")))
    settings, shown = bench.settings(Role.MARKET, files), list[Attestation]()
    async with running(settings, shown, every_seconds=3_600):
        await until(lambda: len(shown) == 1)
        replace_key(files, new)
        await until(lambda: len(shown) == 2)
    assert [each.outcome for each in shown] == [Outcome.PROVED, Outcome.REFUSED]


async def test_a_key_that_is_gone_for_a_while_ends_nothing(bench: Bench) -> None:
    files = await bench.make(VIEW)
    settings, shown = bench.settings(Role.MARKET, files), list[Attestation]()
    key = files.key_file.read_text()
    async with running(settings, shown, every_seconds=3_600):
        await until(lambda: len(shown) == 1)
        files.key_file.unlink()
        await asyncio.sleep(5)
        files.key_file.write_text(key)
        files.key_file.chmod(0o400)
        await until(lambda: len(shown) == 2)
    assert {each.outcome for each in shown} == {Outcome.PROVED}


def fingerprint_of(key: str) -> str:
    return Secret(key).fingerprint()
