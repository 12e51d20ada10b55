import pytest

from bitvavo.clock import ClockDoubt, ExchangeClock, ExchangeClockUnknownError

SERVER_MS = 1_795_500_000_000


class Monotonic:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def doubt(clock: ExchangeClock) -> ClockDoubt:
    with pytest.raises(ExchangeClockUnknownError) as caught:
        clock.signed_timestamp_ms()
    return caught.value.doubt


def test_a_clock_never_asked_is_unknown() -> None:
    clock = ExchangeClock(Monotonic())
    assert doubt(clock) is ClockDoubt.NEVER_ASKED
    assert clock.age_seconds() is None


@pytest.mark.parametrize(("later_seconds", "expected"), [(0.0, 0), (0.0019, 1), (1.5, 1500), (60.0, 60_000)])
def test_the_timestamp_is_the_answer_plus_the_time_since_it_arrived(later_seconds: float, expected: int) -> None:
    monotonic = Monotonic()
    clock = ExchangeClock(monotonic)
    clock.observe(SERVER_MS, sent_at=99.6, received_at=100.0)  # the way back is never added
    monotonic.now = 100.0 + later_seconds
    assert clock.signed_timestamp_ms() == SERVER_MS + expected


def test_an_answer_older_than_a_minute_is_too_old() -> None:
    monotonic = Monotonic()
    clock = ExchangeClock(monotonic)
    clock.observe(SERVER_MS, sent_at=100.0, received_at=100.0)
    monotonic.now = 160.001
    assert doubt(clock) is ClockDoubt.TOO_OLD


@pytest.mark.parametrize(("round_trip", "known"), [(0.499, True), (0.5, True), (0.501, False)])
def test_a_round_trip_over_half_a_second_is_too_slow(round_trip: float, *, known: bool) -> None:
    clock = ExchangeClock(lambda: round_trip)
    clock.observe(SERVER_MS, sent_at=0.0, received_at=round_trip)
    if known:
        assert clock.signed_timestamp_ms() == SERVER_MS
    else:
        assert doubt(clock) is ClockDoubt.TOO_SLOW


def test_a_slow_answer_neither_replaces_nor_renews_a_quick_one() -> None:
    monotonic = Monotonic()
    clock = ExchangeClock(monotonic)
    clock.observe(SERVER_MS, sent_at=100.0, received_at=100.0)
    clock.observe(SERVER_MS + 999_999, sent_at=150.0, received_at=151.0)
    monotonic.now = 152.0
    assert clock.signed_timestamp_ms() == SERVER_MS + 52_000
    monotonic.now = 161.0
    assert doubt(clock) is ClockDoubt.TOO_OLD


def test_the_last_quick_answer_counts_also_when_the_exchange_set_its_clock_back() -> None:
    monotonic = Monotonic()
    clock = ExchangeClock(monotonic)
    clock.observe(SERVER_MS, sent_at=100.0, received_at=100.0)
    clock.observe(SERVER_MS - 5_000, sent_at=101.0, received_at=101.0)
    monotonic.now = 101.0
    assert clock.signed_timestamp_ms() == SERVER_MS - 5_000


def test_reads_and_cancels_are_signed_also_when_no_order_may_be() -> None:
    monotonic = Monotonic()
    clock = ExchangeClock(monotonic)
    assert clock.read_timestamp_ms(wall_ms=7) == 7
    clock.observe(SERVER_MS, sent_at=100.0, received_at=100.0)
    monotonic.now = 400.0
    assert doubt(clock) is ClockDoubt.TOO_OLD
    assert clock.read_timestamp_ms(wall_ms=7) == SERVER_MS + 300_000
