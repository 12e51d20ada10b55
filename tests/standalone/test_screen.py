"""What is shown fits its columns, loses no character, and claims nothing that does not hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standalone.screen import WIDTH, Column, table, wrapped
from standalone.stage import ClaimFailedError, require


@given(text=st.text(alphabet="ab ", max_size=60), width=st.integers(1, 20))
def test_wrapping_keeps_every_word_within_the_width(text: str, width: int) -> None:
    lines = wrapped(text, width)
    assert all(len(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_a_wide_cell_goes_on_below_its_column(capsys: pytest.CaptureFixture[str]) -> None:
    table((Column("rule", 6), Column("seen", 5)), [("short", "one two"), ("x", "y")])
    assert capsys.readouterr().out == "  rule    seen\n  short   one\n          two\n  x       y\n"


def test_a_claim_is_shown_only_when_it_holds(capsys: pytest.CaptureFixture[str]) -> None:
    require([1], "there is something " * 10)
    shown = capsys.readouterr().out
    assert shown.startswith("  ✓ there")
    assert all(len(line) <= WIDTH for line in shown.splitlines())
    with pytest.raises(ClaimFailedError, match="nothing is something"):
        require([], "nothing is something")
    assert capsys.readouterr().out == ""
