"""A short campaign of `tests.market_service.book_campaign`: the same faults, more of them, fewer events."""

import pytest

from tests.market_service.book_campaign import SHARES, play


@pytest.mark.timeout(90)
async def test_a_book_equals_the_exchanges_at_every_nonce_or_says_that_it_is_not_good() -> None:
    report = await play(4_000, seed=7, scale=2.0)
    assert report.wrong == []
    assert report.good > report.checks / 4
    assert report.events >= 4_000
    assert set(SHARES) <= set(report.injected)
