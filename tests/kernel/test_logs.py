"""Every event is one line of JSON, and no secret is in it, whichever way it got there."""

import asyncio
import base64
import logging
import warnings
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import httpx
import psycopg
import pytest

from kernel import logs
from kernel.redaction import MAX_TEXT_CHARS, exception_text, hide, redact
from kernel.secret import Secret

Lines = Callable[[], list[dict[str, Any]]]


def test_an_event_is_one_line_with_time_level_name_and_fields(lines: Lines) -> None:
    logs.log("claimed", level=logs.WARNING, amount=Decimal("1.50"), count=3, text="a\nb", big=2**70, half="\ud800")
    (line,) = lines()
    assert list(line)[:3] == ["ts", "level", "event"]
    assert datetime.fromisoformat(line["ts"]).tzinfo is not None
    assert (line["level"], line["event"], line["amount"], line["count"]) == ("warning", "claimed", "1.50", 3)
    assert (line["text"], line["big"]) == ("a\nb", 2**70)


async def test_bound_fields_are_on_every_line_inside_also_of_tasks_started_there(lines: Lines) -> None:
    async def child() -> None:
        logs.log("child")

    with logs.bind(request_id="r-1"), logs.bind(user_id="alice"):
        await asyncio.create_task(child())
    logs.log("outside")
    inside, outside = lines()
    assert (inside["request_id"], inside["user_id"]) == ("r-1", "alice")
    assert "request_id" not in outside


def test_a_librarys_record_becomes_a_line_of_the_same_form(lines: Lines) -> None:
    logging.getLogger("somelibrary").warning("connecting to %s", "postgres://u:hunter22@h/db")
    (line,) = lines()
    assert (line["event"], line["logger"]) == ("library", "somelibrary")
    assert line["message"] == "connecting to postgres://u:***@h/db"


def test_a_library_record_that_cannot_be_formatted_does_not_show_its_arguments(
    lines: Lines, capsys: pytest.CaptureFixture[str]
) -> None:
    logging.getLogger("somelibrary").warning("%d", "hunter22")
    assert "hunter22" not in str(lines()) + "".join(capsys.readouterr())
    assert len(lines()) == 1


def test_a_warning_becomes_a_line(lines: Lines) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logs.configure(logs.DEBUG, logs._output.stream)
        warnings.warn("watch out", stacklevel=1)
        logging.captureWarnings(capture=False)
    assert "watch out" in lines()[0]["message"]


def test_http_and_database_libraries_are_quiet_even_at_debug(lines: Lines) -> None:
    for name in ("httpx", "httpcore.http11", "psycopg", "sqlalchemy.engine.Engine", "aiohttp.client"):
        logging.getLogger(name).info("GET https://api.example/?signature=abc")
    assert lines() == []


@pytest.mark.parametrize(
    "name",
    [
        "authorization", "Authorization", "bitvavo-access-signature", "BITVAVO_ACCESS_KEY", "password", "db_passwd",
        "api_key", "apiKey", "secret", "cookie", "session_token", "dsn", "private_key",
    ],
)  # fmt: skip
def test_a_field_whose_name_says_secret_is_masked(lines: Lines, name: str) -> None:
    logs.log_fields("event", {name: "hunter22"})
    logs.log("event", nested={"deep": [{name: "hunter22"}]})
    assert "hunter22" not in str(lines())
    assert lines()[0][name] == "***"


@pytest.mark.parametrize("name", ["tokens", "tokens_used", "key_fingerprint", "market", "user_id", "request_id"])
def test_other_fields_are_shown(lines: Lines, name: str) -> None:
    logs.log_fields("event", {name: "shown"})
    assert lines()[0][name] == "shown"


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("postgresql+psycopg://trade:hunter22@db:5432/trade", "postgresql+psycopg://trade:***@db:5432/trade"),
        ("postgres://:hunter22@db", "postgres://:***@db"),
        ("redis://u:hun:ter/22@h", "redis://u:***@h"),
        ("host=db password=hunter22 user=x", "host=db password=*** user=x"),
        ("Authorization: Bearer hunter22", "Authorization: ***"),
        ("{'authorization': 'Basic hunter22', 'a': 'b'}", "{'authorization': '***', 'a': 'b'}"),
        ("('Bitvavo-Access-Signature', 'hunter22')", "('Bitvavo-Access-Signature', '***')"),
        ("Bitvavo-Access-Key: hunter22", "Bitvavo-Access-Key: ***"),
        ('{"apiKey": "hunter22"}', '{"apiKey": "***"}'),
        ("/account?signature=hunter22&x=1", "/account?signature=***&x=1"),
        ("https://docs.bitvavo.com/ says 12:30 a=b", "https://docs.bitvavo.com/ says 12:30 a=b"),
        ("tokens: 12", "tokens: 12"),
    ],
)
def test_text_in_the_shape_of_a_secret_is_masked(text: str, redacted: str) -> None:
    assert redact(text) == redacted


def test_a_hidden_secret_is_masked_wherever_and_in_whatever_form_it_turns_up(lines: Lines) -> None:
    value = "k9/canary+value=="
    hide(Secret(value))
    forms = [value, base64.b64encode(value.encode()).decode(), value.encode().hex(), "k9%2Fcanary%2Bvalue%3D%3D"]
    for form in forms:
        logs.log("event", note=f"before{form}after", error=RuntimeError(form))
    shown = str(lines())
    assert all(form.rstrip("=") not in shown for form in forms)
    assert "before***" in shown


def test_a_secret_and_what_holds_one_is_masked(lines: Lines) -> None:
    logs.log("event", plain=Secret("hunter22"), listed=[Secret("hunter22")], held={"a": Secret("hunter22")})
    assert "hunter22" not in str(lines())


def test_a_long_text_is_cut() -> None:
    assert len(redact("x" * 10_000)) == MAX_TEXT_CHARS + 1


def test_an_exception_is_told_with_its_causes_and_without_the_words_of_http_and_database_libraries(
    lines: Lines,
) -> None:
    def fail() -> None:
        raise psycopg.OperationalError("connection to trade:hunter22 failed")

    try:
        fail()
    except psycopg.OperationalError as cause:
        error = RuntimeError("the store is gone")
        error.__cause__ = cause
        logs.log("failed", error=error)
    trace = lines()[0]["trace"]
    assert trace[0] == "RuntimeError: the store is gone"
    assert "psycopg.OperationalError" in trace
    assert "hunter22" not in str(trace)
    assert any(frame.endswith(" fail") for frame in trace)


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError("https://u:hunter22@h"),
        psycopg.errors.UniqueViolation("Key (id)=(hunter22) exists"),
        UnicodeDecodeError("ascii", b"hunter22\xff", 8, 9, "no"),
        ExceptionGroup("several", [psycopg.OperationalError("hunter22")]),
    ],
)
def test_the_text_of_a_library_that_quotes_its_input_is_dropped(error: Exception) -> None:
    assert "hunter22" not in exception_text(error)


def test_a_field_that_cannot_be_shown_does_not_break_the_event(lines: Lines) -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("no")

    logs.log("event", broken=Broken(), fine=1)
    assert lines()[0]["fine"] == 1


def test_an_endless_structure_is_cut(lines: Lines) -> None:
    endless: list[object] = []
    endless.append(endless)
    logs.log("event", endless=endless)
    assert len(lines()) == 1
