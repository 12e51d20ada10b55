"""`python -m attest` as it is run: exit codes, what it prints, and what it never prints or asks."""

import ast
import asyncio
import os
import re
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from attest.settings import read_settings
from bitvavo.endpoints import ATTEST_ENDPOINTS, ForbiddenEndpointError
from kernel.attestation import Role
from kernel.environment import SettingsError
from tests.attest.exchange import KEYS, Bench
from tests.docs.pages import blocks

ROOT = Path(__file__).parents[2]
SECONDS = 30
BY_NAME = {key.name: key for key in KEYS}


class Ran:
    """How a run ended, and what it wrote."""

    def __init__(self, code: int, out: bytes, err: bytes) -> None:
        self.code, self.out, self.err = code, out.decode(), err.decode()


async def start(variables: Mapping[str, str], *words: str) -> asyncio.subprocess.Process:
    bare = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "attest", *words),
        cwd=ROOT,
        env=bare | dict(variables),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def ran(variables: Mapping[str, str], *words: str) -> Ran:
    process = await start(variables, *words)
    out, err = await asyncio.wait_for(process.communicate(), SECONDS)
    return Ran(process.returncode or 0, out, err)


@pytest.mark.parametrize(
    ("name", "role", "words", "code", "last"),
    [
        ("view", "market", (), 0, "PROVED"),
        ("view+trade", "trade", (), 0, "PROVED"),
        ("view+trade", "market", (), 1, "REFUSED"),
        ("view, nothing declared", "market", (), 1, "REFUSED (strict: what is inconclusive is refused)"),
        (
            *("view, nothing declared", "market", ("--lenient",), 3),
            "INCONCLUSIVE (LENIENT: NOT PROVED. Only a service with ATTESTATION_STRICT=false accepts this)",
        ),
        ("wrong address (307)", "trade", ("--lenient",), 1, "REFUSED"),
    ],
)
async def test_the_exit_code_and_the_table_say_what_was_found(
    bench: Bench, name: str, role: str, words: tuple[str, ...], code: int, last: str
) -> None:
    key = BY_NAME[name]
    files = await bench.make(key)
    settings = bench.settings(Role(role), files, declared=key.declared)
    found = await ran(bench.environment(settings), role, *words)
    assert found.code == code, found.err
    lines = found.out.splitlines()
    assert last in lines
    assert max(map(len, lines)) <= 100
    assert (settings.directory / role / "attestation.json").exists()
    for value in (files.key, files.secret):
        assert value[:9] not in found.out + found.err
        assert value[-9:] not in found.out + found.err


async def test_the_guides_example_is_what_is_printed(bench: Bench) -> None:
    settings = bench.settings(Role.MARKET, await bench.make(BY_NAME["view+trade"]), declared=False)
    found = await ran(bench.environment(settings), "market")
    (example,) = [each for each in blocks(ROOT / "docs" / "operations.md", "") if each.startswith("market key")]
    assert stripped(found.out) == stripped(example)


def stripped(text: str) -> str:
    """Return a table without what differs from run to run: the fingerprint and the moment."""
    fingerprint = text.split(maxsplit=3)[2].rstrip(",")
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "now", text.replace(fingerprint, "key")).strip()


async def test_what_is_written_is_checked_without_a_key(bench: Bench) -> None:
    settings = bench.settings(Role.MARKET, await bench.make(BY_NAME["view, nothing declared"]), declared=False)
    only = {"ATTESTATION_DIR": str(settings.directory)}
    missing = await ran(only, "check", "market")
    assert (missing.code, missing.out) == (
        1,
        "market: MISSING: the attestation of market is missing; run: python -m attest market\n",
    )
    await ran(bench.environment(settings), "market", "--lenient")
    assert (await ran(only, "check", "market")).code == 1
    assert (await ran(only, "check", "market", "--lenient")).code == 0
    assert (await ran(only, "check", "trade")).code == 1


async def test_a_proved_one_passes_the_check(bench: Bench) -> None:
    settings = bench.settings(Role.TRADE, await bench.make(BY_NAME["view+trade"]))
    await ran(bench.environment(settings), "trade")
    found = await ran({"ATTESTATION_DIR": str(settings.directory)}, "check", "trade")
    assert (found.code, found.out) == (0, "trade: attested\n")


async def test_a_signal_ends_the_loop_in_order(bench: Bench) -> None:
    settings = bench.settings(Role.MARKET, await bench.make(BY_NAME["view"]))
    process = await start(bench.environment(settings), "market", "--every", "1h")
    try:
        assert process.stdout is not None
        async with asyncio.timeout(SECONDS):
            while b"PROVED\n" not in await process.stdout.readline():
                pass
            process.send_signal(signal.SIGTERM)
            await process.communicate()
        assert process.returncode == 0
    finally:
        if process.returncode is None:
            process.kill()


@pytest.mark.parametrize(
    ("changes", "words", "says"),
    [
        ({"BITVAVO_READONLY_SECRET_FILE": "/nowhere"}, (), "/nowhere: cannot be opened"),
        ({"BITVAVO_REST_URL": "http://10.0.0.1/v2"}, (), "exchange URL must be https"),
        ({}, ("--every", "3h"), "--every: found '3h'; expected a duration from 60 s to 7200 s"),
    ],
)
async def test_what_cannot_work_is_told_in_one_line_and_nothing_is_asked(
    bench: Bench, changes: Mapping[str, str], words: tuple[str, ...], says: str
) -> None:
    settings = bench.settings(Role.MARKET, await bench.make(BY_NAME["view"]))
    found = await ran(bench.environment(settings, **changes), "market", *words)
    assert (found.code, found.out, len(found.err.splitlines())) == (2, "", 1)
    assert says in found.err
    assert bench.requests == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"BITVAVO_TRADE_KEY_FILE": "/x"}, "BITVAVO_TRADE_KEY_FILE: is set; expected to be absent: one process"),
        ({"BITVAVO_TRADE_SECRET": ""}, "BITVAVO_TRADE_SECRET: is set"),
        ({"BITVAVO_READONLY_KEY_FILE": ""}, "BITVAVO_READONLY_KEY_FILE: absent"),
        ({"ATTESTATION_DIR": "/nowhere"}, "ATTESTATION_DIR: found '/nowhere'"),
        ({"BITVAVO_CA_FILE": "/nowhere"}, "BITVAVO_CA_FILE: found '/nowhere'; expected a file of PEM certificates"),
        ({"ATTEST_PATIENCE": "1d"}, "ATTEST_PATIENCE: found '1d'"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, changes: Mapping[str, str], says: str) -> None:
    right = {
        "BITVAVO_READONLY_KEY_FILE": "/key",
        "BITVAVO_READONLY_SECRET_FILE": "/secret",
        "ATTESTATION_DIR": str(tmp_path),
    }
    assert read_settings(right, Role.MARKET).rest_url == "https://api.bitvavo.com/v2"
    with pytest.raises(SettingsError, match=re.escape(says)):
        read_settings(right | dict(changes), Role.MARKET)


# --- what it can never do ---


def test_g3_the_attestation_may_ask_exactly_these_endpoints() -> None:
    assert {(each.method, each.path) for each in ATTEST_ENDPOINTS} == {
        *(("GET", "/time"), ("GET", "/account"), ("GET", "/ordersOpen"), ("DELETE", "/order")),
    }


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("POST", "/v2/withdrawal"), ("POST", "/v2/crypto/withdrawal"), ("GET", "/v2/withdrawalHistory")),
        *(("POST", "/v2/order"), ("PUT", "/v2/order"), ("DELETE", "/v2/orders"), ("GET", "/v2/deposit")),
    ],
)
def test_g3_the_attestation_can_withdraw_nothing_and_order_nothing(method: str, path: str) -> None:
    with pytest.raises(ForbiddenEndpointError):
        ATTEST_ENDPOINTS.require(method, path)


def test_g3_no_program_of_ours_writes_a_path_of_a_withdrawal() -> None:
    assert money_paths("attest", "bitvavo", "kernel", "market_service", "trade_service") == []
    assert money_paths("exchange_sim") != []  # which has them, so that is how they look


def money_paths(*packages: str) -> list[str]:
    """Find what looks like a path of an endpoint that moves money away."""
    return [
        text
        for package in packages
        for path in (ROOT / package).rglob("*.py")
        for text in texts(path)
        if re.search(r"/\S*(withdraw|deposit|transfer)", text, re.IGNORECASE)
    ]


def texts(path: Path) -> Iterator[str]:
    """Yield the string literals of a file that are no docstrings."""
    tree = ast.parse(path.read_text())
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value
