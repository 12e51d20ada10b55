"""What is looked at of the metadata that comes with a call, however much of it there is."""

from collections.abc import Iterator, Sequence

import pytest

from kernel.rpc import call

FIELD_BYTES = 32
BYTES_MAX = 16 * 1024


class Unlooked(Sequence[tuple[str, str]]):
    """Fields that nobody may look at."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __len__(self) -> int:
        return self._number

    def __iter__(self) -> Iterator[tuple[str, str]]:
        raise AssertionError("looked at")

    def __getitem__(self, _index: object) -> tuple[str, str]:  # type: ignore[override]
        raise AssertionError("looked at")


def test_metadata_too_large_by_the_number_of_its_fields_is_not_looked_at() -> None:
    call.arrive(Unlooked(BYTES_MAX // FIELD_BYTES + 1), BYTES_MAX)
    assert call.metadata_bytes() > BYTES_MAX


def test_metadata_that_may_be_small_enough_is_looked_at() -> None:
    with pytest.raises(AssertionError, match="looked at"):
        call.arrive(Unlooked(BYTES_MAX // FIELD_BYTES), BYTES_MAX)


def test_metadata_is_measured_as_http_2_does() -> None:
    call.arrive((("name", "value"), ("x-b-bin", b"\x00\x01")), BYTES_MAX)
    assert call.metadata_bytes() == (32 + 4 + 5) + (32 + 7 + 2)
