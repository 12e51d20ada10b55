"""Secrets change under load, with an order resting: no call fails, no order is made twice, the old ones may go."""

import asyncio
import json
import secrets
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from protos.trade.v1 import trade_pb2 as pb
from standalone.secret_files import write_secret
from standalone.system import OPERATOR_ID
from tests.e2e.caller import Caller, bid
from tests.e2e.stage import Stage
from tests.e2e.truth import Row, creates
from tests.faults.test_outages import place_until

LOAD_CALLERS = 6
LOAD_SECONDS = 12.0
BEFORE_SECONDS = 2.0
NOTICE_SECONDS = 20.0
ACCOUNT = "interlock"
ROLES = ("trade_service", "trade_reconciler")


async def test_keys_and_passwords_rotate_under_load_and_no_call_fails(stage: Stage) -> None:
    folder = stage.system.folder / "secrets" / "trade_service"
    before = {path: path.read_text() for path in folder.iterdir() if path.name in {"key", "secret", *URLS}}
    seen = rotations(stage)
    new_key, new_secret = secrets.token_hex(32), secrets.token_hex(64)
    try:
        async with stage.caller() as caller:
            rests = await caller.place(stage.user(), bid("ETH-EUR", "0.01", "1000"))
            ends = time.monotonic() + LOAD_SECONDS
            load = [asyncio.create_task(place_until(caller, stage.user(), n % 2, ends)) for n in range(LOAD_CALLERS)]
            await asyncio.sleep(BEFORE_SECONDS)
            stage.retired_keys.append(new_key)
            open_key(stage, new_key, new_secret, "view", "trade")
            write_secret(folder / "key", new_key)
            write_secret(folder / "secret", new_secret)
            new_passwords(stage, folder)
            await rotated(stage, seen)
            await asyncio.sleep(1)  # what was signed with the old key is answered by now
            open_key(stage, before[folder / "key"], before[folder / "secret"])
            told = sum(await asyncio.gather(*load), Counter[str]())
            await the_resting_order_is_cancelled(stage, caller, rests)
    finally:
        seen = rotations(stage)
        open_key(stage, before[folder / "key"], before[folder / "secret"], "view", "trade")
        for role in ROLES:
            set_password(stage, role, password_of(before[folder / f"{role}.url"]))
        for path, text in before.items():
            write_secret(path, text)
        await rotated(stage, seen)
    assert set(told) == {"OK"}, told
    requests = stage.simulator.requests()
    assert set(Counter(creates(filter(is_ours, requests))).values()) == {1}
    posted = Counter(row["key"] for row in requests if row["method"] == "POST")
    assert posted[new_key[:8]], "orders were sent with the new key"
    assert not [row for row in requests if row["key"] == new_key[:8] and row["status"] in {401, 403}]


URLS = tuple(f"{role}.url" for role in ROLES)


def is_ours(request: Row) -> bool:
    """Say whether a request is for an order with our operator id: other tests play somebody else on this account."""
    return request["method"] == "POST" and bool(json.loads(request["body"])["operatorId"] == OPERATOR_ID)


def rotations(stage: Stage) -> Mapping[str, int]:
    """Count what each replica has taken up so far."""
    logs = [stage.system.folder / "logs" / f"trade_service-{number}.log" for number in (1, 2)]
    return {log.name: log.read_text().count('"event":"secret_rotated"') for log in logs}


async def rotated(stage: Stage, before: Mapping[str, int]) -> None:
    """Wait until each replica took up its three groups: the key, and both URLs."""
    ends = time.monotonic() + NOTICE_SECONDS
    while any(count < before[name] + 3 for name, count in rotations(stage).items()):
        if time.monotonic() > ends:
            pytest.fail(f"not taken up: {before} {rotations(stage)}")
        await asyncio.sleep(0.1)


def open_key(stage: Stage, key: str, secret: str, *rights: str) -> None:
    """Let a key act for the account with these rights, until somebody says otherwise."""
    wish = {"account": ACCOUNT, "key": key, "secret": secret, "rights": list(rights), "balances": {}}
    stage.simulator.admin("POST", "accounts", **wish)


def new_passwords(stage: Stage, folder: Path) -> None:
    """Change the password of each role, and then its file, as an operator does."""
    for role in ROLES:
        password = secrets.token_urlsafe(24)
        set_password(stage, role, password)
        parts = urlsplit((folder / f"{role}.url").read_text())
        netloc = f"{role}:{quote(password, safe='')}@{parts.hostname}:{parts.port}"
        write_secret(folder / f"{role}.url", urlunsplit(parts._replace(netloc=netloc)))


def set_password(stage: Stage, role: str, password: str) -> None:
    with psycopg.connect(stage.server.url(), autocommit=True) as connection:
        statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(password))
        connection.execute(statement)


def password_of(url: str) -> str:
    return unquote(urlsplit(url).password or "")


async def the_resting_order_is_cancelled(stage: Stage, caller: Caller, rests: pb.PlaceOrderResponse) -> None:
    """It was made with the old key, and is cancelled with the new one."""
    assert rests.execution.status == pb.EXECUTION_STATUS_SUBMITTED
    await caller.cancel(rests.proposal.user_id, rests.proposal.proposal_id, replica=1)
    await stage.truth.becomes(rests.proposal.user_id, rests.proposal.proposal_id, "CANCELED")
