import os
import time
from pathlib import Path

import pytest

from policy.load import PolicyLoadError, Problem, load_directory, parse_policy
from policy.policy import MissingReason, PolicyMissing, PolicySet
from policy.presets import PRESETS, preset_template, preset_text

HUNTER = preset_text("hunter", ("alice",))


def problems(text: str) -> tuple[Problem, ...]:
    with pytest.raises(PolicyLoadError) as refused:
        parse_policy(text, "p.yaml")
    return refused.value.problems


def replaced(old: str, new: str) -> str:
    assert HUNTER.count(old) == 1
    return HUNTER.replace(old, new)


# What is written instead, and the key, the words found and the words allowed that the refusal must name.
MISTAKES = [
    ("per_hour: 2,", "per_hour: 2, per_hour: 999,", "rules.trade_caps.per_hour", "twice", "once"),
    ("per_hour: 2,", "per_hour: 02,", "rules.trade_caps.per_hour", "'02'", "1 to 500"),
    ("per_hour: 2,", "per_hour: 1_0,", "rules.trade_caps.per_hour", "'1_0'", "1 to 500"),
    ("per_hour: 2,", "per_hour: 0x10,", "rules.trade_caps.per_hour", "'0x10'", "1 to 500"),
    ("per_hour: 2,", "per_hour: 1:30,", "rules.trade_caps.per_hour", "'1:30'", "1 to 500"),
    ("per_hour: 2,", "per_hour: .inf,", "rules.trade_caps.per_hour", "'.inf'", "1 to 500"),
    ("per_hour: 2,", "per_hour: 1e3,", "rules.trade_caps.per_hour", "'1e3'", "1 to 500"),
    ("per_hour: 2,", "per_hour: 2.0,", "rules.trade_caps.per_hour", "'2.0'", "1 to 500"),
    ("per_hour: 2,", "per_hour: -2,", "rules.trade_caps.per_hour", "'-2'", "1 to 500"),
    ("per_hour: 2,", "per_hour: 0,", "rules.trade_caps.per_hour", "'0'", "1 to 500"),
    ("per_hour: 2,", "per_hour: 501,", "rules.trade_caps.per_hour", "'501'", "1 to 500"),
    ("per_hour: 2,", "per_hour: ٣,", "rules.trade_caps.per_hour", "'٣'", "1 to 500"),
    ("per_hour: 2,", "per_hour:,", "rules.trade_caps.per_hour", "nothing", "1 to 500"),
    ("per_hour: 2,", "", "rules.trade_caps.per_hour", "nothing", "1 to 500"),
    ("per_hour: 2,", "per_hour: [2],", "rules.trade_caps.per_hour", "a list of 1", "1 to 500"),
    ("per_hour: 2,", "per_hour: {a: b},", "rules.trade_caps.per_hour", "a mapping", "1 to 500"),
    ("per_hour: 2,", "per_hour: !!int 2,", "rules.trade_caps.per_hour", "a tag", "no tags"),
    ("per_hour: 2,", "per_hour: &a 2,", "rules.trade_caps.per_hour", "an anchor", "the value itself"),
    ("per_hour: 2,", "per_hour: *a,", "rules.trade_caps.per_hour", "an alias", "the value itself"),
    ("per_hour: 2,", "per_minute: 2, per_hour: 2,", "rules.trade_caps.per_minute", "unknown", "per_day"),
    ('max: "200"', "max: 1e3", "rules.order_value.max", "'1e3'", "decimal"),
    ('max: "200"', "max: +200", "rules.order_value.max", "'+200'", "decimal"),
    ('max: "200"', "max: 200.", "rules.order_value.max", "'200.'", "decimal"),
    ('max: "200"', "max: 1000000000000", "rules.order_value.max", "1000", "decimal"),
    ('max: "200"', "max: 0.1234567890123", "rules.order_value.max", "0.12", "decimal"),
    ('max: "200"', "max: NaN", "rules.order_value.max", "'NaN'", "decimal"),
    ('max: "200"', 'max: "24"', "rules.order_value", "max '24'", "min at or below max"),
    ("period: 30m", "period: 30", "rules.cooldown.period", "'30'", "duration"),
    ("period: 30m", "period: 0m", "rules.cooldown.period", "'0m'", "duration"),
    ("period: 30m", "period: 1441m", "rules.cooldown.period", "'1441m'", "86400s"),
    ("period: 30m", "period: 1.5h", "rules.cooldown.period", "'1.5h'", "duration"),
    ("period: 2h", "period: 25h", "rules.anti_flip.period", "'25h'", "86400s"),
    ("per: market", "per: asset", "rules.cooldown.per", "'asset'", "market, user"),
    ("max_deviation: 1%", "max_deviation: 0.01", "rules.price_collar.max_deviation", "'0.01'", "percentage"),
    ("max_deviation: 1%", "max_deviation: 51%", "rules.price_collar.max_deviation", "'51%'", "50%"),
    ("max_deviation: 1%", "max_deviation: 0%", "rules.price_collar.max_deviation", "'0%'", "above 0%"),
    ("[50, 75, 100]", "[]", "rules.confidence.allowed", "a list of 0", "a list of 1"),
    ("[50, 75, 100]", "[50, 50]", "rules.confidence.allowed", "twice", "different"),
    ("[50, 75, 100]", "[50, 101]", "rules.confidence.allowed.1", "'101'", "0 to 100"),
    ("SOL-EUR", "ON", "rules.allowlist.markets.3", "'ON'", "a market"),
    ("SOL-EUR", "sol-eur", "rules.allowlist.markets.3", "'sol-eur'", "a market"),
    ("SOL-EUR", "SOL-USDC", "rules.allowlist.markets", "SOL-USDC", "-EUR"),
    ('{required_above: "100"}', "{}", "approval", "nothing", "exactly one"),
    ('{required_above: "100"}', "{required: yes}", "approval.required", "'yes'", "true or false"),
    ('{required_above: "100"}', "{required: false, required_above: 1}", "approval", "required", "exactly one"),
    ("order_value: apply", "order_value: skip", "exits.order_value", "'skip'", "exempt, apply"),
    (", order_value: apply", "", "exits.order_value", "nothing", "exempt, apply"),
    ("proposal_ttl: 1h", "proposal_ttl: 8d", "proposal_ttl", "'8d'", "604800s"),
    ("interlock/v1", "interlock/v2", "apiVersion", "'interlock/v2'", "interlock/v1"),
    ("users: ['alice']", "users: []", "applies_to.users", "a list of 0", "a list of 1"),
    ("users: ['alice']", "users: ['*', alice]", "applies_to.users.0", "'*'", "user id"),
    ("users: ['alice']", "users: [*, alice]", "", "YAML", "one YAML document"),
    ("repeat_intent:", "exposure: {max: 1000}\n  repeat_intent:", "rules.exposure", "unknown", "price_collar"),
    ("repeat_intent: {window: 10m}", "", "rules.repeat_intent", "nothing", "window"),
    ("repeat_intent: {window: 10m}", "repeat_intent: {disabled: ''}", "rules.repeat_intent.disabled", "nothing", "reason"),  # noqa: E501
    ("{window: 10m}", "{disabled: x, window: 10m}", "rules.repeat_intent.window", "unknown", "disabled"),
    ("{max_deviation: 1%, max_quote_age: 5s}", "{disabled: x}", "rules.price_collar.disabled", "unknown", "max_deviation"),  # noqa: E501
    ("{markets: [BTC-EUR, ETH-EUR, ADA-EUR, SOL-EUR]}", "{disabled: x}", "rules.allowlist.disabled", "unknown", "markets"),  # noqa: E501
    ("rules:\n", "rules:\n  <<: {}\n", "rules", "a merge", "words"),
    ("rules:\n", "rules:\n  ? [a]\n  : b\n", "rules", "no word", "words"),
    ("name: hunter", "name: Hunter", "name", "'Hunter'", "lower case"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "key", "found", "allowed"), MISTAKES)
def test_a_mistake_is_refused_by_line_key_found_and_allowed(
    old: str, new: str, key: str, found: str, allowed: str
) -> None:
    named = [problem for problem in problems(replaced(old, new)) if problem.key == key]
    assert named
    assert any(found in problem.found and allowed in problem.allowed for problem in named), named
    line = HUNTER[: HUNTER.index(old)].count("\n") + 1
    assert any(problem.line in {line, line - 1, line + 1, 10} for problem in named), (line, named)


def test_a_problem_names_its_exact_line() -> None:
    (problem,) = problems(replaced("period: 30m", "period: soon"))
    assert HUNTER.splitlines()[problem.line - 1].strip().startswith("cooldown:")
    assert str(problem).startswith(f"p.yaml:{problem.line}: rules.cooldown.period: found 'soon'; allowed: a duration")


def test_all_problems_come_at_once() -> None:
    text = HUNTER.replace("30m", "soon").replace("[50, 75, 100]", "[]").replace("2h", "*x").replace("name: hunter", "")
    keys = [problem.key for problem in problems(text)]
    assert sorted(keys) == ["name", "rules.anti_flip.period", "rules.confidence.allowed", "rules.cooldown.period"]


@pytest.mark.parametrize(
    "text", ["", "---\n", "# only a comment\n", "allow:\n", "null\n", "- a\n", "a: &a [*a]\n", "\x00", "a: b: c",
             f"%YAML 1.1\n---\n{HUNTER}", f"{HUNTER}---\n{HUNTER}", "a: !!python/object:os.system x", "\ud800"]
)  # fmt: skip
def test_what_is_no_policy_is_refused(text: str) -> None:
    assert problems(text)


def test_a_bomb_of_brackets_or_aliases_is_refused_at_once() -> None:
    bomb = "a: &a [x, x]\n" + "".join(f"b{n}: &b{n} [*a, *a]\n" for n in range(20))
    started = time.monotonic()
    assert problems("[" * 5000)
    assert problems("{a: " * 5000)
    assert problems(bomb)
    assert time.monotonic() - started < 5


def test_found_text_is_cut() -> None:
    assert all(len(problem.found) <= 80 for problem in problems(replaced("30m", "x" * 5000)))


def test_64_kib_are_read_and_one_byte_more_is_not(tmp_path: Path) -> None:
    padding = "#" * (64 * 1024 - len(HUNTER.encode()))
    (tmp_path / "hunter.yaml").write_text(HUNTER + padding)
    assert load_directory(tmp_path).policies
    (tmp_path / "hunter.yaml").write_text(HUNTER + padding + "#")
    with pytest.raises(PolicyLoadError, match="65536 bytes"):
        load_directory(tmp_path)
    assert problems(HUNTER + padding + "#")[0].found == "more than 65536 bytes"


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    directory = tmp_path / "policies"
    directory.mkdir()
    (tmp_path / "elsewhere").write_text(HUNTER)
    (directory / "link.yaml").symlink_to(tmp_path / "elsewhere")
    (directory / "folder.yaml").mkdir()
    os.mkfifo(directory / "pipe.yaml")  # opening it would wait for ever
    with pytest.raises(PolicyLoadError) as refused:
        load_directory(directory)
    assert [problem.found for problem in refused.value.problems] == ["no regular file"] * 3


def test_no_directory_and_an_empty_one_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(PolicyLoadError):
            load_directory(path)
    (tmp_path / "notes.txt").write_text("no policy")
    (tmp_path / ".hidden.yaml").write_text("no policy")
    with pytest.raises(PolicyLoadError, match="0 policy files"):
        load_directory(tmp_path)


def test_bytes_that_are_no_utf8_are_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9\n")
    with pytest.raises(PolicyLoadError, match="UTF-8"):
        load_directory(tmp_path)


@pytest.mark.parametrize("users", [("alice",), ("*",)])
def test_a_user_named_by_two_files_is_refused_and_would_be_denied(tmp_path: Path, users: tuple[str, ...]) -> None:
    (tmp_path / "a.yaml").write_text(preset_text("hunter", users))
    (tmp_path / "b.yaml").write_text(preset_text("observer", users))
    with pytest.raises(PolicyLoadError, match=r"also in .*a\.yaml"):
        load_directory(tmp_path)
    both = PolicySet(tuple(parse_policy(preset_text(name, users), name) for name in ("hunter", "observer")))
    assert both.for_user("alice") == PolicyMissing(MissingReason.POLICY_AMBIGUOUS)


def test_a_name_used_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(preset_text("hunter", ("alice",)))
    (tmp_path / "b.yml").write_text(preset_text("hunter", ("bob",)))
    with pytest.raises(PolicyLoadError, match="name: found 'hunter', also in"):
        load_directory(tmp_path)


def test_the_exact_user_wins_over_everybody(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(preset_text("hunter", ("alice", "carol")))
    (tmp_path / "b.yaml").write_text(preset_text("observer", ("*",)))
    policies = load_directory(tmp_path)
    names = {user: getattr(policies.for_user(user), "name", None) for user in ("alice", "bob", "carol")}
    assert names == {"alice": "hunter", "bob": "observer", "carol": "hunter"}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_loads_for_named_users_and_not_as_it_is(name: str) -> None:
    assert parse_policy(preset_text(name, ("alice", "bob")), name).users == ("alice", "bob")
    (problem,) = problems(preset_template(name))
    assert problem.key == "applies_to"


def test_a_star_may_stand_alone() -> None:
    assert parse_policy(replaced("['alice']", '"*"'), "p").users == ("*",)
    assert parse_policy(replaced("['alice']", '["*"]'), "p").users == ("*",)


def test_an_unknown_preset_or_no_users_is_a_mistake() -> None:
    for name, users in (("gambler", ("alice",)), ("hunter", ())):
        with pytest.raises(ValueError, match="expected one of"):
            preset_text(name, users)
