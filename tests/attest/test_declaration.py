"""The operator's declaration: read strictly, and believed about one key, for a bounded time."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from attest.declaration import LONGEST, Declaration, DeclarationError, parse, weigh
from attest.files import read_declaration
from kernel.attestation import Conclusion
from tests.attest.exchange import declare
from tests.docs.pages import ROOT, blocks

TEXT = """\
apiVersion: interlock/v1
kind: KeyDeclaration
key_fingerprint: 1234e567   # neither a number nor a float
cannot: withdraw
declared_by: Ada Lovelace
declared_on: 2026-11-01
valid_until: 2027-01-30
"""
TODAY = date(2026, 11, 24)


def test_a_declaration_is_read_as_written() -> None:
    expected = Declaration("1234e567", "Ada Lovelace", date(2026, 11, 1), date(2027, 1, 30))
    assert parse(TEXT) == expected
    assert expected.valid_until - expected.declared_on == LONGEST


@pytest.mark.parametrize(
    ("found", "instead", "says"),
    [
        ("valid_until: 2027-01-30", "valid_until: 2027-01-31", "at most 90 days"),
        ("valid_until: 2027-01-30", "valid_until: 2026-10-31", "not before it"),
        ("valid_until: 2027-01-30", "valid_until: never", "a day such as"),
        ("valid_until: 2027-01-30", "valid_until: 2027-01-30T00:00:00", "a day such as"),
        ("declared_on: 2026-11-01", "declared_on: 2026-11-31", "a day such as"),
        ("valid_until: 2027-01-30", "", "exactly the fields"),
        ("kind: KeyDeclaration", "kind: KeyDeclaration\nmore: yes", "exactly the fields"),
        ("kind: KeyDeclaration", "kind: KeyDeclaration\nkind: KeyDeclaration", "twice"),
        ("kind: KeyDeclaration", "kind: Access", "kind: found 'Access'"),
        ("interlock/v1", "interlock/v2", "apiVersion"),
        ("cannot: withdraw", "cannot: [withdraw]", "each a text"),
        ("cannot: withdraw", "cannot: trade", "cannot: found 'trade'"),
        ("Ada Lovelace", '" "', "a person's name"),
        ("Ada Lovelace", "A" * 81, "a person's name"),
        ("Ada Lovelace", '"Ada\\nLovelace"', "a person's name"),
        ("kind: KeyDeclaration", "kind: [", "no YAML"),
        ("kind: KeyDeclaration", "? [a]\n: b", "exactly the fields|no YAML"),
        ("Ada Lovelace", "A" * 5_000, "more than 4096 bytes"),
    ],
)
def test_anything_else_is_refused_with_what_was_found(found: str, instead: str, says: str) -> None:
    with pytest.raises(DeclarationError, match=says):
        parse(TEXT.replace(found, instead))


def test_a_tag_makes_nothing_of_a_text() -> None:
    assert parse(TEXT.replace("Ada", "!!python/object:os.system Ada")).declared_by == "Ada Lovelace"


@pytest.mark.parametrize("text", ["", "x", "[]", "---\na: 1\n---\nb: 2\n", "[" * 1_000, "&a [*a]", "\x00"])
def test_what_is_no_declaration_at_all_is_refused(text: str) -> None:
    with pytest.raises(DeclarationError):
        parse(text)


@pytest.mark.parametrize(
    ("on", "until", "fingerprint", "conclusion"),
    [
        (TODAY, TODAY, "1234e567", Conclusion.PROVED),
        (TODAY - LONGEST, TODAY, "1234e567", Conclusion.PROVED),
        (TODAY + timedelta(days=1), TODAY + timedelta(days=9), "1234e567", Conclusion.PROVED),  # it is tomorrow already
        (TODAY + timedelta(days=2), TODAY + timedelta(days=9), "1234e567", Conclusion.INCONCLUSIVE),
        (TODAY - timedelta(days=2), TODAY - timedelta(days=1), "1234e567", Conclusion.INCONCLUSIVE),
        (TODAY, TODAY, "1234e568", Conclusion.INCONCLUSIVE),
        (TODAY, TODAY, "1234E567", Conclusion.INCONCLUSIVE),
    ],
)
def test_it_counts_for_its_key_within_its_days(on: date, until: date, fingerprint: str, conclusion: Conclusion) -> None:
    probe = weigh(Declaration("1234e567", "Ada Lovelace", on, until), fingerprint, TODAY)
    assert (probe.right, probe.conclusion) == ("withdraw", conclusion)
    assert bool(probe.why) is (conclusion is not Conclusion.PROVED)


def test_without_one_nothing_is_proved_and_the_fingerprint_to_declare_is_told(tmp_path: Path) -> None:
    missing, bad, binary = tmp_path / "missing.yaml", tmp_path / "bad.yaml", tmp_path / "binary.yaml"
    bad.write_text("kind: KeyDeclaration\n")
    binary.write_bytes(b"\xff\xfe")
    for path in (None, missing, bad, binary):
        probe = weigh(read_declaration(path), "1234e567", TODAY)
        assert probe.conclusion is Conclusion.INCONCLUSIVE
        assert "1234e567" in probe.why


def test_the_guides_example_is_one() -> None:
    (example,) = blocks(ROOT / "docs" / "operations.md", "yaml")
    found = parse(example)
    assert found.valid_until - found.declared_on == LONGEST
    assert weigh(found, found.fingerprint, found.declared_on).conclusion is Conclusion.PROVED


def test_a_written_one_is_read_from_its_file(tmp_path: Path) -> None:
    found = read_declaration(declare(tmp_path / "declaration.yaml", "1234e567", TODAY))
    assert found == Declaration("1234e567", "Ada Lovelace", TODAY, TODAY + LONGEST)
