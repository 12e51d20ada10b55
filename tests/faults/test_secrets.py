"""No secret in any log of the run, in any table, nor in anything a caller was told, however it is written."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString
from urllib.parse import unquote, urlsplit

import pytest

from migrations.roles import ROLE_NAMES
from tests.e2e.caller import buy
from tests.e2e.stage import Stage

MADE_UP = "correct ??? horse >>> battery"
"""Its two kinds of base64 differ."""


TABLES: tuple[LiteralString, ...] = (
    "SELECT string_agg(t::text, ' ') AS text FROM execution_events t",
    "SELECT string_agg(t::text, ' ') AS text FROM trade_executions t",
    "SELECT string_agg(t::text, ' ') AS text FROM trade_proposals t",
    "SELECT string_agg(t::text, ' ') AS text FROM decisions t",
    "SELECT string_agg(t::text, ' ') AS text FROM policies t",
    "SELECT string_agg(t::text, ' ') AS text FROM alarms t",
)


def spellings(secret: str) -> dict[str, str]:
    """Return a secret as it may be written by accident."""
    raw = secret.encode()
    return {
        "as it is": secret,
        "reversed": secret[::-1],
        "hex": raw.hex(),
        "base64": base64.b64encode(raw).decode().rstrip("="),
        "base64url": base64.urlsafe_b64encode(raw).decode().rstrip("="),
    }


def leaks(secrets: dict[str, str], texts: dict[str, str]) -> Iterator[str]:
    """Name every secret that a text holds, and how it is written there."""
    for name, secret in secrets.items():
        for way, written in spellings(secret).items():
            yield from (f"{name}, {way}, in {place}" for place, text in texts.items() if written in text)


def secrets_of(stage: Stage) -> dict[str, str]:
    """Return every secret of the run by name."""
    folder = stage.system.folder / "secrets"
    found = {f"{path.parent.name}/{path.name}": path.read_text() for path in folder.glob("*/[ks]e*[yt]")}
    urls = {role: stage.system.database_url(role) for role in ROLE_NAMES} | {"superuser": stage.server.url()}
    return found | {role: unquote(urlsplit(url).password or "") for role, url in urls.items()}


def texts_of(stage: Stage) -> dict[str, str]:
    """Return everything that was logged, stored or told."""
    logs: list[Path] = [*(stage.system.folder / "logs").iterdir(), stage.server.folder / "postgres.log"]
    texts = {path.name: path.read_text(errors="replace") for path in logs}
    rows = {"tables": "".join(row["text"] or "" for sql in TABLES for row in stage.truth.rows(sql))}
    return texts | rows | {"what callers were told": "\n".join(stage.told)}


@pytest.mark.parametrize("way", list(spellings("")))
def test_the_search_sees_a_secret(way: str) -> None:
    written = f"before{spellings(MADE_UP)[way]}after"
    assert list(leaks({"canary": MADE_UP}, {"log": written})) == [f"canary, {way}, in log"]


async def test_no_secret_is_in_a_log_a_table_or_an_answer(stage: Stage) -> None:
    async with stage.caller() as caller:
        await caller.place(stage.user(), buy())
    secrets, texts = secrets_of(stage), texts_of(stage)
    assert len(secrets) == len(ROLE_NAMES) + 5, sorted(secrets)
    assert all(len(secret) > 20 for secret in secrets.values())
    assert all(texts[f"{name}.log"] for name in ("trade_service-1", "trade_service-2", "market_service"))
    assert list(leaks(secrets, texts)) == []
