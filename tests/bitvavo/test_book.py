"""The local book by itself: what makes it right, and everything that makes it not known."""

from collections.abc import Sequence
from decimal import Decimal

import orjson
import pytest

from bitvavo.book import MAX_KEPT_DELTAS, LocalBook, Loss
from bitvavo.frames import BookDelta, read_frame
from bitvavo.market import Book, parse_book

MARKET = "BTC-EUR"

Rows = Sequence[Sequence[str]]


def delta(nonce: int, bids: Rows = (), asks: Rows = ()) -> BookDelta:
    frame = {"event": "book", "market": MARKET, "nonce": nonce, "bids": list(bids), "asks": list(asks)}
    read = read_frame(orjson.dumps(frame))
    assert isinstance(read, BookDelta)
    return read


def snapshot(nonce: int, bids: Rows = (("99", "1"), ("98", "2")), asks: Rows = (("101", "1"), ("102", "2"))) -> Book:
    sides = {"bids": [list(each) for each in bids], "asks": [list(each) for each in asks]}
    return parse_book(orjson.dumps({"market": MARKET, "nonce": nonce, **sides}))


def right_at(nonce: int) -> LocalBook:
    book = LocalBook(MARKET)
    assert book.seed(snapshot(nonce), book.epoch)
    return book


def test_deltas_wait_for_the_snapshot_and_those_it_contains_are_dropped() -> None:
    book = LocalBook(MARKET)
    for nonce, size in ((9, "7"), (10, "8"), (11, "5"), (12, "6")):
        assert not book.apply(delta(nonce, bids=[["99.00", size]]))
    assert book.seed(snapshot(10, bids=[["99", "8"]]), book.epoch)
    assert (book.nonce, book.view(1).bids) == (12, (("99", "6"),))


def test_a_snapshot_older_than_the_first_kept_delta_is_not_used() -> None:
    book = LocalBook(MARKET)
    book.apply(delta(12))
    assert not book.seed(snapshot(10), book.epoch)
    assert book.seed(snapshot(11), book.epoch)


def test_a_hole_between_snapshot_and_deltas_changes_nothing_and_the_next_snapshot_closes_it() -> None:
    book = LocalBook(MARKET)
    book.apply(delta(12, bids=[["99", "7"]]))
    book.apply(delta(13, bids=[["98", "8"]]))
    asked = book.epoch
    assert not book.seed(snapshot(10), asked)
    assert (book.loss, book.epoch, book.nonce) == (Loss.NEW, asked, -1)
    assert book.seed(snapshot(11), asked)
    assert (book.nonce, book.view(2).bids) == (13, (("99", "7"), ("98", "8")))


@pytest.mark.parametrize(
    ("nonce", "why"), [(12, Loss.GAP), (1_000, Loss.GAP), (10, Loss.BACK), (9, Loss.BACK), (1, Loss.BACK)]
)
def test_any_nonce_other_than_the_next_loses_the_book(nonce: int, why: Loss) -> None:
    book = right_at(10)
    assert not book.apply(delta(nonce))
    assert (book.loss, book.view(10).bids) == (why, ())


@pytest.mark.parametrize("bid", ["101", "101.00", "150"])
def test_bids_that_reach_the_asks_lose_the_book(bid: str) -> None:
    book = right_at(10)
    assert not book.apply(delta(11, bids=[[bid, "1"]]))
    assert book.loss is Loss.CROSSED


def test_a_crossed_snapshot_is_not_right() -> None:
    book = LocalBook(MARKET)
    assert not book.seed(snapshot(10, bids=[["101", "1"]]), book.epoch)
    assert book.loss is Loss.CROSSED


def test_a_snapshot_asked_for_before_the_loss_is_not_used() -> None:
    book = LocalBook(MARKET)
    asked = book.epoch
    book.lose(Loss.SOCKET)
    assert not book.seed(snapshot(10), asked)


def test_a_restart_while_waiting_makes_the_snapshot_under_way_useless() -> None:
    book = LocalBook(MARKET)
    book.apply(delta(500))
    asked = book.epoch
    book.apply(delta(1))
    assert not book.seed(snapshot(500), asked)
    assert book.seed(snapshot(1), book.epoch)


def test_padded_and_unpadded_prices_are_one_level() -> None:
    book = right_at(10)
    assert book.apply(delta(11, bids=[["99.000", "5.50"], ["98.0", "0.000"]]))
    assert book.view(10).bids == (("99", "5.50"),)


def test_the_removal_of_an_unknown_level_is_no_error() -> None:
    book = right_at(10)
    assert book.apply(delta(11, bids=[["1.23", "0"]]))
    assert len(book.view(10).bids) == 2


def test_levels_worse_than_the_snapshot_showed_are_not_said_to_be_the_next() -> None:
    deep = [[str(100_000 - n), "1"] for n in range(1000)]
    book = LocalBook(MARKET)
    assert book.seed(snapshot(10, bids=deep, asks=[["100001", "1"]]), book.epoch)
    assert book.apply(delta(11, bids=[["5", "9"], ["100000", "0"]]))
    shown = book.view(1000).bids
    assert len(shown) == 999
    assert shown[-1][0] == "99001"


def test_a_book_of_which_nearly_all_known_levels_are_gone_is_read_anew() -> None:
    deep = [[str(100_000 - n), "1"] for n in range(1000)]
    book = LocalBook(MARKET)
    assert book.seed(snapshot(10, bids=deep, asks=[["100001", "1"]]), book.epoch)
    assert not book.apply(delta(11, bids=[[price, "0"] for price, _ in deep[:950]]))
    assert book.loss is Loss.THIN


def test_kept_deltas_are_bounded() -> None:
    book = LocalBook(MARKET)
    for nonce in range(MAX_KEPT_DELTAS * 2 + 5):
        book.apply(delta(nonce))
    assert len(book._kept) <= MAX_KEPT_DELTAS


@pytest.mark.parametrize(
    ("bids", "same"),
    [
        ([["99", "1"], ["98", "2"]], True),
        ([["99.0", "1.0"], ["98", "2"]], True),
        ([["99", "1"], ["98", "3"]], False),
        ([["99", "1"]], False),
        ([["99", "1"], ["98", "2"], ["97", "1"]], False),
        ([["99", "1"], ["97", "2"]], False),
    ],
)
def test_agreement_with_a_snapshot_is_of_every_level(bids: Rows, *, same: bool) -> None:
    assert right_at(10).agrees_with(snapshot(10, bids=bids)) is same


def test_a_view_and_a_copy_are_not_changed_by_later_deltas() -> None:
    book = right_at(10)
    view, twin = book.view(2), book.copy()
    book.apply(delta(11, bids=[["99", "9"]]))
    assert view.bids[0] == twin.view(1).bids[0] == ("99", "1")
    assert Decimal(book.view(1).bids[0][1]) == 9
