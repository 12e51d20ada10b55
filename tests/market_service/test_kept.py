"""Answering from memory, from the request under way, or from a new one."""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar, copy_context

import pytest

from kernel.errors import Exhausted, Failure, NotNow, Unavailable
from market_service.kept import Kept, Kind
from market_service.model import Quality
from tests.market_service.fake_exchange import Ticking

KIND = Kind("test", fresh_seconds=1.0, pause_seconds=0.5, max_keys=3)
DOWN = Unavailable("EXCHANGE_UNAVAILABLE", "down")
POOR = Exhausted("RATE_BUDGET", "no points", retry_after_seconds=1.0)


class Asked:
    """A source that counts; each request takes `takes_seconds` of the clock given."""

    def __init__(self, clock: Ticking) -> None:
        self.clock = clock
        self.count = 0
        self.takes_seconds = 0.0
        self.failure: Failure | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, key: str) -> str:
        self.count += 1
        number = self.count
        await self.gate.wait()
        self.clock.now += self.takes_seconds
        if self.failure:
            raise self.failure
        return f"{key}{number}"


class Purses(Asked):
    """A source that answers those who can pay, as `market_service.exchange` does."""

    def __init__(self, clock: Ticking) -> None:
        super().__init__(clock)
        self._paying = ContextVar("paying", default=True)
        self.poor = copy_context()
        self.poor.run(self._paying.set, False)  # noqa: FBT003 - a variable's value

    async def __call__(self, key: str) -> str:
        answer = await super().__call__(key)
        if not self._paying.get():
            raise POOR
        return answer


@pytest.fixture
def clock() -> Ticking:
    return Ticking()


@pytest.fixture
async def asked(clock: Ticking) -> Asked:
    return Asked(clock)


@pytest.fixture
def kept(asked: Asked, clock: Ticking) -> Kept[str, str]:
    return Kept(KIND, asked, clock)


async def test_a_hundred_callers_at_once_make_one_request(kept: Kept[str, str], asked: Asked) -> None:
    answers = await asyncio.gather(*(kept.read("a") for _ in range(100)))
    assert {answer.value for answer in answers} == {"a1"}
    assert asked.count == 1


@pytest.mark.parametrize(("later", "count"), [(0.999, 1), (1.0, 1), (1.001, 2)])
async def test_an_answer_is_repeated_until_it_is_no_longer_fresh(
    kept: Kept[str, str], asked: Asked, clock: Ticking, later: float, count: int
) -> None:
    await kept.read("a")
    clock.now += later
    assert (await kept.read("a")).freshness.quality is Quality.GOOD
    assert asked.count == count


async def test_the_age_runs_from_when_the_request_left(kept: Kept[str, str], asked: Asked, clock: Ticking) -> None:
    asked.takes_seconds = 0.25
    assert (await kept.read("a")).freshness.age_seconds == 0.25
    clock.now += 0.5
    assert (await kept.read("a")).freshness.age_seconds == 0.75


async def test_a_younger_answer_than_kept_is_asked_for_again(
    kept: Kept[str, str], asked: Asked, clock: Ticking
) -> None:
    await kept.read("a")
    clock.now += 0.6
    assert (await kept.read("a", 0.5)).value == "a2"


async def test_nobody_can_make_us_ask_more_often_than_the_pause(
    kept: Kept[str, str], asked: Asked, clock: Ticking
) -> None:
    await kept.read("a")
    clock.now += 0.4
    with pytest.raises(NotNow) as refused:
        await kept.read("a", 0.1)
    assert refused.value.reason == "TOO_OLD"
    assert refused.value.metadata == {"age_ms": "400", "max_age_ms": "100"}
    assert asked.count == 1


async def test_failures_are_not_asked_again_before_the_pause_either(
    kept: Kept[str, str], asked: Asked, clock: Ticking
) -> None:
    asked.failure = DOWN
    for _ in range(10):
        with pytest.raises(Unavailable):
            await kept.read("a")
    assert asked.count == 1
    asked.failure = None
    clock.now += 0.5
    assert (await kept.read("a")).value == "a2"


async def test_who_has_points_left_is_not_held_up_by_who_has_none(kept: Kept[str, str], asked: Asked) -> None:
    asked.failure = POOR
    with pytest.raises(Exhausted):
        await kept.read("a")
    asked.failure = None
    assert (await kept.read("a")).value == "a2"


async def test_who_has_points_left_and_joined_a_request_of_who_has_none_makes_his_own(clock: Ticking) -> None:
    asked = Purses(clock)
    kept = Kept(KIND, asked, clock)
    asked.gate.clear()
    poor = asyncio.create_task(kept.read("a"), context=asked.poor)
    await until(lambda: asked.count == 1)
    rich = asyncio.create_task(kept.read("a"))
    await asyncio.sleep(0)
    asked.gate.set()
    assert (await rich).value == "a2"
    with pytest.raises(Exhausted):
        await poor


async def test_one_call_asks_once_even_when_the_failure_took_longer_than_the_pause(
    kept: Kept[str, str], asked: Asked
) -> None:
    asked.failure, asked.takes_seconds = DOWN, 2.0
    with pytest.raises(Unavailable):
        await kept.read("a")
    assert asked.count == 1


@pytest.mark.parametrize(("max_age", "served"), [(5.0, "stale"), (None, ""), (1.9, "")])
async def test_when_the_exchange_is_down_an_old_answer_is_served_as_stale_to_who_admits_it(
    kept: Kept[str, str], asked: Asked, clock: Ticking, max_age: float | None, served: str
) -> None:
    await kept.read("a")
    clock.now += 2.0
    asked.failure = DOWN
    if not served:
        with pytest.raises(Unavailable):
            await kept.read("a", max_age)
        return
    answer = await kept.read("a", max_age)
    assert (answer.value, answer.freshness.quality, answer.freshness.age_seconds) == ("a1", Quality.STALE, 2.0)
    assert asked.count == 2


async def test_an_answer_that_took_longer_than_allowed_is_too_old(kept: Kept[str, str], asked: Asked) -> None:
    asked.takes_seconds = 1.5
    with pytest.raises(NotNow) as refused:
        await kept.read("a")
    assert refused.value.metadata["age_ms"] == "1500"
    assert asked.count == 2


async def test_a_caller_that_joins_an_old_request_gets_one_of_its_own(
    kept: Kept[str, str], asked: Asked, clock: Ticking
) -> None:
    asked.gate.clear()
    first = asyncio.create_task(kept.read("a", 60.0))
    await until(lambda: asked.count == 1)
    clock.now += 3.0
    second = asyncio.create_task(kept.read("a"))
    await asyncio.sleep(0)
    asked.gate.set()
    assert (await first).value == "a1"
    assert (await second).value == "a2"


async def test_a_caller_that_gives_up_does_not_end_what_others_wait_for(kept: Kept[str, str], asked: Asked) -> None:
    asked.gate.clear()
    impatient, patient = asyncio.create_task(kept.read("a")), asyncio.create_task(kept.read("a"))
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.sleep(0)
    asked.gate.set()
    assert (await patient).value == "a1"
    assert asked.count == 1


async def test_only_the_keys_used_last_are_kept(kept: Kept[str, str], asked: Asked) -> None:
    for key in ("a", "b", "c", "a", "d"):
        await kept.read(key)
    await kept.read("a")
    assert asked.count == 4
    await kept.read("b")
    assert asked.count == 5


async def test_closing_ends_the_requests_under_way(kept: Kept[str, str], asked: Asked) -> None:
    asked.gate.clear()
    waiting = asyncio.create_task(kept.read("a"))
    await until(lambda: asked.count == 1)
    await kept.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(10):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came")
