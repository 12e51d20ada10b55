"""A rule is whole only with its documentation, its test and its codes."""

import inspect
from pathlib import Path

import pytest

from policy.catalogue import ALWAYS_JUDGED, CORE_NAMES, FURTHER, NEVER_DISABLED, RULES
from policy.engine import decide
from policy.rule import Rule
from policy.verdict import SHARED_CODES
from tests.policy import given

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "policy.md").read_text(encoding="utf-8")
ALL = (*ALWAYS_JUDGED, *RULES)


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.name)
def test_a_rule_has_a_docstring_a_file_a_test_and_a_row_in_the_guide(rule: type[Rule]) -> None:
    summary = (inspect.getdoc(rule) or "").splitlines()[0]
    assert summary.endswith(".")
    assert rule.__module__ == f"policy.rules.{rule.name}"
    assert (ROOT / "tests" / "policy" / "rules" / f"test_{rule.name}.py").is_file()
    (row,) = [line for line in GUIDE.splitlines() if line.startswith(f"| `{rule.name}` |")]
    assert summary in row
    assert all(f"`{code}`" in row for code in rule.codes)


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.name)
def test_every_code_of_a_rule_is_wanted_by_its_test(rule: type[Rule]) -> None:
    text = (ROOT / "tests" / "policy" / "rules" / f"test_{rule.name}.py").read_text(encoding="utf-8")
    text += (ROOT / "tests" / "policy" / "test_reservation.py").read_text(encoding="utf-8")
    assert [code for code in rule.codes if f'"{code}"' not in text] == []


def test_every_rule_file_is_listed() -> None:
    files = {path.stem for path in (ROOT / "policy" / "rules").glob("*.py")} - {"__init__"}
    assert files == {rule.name for rule in ALL}
    assert len(ALL) == len(files)


def test_codes_are_the_rules_own() -> None:
    codes = [code for rule in ALL for code in rule.codes] + list(SHARED_CODES)
    assert len(codes) == len(set(codes))


def test_the_engine_asks_what_the_catalogue_lists() -> None:
    policy = given.policy({"price_collar": {"max_deviation": "1%", "max_quote_age": "5s"}})
    decision = decide(policy, given.proposal(), given.facts())
    assert [verdict.rule for verdict in decision.verdicts] == [rule.name for rule in ALL]


def test_what_is_core_and_what_is_further_is_as_documented() -> None:
    assert tuple(given.RULES) == CORE_NAMES
    assert [rule.name for rule in FURTHER] == ["price_collar"]
    assert set(NEVER_DISABLED) == {"allowlist"}


def test_every_shared_code_is_explained_in_the_guide() -> None:
    assert [code for code in SHARED_CODES if f"`{code}`" not in GUIDE] == []
