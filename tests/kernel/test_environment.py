"""Settings are read strictly, and everything that is wrong is told at once and without a secret."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kernel import logs
from kernel.environment import Environment, SettingsError, is_loopback

READ: dict[str, Callable[[Environment], object]] = {
    "text": lambda env: env.text("X"),
    "choice": lambda env: env.text("X", choices=("a", "b")),
    "integer": lambda env: env.integer("X", low=1, high=10),
    "flag": lambda env: env.flag("X", default=False),
    "duration": lambda env: env.duration("X", low=0.5, high=3_600),
    "address": lambda env: env.address("X"),
    "directory": lambda env: env.directory("X"),
}


@pytest.mark.parametrize(
    ("kind", "found", "value"),
    [
        ("text", "anything", "anything"),
        ("choice", "b", "b"),
        ("integer", "1", 1),
        ("integer", "10", 10),
        ("flag", "true", True),
        ("flag", "false", False),
        ("duration", "500ms", 0.5),
        ("duration", "5s", 5.0),
        ("duration", "1h", 3_600.0),
        ("address", "127.0.0.1:50051", "127.0.0.1:50051"),
        ("address", "[::1]:0", "[::1]:0"),
        ("address", "market_service:1".replace("_", "-"), "market-service:1"),
        ("directory", "/", Path("/")),
    ],
)
def test_a_right_variable_is_read(kind: str, found: str, value: object) -> None:
    env = Environment({"X": found})
    assert READ[kind](env) == value
    env.finish()


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("choice", "c"), ("choice", "A"),
        ("integer", "0"), ("integer", "11"), ("integer", "1.0"), ("integer", "1_0"), ("integer", " 1"),
        ("integer", "\uff11"), ("integer", "0x1"), ("integer", "1" * 30), ("integer", "-1"), ("integer", "01"),
        ("flag", "yes"), ("flag", "1"), ("flag", "True"),
        ("duration", "5"), ("duration", "499ms"), ("duration", "61m"), ("duration", "5 s"), ("duration", "-5s"),
        ("duration", "5S"), ("duration", "1.5s"),
        ("address", "127.0.0.1"), ("address", ":1"), ("address", "h:70000"), ("address", "h:x"), ("address", "::1:5"),
        ("address", "http://h:1"), ("address", "h:-1"), ("address", "[h]:1"), ("address", "a b:1"),
        ("directory", "/no/such/directory"),
    ],
)  # fmt: skip
def test_a_wrong_variable_is_named_with_what_was_found_and_expected(kind: str, found: str) -> None:
    env = Environment({"X": found})
    READ[kind](env)
    with pytest.raises(SettingsError, match=r"X: found '.*; expected "):
        env.finish()


@pytest.mark.parametrize("kind", ["text", "choice", "integer", "duration", "address", "directory"])
@pytest.mark.parametrize("variables", [{}, {"X": ""}])
def test_a_required_variable_that_is_absent_or_empty_is_named(kind: str, variables: dict[str, str]) -> None:
    env = Environment(variables)
    READ[kind](env)
    with pytest.raises(SettingsError, match="X: absent; expected ") as caught:
        env.finish()
    assert str(caught.value).count("X:") == 1


def test_a_default_is_taken_when_the_variable_is_absent() -> None:
    env = Environment({})
    assert env.text("A", default="a") == "a"
    assert env.integer("B", low=0, high=9, default=0) == 0
    assert env.duration("C", low=0, high=9, default="5s") == 5
    assert env.address("D", default="127.0.0.1:1") == "127.0.0.1:1"
    assert env.optional("E") is None
    env.finish()


def test_every_problem_is_told_at_once() -> None:
    env = Environment({"A": "x", "C": "y", "OTHER_KEY": ""})
    env.integer("A", low=0, high=1)
    env.text("B")
    env.flag("C", default=True)
    env.forbid("OTHER_KEY", "ABSENT", because="it is the other service's")
    env.problem("D", "more than C")
    with pytest.raises(SettingsError) as caught:
        env.finish()
    lines = str(caught.value).splitlines()[1:]
    assert [line.split(":")[0].strip() for line in lines] == ["A", "B", "C", "OTHER_KEY", "D"]


def test_a_long_or_secret_looking_value_is_not_repeated() -> None:
    env = Environment({"A": "x" * 1_000, "B": "postgres://u:hunter22@h/d"})
    env.integer("A", low=0, high=1)
    env.integer("B", low=0, high=1)
    with pytest.raises(SettingsError) as caught:
        env.finish()
    assert "x" * 65 not in str(caught.value)
    assert "hunter22" not in str(caught.value)


def secret_file(tmp_path: Path, mode: int = 0o400) -> str:
    path = tmp_path / "key"
    path.write_text("canary-of-the-file\n")
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize("loopback", [True, False])
def test_a_secret_is_read_from_its_file(tmp_path: Path, loopback: bool) -> None:  # noqa: FBT001 - a row of the table
    env = Environment({"KEY_FILE": secret_file(tmp_path)})
    assert env.secret("KEY", loopback=loopback).reveal() == "canary-of-the-file"
    env.finish()


def test_a_plain_secret_is_read_on_loopback_only() -> None:
    env = Environment({"KEY": "canary-of-the-variable"})
    assert env.secret("KEY", loopback=True).reveal() == "canary-of-the-variable"
    env.finish()
    env.secret("KEY", loopback=False)
    with pytest.raises(SettingsError, match="KEY_FILE, a file") as caught:
        env.finish()
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("variables", [{}, {"KEY_FILE": "/no/such/file"}, {"KEY_FILE": "/", "KEY": "canary-1"}])
def test_a_secret_that_cannot_be_read_is_a_problem(variables: dict[str, str]) -> None:
    env = Environment(variables)
    env.secret("KEY", loopback=True)
    with pytest.raises(SettingsError, match="KEY") as caught:
        env.finish()
    assert "canary" not in str(caught.value)


def test_a_secret_that_was_read_is_masked_in_every_later_line(
    tmp_path: Path, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    Environment({"KEY_FILE": secret_file(tmp_path)}).secret("KEY", loopback=False)
    logs.log("event", note="the canary-of-the-file is here")
    assert lines()[0]["note"] == "the *** is here"


def test_a_secrets_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    env = Environment({"KEY_FILE": secret_file(tmp_path, 0o644)})
    env.secret("KEY", loopback=True)
    with pytest.raises(SettingsError, match="chmod 0400"):
        env.finish()


@pytest.mark.parametrize(
    ("address", "loopback"),
    [
        ("127.0.0.1:1", True), ("127.9.9.9:1", True), ("[::1]:1", True), ("0.0.0.0:1", False), ("[::]:1", False),
        ("localhost:1", False), ("10.0.0.1:1", False), ("[::ffff:10.0.0.1]:1", False), ("", False),
        ("127.0.0.1", False),
    ],
)  # fmt: skip
def test_only_a_loopback_ip_address_is_loopback(address: str, loopback: bool) -> None:  # noqa: FBT001
    assert is_loopback(address) is loopback


def test_authorities_are_a_file_of_certificates_or_nothing(tmp_path: Path) -> None:
    (tmp_path / "no_certificate.pem").write_text("hello")
    good = Path(__file__).parents[1] / "bitvavo" / "loopback_certificate.pem"
    assert Environment({"CA": str(good)}).authorities("CA") == good
    assert Environment({"CA": ""}).authorities("CA") is None
    for wrong in ("no_certificate.pem", "absent.pem"):
        env = Environment({"CA": str(tmp_path / wrong)})
        env.authorities("CA")
        with pytest.raises(SettingsError, match=r"CA: found .* expected a file of PEM certificates"):
            env.finish()
