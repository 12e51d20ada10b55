"""One spelling per number and per id; everything else is refused before it is understood."""

from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.decimals import parse_decimal, plain
from kernel.ids import deterministic_id, new_id, parse_uuid, uuid7

NAMESPACE = UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")


@pytest.mark.parametrize(
    "text", ["0", "0.0", "1", "10", "1.50", "0.000000000001", "999999999999.999999999999", "0.10", "123456789012"]
)
def test_a_plain_number_is_read_and_written_digit_for_digit(text: str) -> None:
    assert plain(parse_decimal(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "\uff11\uff12", "\u0663", "1_0",
        " 5 ", "5 ", " 5", "5\n", "+5", "-5", "-0", "5.", ".5", "1e5", "1E5", "NaN", "nan",
        "sNaN", "Infinity", "inf", "-Infinity", "00", "01", "0x10", "1,5", "1.5.5", "1 000", "½", "²", "1\u200b",
        "1234567890123", "0.1234567890123", "1" * 10_000, "0.", "\0", "1\0", "\uff11.\uff15", "1\uff0e5", "0.\u0663",
    ],
)  # fmt: skip
def test_any_other_text_is_no_number(text: str) -> None:
    with pytest.raises(ValueError, match="not a plain decimal number") as caught:
        parse_decimal(text)
    assert text == "" or len(text) < 4 or text not in str(caught.value)


@given(st.text(max_size=30))
def test_what_is_read_is_written_the_same(text: str) -> None:
    try:
        number = parse_decimal(text)
    except ValueError:
        return
    assert plain(number) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [("1E+3", "1000"), ("1.50", "1.50"), ("1E-12", "0.000000000001"), ("0E-8", "0.00000000"), ("-2.5", "-2.5")],
)
def test_a_decimal_is_written_without_an_exponent(value: str, text: str) -> None:
    assert plain(Decimal(value)) == text


@pytest.mark.parametrize("value", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_what_is_no_number_is_not_written(value: str) -> None:
    with pytest.raises(ValueError, match="not a number"):
        plain(Decimal(value))


def test_uuid7_has_the_layout_of_the_standard() -> None:
    # RFC 9562, appendix A.6: ms 0x017F22E279B0, rand_a 0xCC3, rand_b 0x18C4DC0C0C07398F.
    entropy = (0xCC3 << 68 | 0x18C4DC0C0C07398F).to_bytes(10, "big")
    assert str(uuid7(0x017F22E279B0, entropy)) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


@pytest.mark.parametrize(("now_ms", "size"), [(-1, 10), (2**48, 10), (0, 9), (0, 16)])
def test_uuid7_refuses_what_it_has_no_room_for(now_ms: int, size: int) -> None:
    with pytest.raises(ValueError, match="uuid7"):
        uuid7(now_ms, bytes(size))


def test_new_ids_differ_and_sort_by_the_millisecond() -> None:
    ids = [new_id() for _ in range(1_000)]
    assert len(set(ids)) == 1_000
    assert {each.version for each in ids} == {7}
    assert [each.int >> 80 for each in ids] == sorted(each.int >> 80 for each in ids)


def test_a_deterministic_id_follows_from_its_parts_and_their_borders() -> None:
    one = deterministic_id(NAMESPACE, "alice", "p-1")
    assert one == deterministic_id(NAMESPACE, "alice", "p-1")
    assert one.version == 5
    others = [
        ("alic", "ep-1"),
        ("alice", "p", "-1"),
        ("alicep-1",),
        ("alice5:p-1",),
        ("alice", "p-1", ""),
        ("5:alice3:p-1",),
    ]
    assert len({one, *(deterministic_id(NAMESPACE, *parts) for parts in others)}) == 1 + len(others)


@given(st.lists(st.text(max_size=5), max_size=4), st.lists(st.text(max_size=5), max_size=4))
def test_only_equal_parts_give_equal_ids(left: list[str], right: list[str]) -> None:
    assert (deterministic_id(NAMESPACE, *left) == deterministic_id(NAMESPACE, *right)) == (left == right)


def test_a_canonical_uuid_is_read() -> None:
    assert str(parse_uuid("017f22e2-79b0-7cc3-98c4-dc0c0c07398f")) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "017F22E2-79B0-7CC3-98C4-DC0C0C07398F", "017f22e279b07cc398c4dc0c0c07398f",
        "{017f22e2-79b0-7cc3-98c4-dc0c0c07398f}", "urn:uuid:017f22e2-79b0-7cc3-98c4-dc0c0c07398f",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398f\n", " 017f22e2-79b0-7cc3-98c4-dc0c0c07398f",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398", "017f22e2-79b0-7cc3-98c4-dc0c0c07398g", "x" * 1_000_000,
        "\uff1017f22e2-79b0-7cc3-98c4-dc0c0c07398f",
    ],
)  # fmt: skip
def test_any_other_spelling_of_a_uuid_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="canonical"):
        parse_uuid(text)
