import pytest

from bitvavo.budget import MAX_BAN_MS, Purpose, RateBudget
from bitvavo.rate import RateReport, rate_report

MINUTE_MS = 60_000
NOON_MS = 1_795_500_000_000 // MINUTE_MS * MINUTE_MS


class Clock:
    """Unix ms that stand still until told."""

    def __init__(self, now: int = NOON_MS + 10_000) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


def report(
    *,
    signed: bool = True,
    limit: int | None = 1000,
    remaining: int | None = None,
    reset_at_ms: int | None = NOON_MS + MINUTE_MS,
    banned: bool = False,
    ban_until_ms: int | None = None,
) -> RateReport:
    return RateReport(signed, limit, remaining, reset_at_ms, banned, ban_until_ms)


def taken(budget: RateBudget, purpose: Purpose) -> int:
    """Take single points until there are none."""
    count = 0
    while budget.take(purpose, 1):
        count += 1
    return count


@pytest.mark.parametrize(
    ("points", "replicas", "claims", "reconciling", "others"),
    [
        (1000, 1, 600, 250, 150),
        (1000, 2, 300, 125, 75),
        (1000, 3, 200, 83, 50),
        (5000, 1, 3000, 1250, 750),
        (1, 1, 0, 0, 0),
    ],
)
def test_each_purpose_gets_exactly_its_share(
    points: int, replicas: int, claims: int, reconciling: int, others: int
) -> None:
    budget = RateBudget(Clock(), points_per_minute=points, replicas=replicas)
    assert taken(budget, Purpose.CLAIM) == claims
    assert taken(budget, Purpose.OTHER) == others
    assert taken(budget, Purpose.RECONCILE) == reconciling


@pytest.mark.parametrize(("weight", "granted"), [(599, True), (600, True), (601, False)])
def test_a_share_admits_its_last_point_and_not_one_more(weight: int, *, granted: bool) -> None:
    assert (RateBudget(Clock()).take(Purpose.CLAIM, weight) is not None) is granted


@pytest.mark.parametrize("weight", [0, -1])
def test_no_request_is_free(weight: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        RateBudget(Clock()).take(Purpose.CLAIM, weight)


def test_a_permit_given_back_can_be_taken_again_once() -> None:
    budget = RateBudget(Clock())
    permit = budget.take(Purpose.CLAIM, 600)
    assert permit is not None
    assert budget.take(Purpose.CLAIM, 1) is None
    permit.give_back()
    permit.give_back()
    assert taken(budget, Purpose.CLAIM) == 600


def test_a_permit_of_the_last_minute_gives_nothing_back() -> None:
    clock = Clock()
    budget = RateBudget(clock)
    permit = budget.take(Purpose.CLAIM, 100)
    assert permit is not None
    clock.now = NOON_MS + MINUTE_MS
    permit.give_back()
    assert taken(budget, Purpose.CLAIM) == 600


@pytest.mark.parametrize(("now", "renewed"), [(NOON_MS + MINUTE_MS - 1, False), (NOON_MS + MINUTE_MS, True)])
def test_points_renew_at_the_whole_minute(now: int, *, renewed: bool) -> None:
    clock = Clock()
    budget = RateBudget(clock)
    taken(budget, Purpose.CLAIM)
    clock.now = now
    assert (budget.take(Purpose.CLAIM, 1) is not None) is renewed


def test_the_wait_is_the_rest_of_the_minute() -> None:
    clock = Clock(NOON_MS + 15_500)
    budget = RateBudget(clock)
    assert budget.retry_after_seconds(Purpose.CLAIM) == 0.0
    taken(budget, Purpose.CLAIM)
    assert budget.retry_after_seconds(Purpose.CLAIM) == 44.5
    assert budget.retry_after_seconds(Purpose.RECONCILE) == 0.0


def test_what_others_spend_is_taken_from_claims_and_never_from_reconciling() -> None:
    budget = RateBudget(Clock())
    budget.observe(report(remaining=300))
    assert taken(budget, Purpose.CLAIM) == 50  # 250 stay for cancels and look-ups
    assert taken(budget, Purpose.OTHER) == 0
    assert taken(budget, Purpose.RECONCILE) == 250


def test_nobody_spends_what_the_account_has_not() -> None:
    budget = RateBudget(Clock())
    budget.observe(report(remaining=3))
    assert taken(budget, Purpose.CLAIM) == 0
    assert taken(budget, Purpose.RECONCILE) == 3


def test_a_permit_given_back_makes_no_points_the_exchange_does_not_have() -> None:
    budget = RateBudget(Clock())
    permit = budget.take(Purpose.RECONCILE, 100)
    assert permit is not None
    budget.observe(report(remaining=20))
    permit.give_back()
    assert taken(budget, Purpose.RECONCILE) == 20


def test_an_answer_never_raises_what_is_left() -> None:
    budget = RateBudget(Clock())
    taken(budget, Purpose.CLAIM)
    budget.observe(report(remaining=1000))  # our requests are still under way
    assert taken(budget, Purpose.CLAIM) == 0


def test_a_late_answer_of_the_minute_before_does_not_lower_this_one() -> None:
    clock = Clock(NOON_MS + MINUTE_MS + 20)
    budget = RateBudget(clock)
    assert budget.take(Purpose.CLAIM, 1)
    budget.observe(report(remaining=0, reset_at_ms=NOON_MS + MINUTE_MS))
    clock.now += 21  # the shift it caused is as short as its delay
    assert taken(budget, Purpose.CLAIM) == 600


def test_a_clock_ahead_follows_the_exchanges_minute() -> None:
    clock = Clock(NOON_MS + MINUTE_MS + 5_000)  # the exchange is still 5 s or more before the minute
    budget = RateBudget(clock)
    taken(budget, Purpose.CLAIM)
    budget.observe(report(remaining=400, reset_at_ms=NOON_MS + MINUTE_MS))
    assert taken(budget, Purpose.CLAIM) == 0
    assert taken(budget, Purpose.RECONCILE) == 250
    clock.now += 1
    assert taken(budget, Purpose.CLAIM) == 600


def test_a_clock_behind_follows_the_exchanges_minute() -> None:
    clock = Clock(NOON_MS + 55_000)
    budget = RateBudget(clock)
    taken(budget, Purpose.CLAIM)
    budget.observe(report(remaining=999, reset_at_ms=NOON_MS + 2 * MINUTE_MS))
    assert taken(budget, Purpose.CLAIM) == 600


@pytest.mark.parametrize("reset_at_ms", [0, 1, NOON_MS + MINUTE_MS + 1, NOON_MS + 10**10, None])
def test_an_impossible_reset_time_changes_nothing(reset_at_ms: int | None) -> None:
    budget = RateBudget(Clock())
    taken(budget, Purpose.CLAIM)
    budget.observe(report(remaining=0, reset_at_ms=reset_at_ms))
    assert taken(budget, Purpose.CLAIM) == 0
    assert taken(budget, Purpose.RECONCILE) == 250


def test_a_higher_limit_in_the_headers_counts_at_once() -> None:
    budget = RateBudget(Clock())
    taken(budget, Purpose.CLAIM)
    budget.observe(report(limit=5000, remaining=4400))
    assert taken(budget, Purpose.CLAIM) == 2400


def test_a_lower_limit_in_the_headers_counts_at_once() -> None:
    budget = RateBudget(Clock())
    budget.observe(report(limit=100, remaining=100))
    assert taken(budget, Purpose.CLAIM) == 60
    assert taken(budget, Purpose.RECONCILE) == 25


def test_a_ban_stops_everybody_and_cancels_go_on_at_its_end() -> None:
    clock = Clock()
    budget = RateBudget(clock)
    budget.ban(NOON_MS + 2 * MINUTE_MS)
    assert budget.take(Purpose.CLAIM, 1) is None
    assert budget.take(Purpose.RECONCILE, 1) is None
    assert budget.retry_after_seconds(Purpose.RECONCILE) == 110.0
    clock.now = NOON_MS + 2 * MINUTE_MS - 1
    assert budget.take(Purpose.RECONCILE, 1) is None
    clock.now += 1
    assert taken(budget, Purpose.CLAIM) == 600
    assert taken(budget, Purpose.RECONCILE) == 250  # claims that waited too have not eaten it


def test_a_ban_is_neither_shortened_nor_endless() -> None:
    clock = Clock()
    budget = RateBudget(clock)
    budget.ban(clock.now + 30_000)
    budget.ban(clock.now + 10)
    assert budget.retry_after_seconds(Purpose.CLAIM) == 30.0
    budget.ban(10**15)
    assert budget.retry_after_seconds(Purpose.CLAIM) == MAX_BAN_MS / 1000


def test_an_observed_ban_stops_the_budget_it_is_about_only() -> None:
    account, address = RateBudget(Clock()), RateBudget(Clock(), signed=False)
    for budget in (account, address):
        budget.observe(report(signed=True, banned=True, ban_until_ms=NOON_MS + 2 * MINUTE_MS))
    assert account.take(Purpose.OTHER, 1) is None
    assert taken(address, Purpose.OTHER) == 600
    address.observe(report(signed=False, banned=True))
    assert address.retry_after_seconds(Purpose.OTHER) == 120.0  # no end told: two minutes


def test_readers_leave_a_part_of_the_addresss_points_to_trades() -> None:
    address = RateBudget(Clock(), signed=False)
    assert taken(address, Purpose.OTHER) == 600
    assert taken(address, Purpose.CLAIM) == 400
    address = RateBudget(Clock(), signed=False)
    assert taken(address, Purpose.CLAIM) == 1000
    assert taken(address, Purpose.OTHER) == 0


HEADERS = {
    "bitvavo-ratelimit-limit": "1000",
    "bitvavo-ratelimit-remaining": "995",
    "bitvavo-ratelimit-resetat": str(NOON_MS),
}


def test_the_headers_of_an_answer_are_read() -> None:
    assert rate_report(200, HEADERS, b"{}", signed=True) == RateReport(
        signed=True, limit=1000, remaining=995, reset_at_ms=NOON_MS, banned=False, ban_until_ms=None
    )


@pytest.mark.parametrize("value", ["", "-1", "1e3", "many", "\u0661", "9" * 40, "1.5"])
def test_an_unreadable_header_is_not_said(value: str) -> None:
    told = rate_report(200, dict.fromkeys(HEADERS, value), b"{}", signed=False)
    assert (told.limit, told.remaining, told.reset_at_ms) == (None, None, None)


@pytest.mark.parametrize(
    ("status", "body", "until"),
    [
        (429, b'{"errorCode":105,"error":"Your IP is banned. The ban expires at 1795500123456."}', 1795500123456),
        (429, b'{"errorCode":105,"error":"Slow down."}', NOON_MS + MINUTE_MS),  # the rest of this minute and the next
        (200, b'{"error":"expires at 1795500123456."}', None),
    ],
)
def test_the_end_of_a_ban_is_read_from_the_text_or_reckoned(status: int, body: bytes, until: int | None) -> None:
    told = rate_report(status, HEADERS, body, signed=True)
    assert (told.banned, told.ban_until_ms) == (status == 429, until)
