"""Weight points, the two kinds of bucket, bans and their text."""

import re

from exchange_sim.rate_limits import RateLimits
from tests.exchange_sim.hand_clock import NOON_MS
from tests.exchange_sim.world import OTHER_KEY, World

MINUTE_MS = 60_000


async def test_each_answer_tells_what_is_left_and_drops_by_the_weight(world: World) -> None:
    left = 1_000
    for target, weight in (
        ("/time", 1),
        ("/BTC-EUR/trades", 5),
        ("/ticker/24h?market=BTC-EUR", 1),
        ("/ticker/24h", 25),
        ("/NOPE-EUR/book", 1),
    ):
        headers = (await world.public(target)).headers
        left -= weight
        assert headers["bitvavo-ratelimit-remaining"] == str(left), target
        assert headers["bitvavo-ratelimit-limit"] == "1000"
        assert headers["bitvavo-ratelimit-resetat"] == str(NOON_MS + MINUTE_MS)


async def test_signed_requests_have_the_accounts_bucket_over_all_its_keys(world: World) -> None:
    await world.account(OTHER_KEY, ["view"], {}, "alice")
    left = []
    for target, key in (("/balance", None), ("/balance", OTHER_KEY), ("/ordersOpen", None), ("/time", None)):
        reply = await (world.call("GET", target, key=key) if key else world.call("GET", target))
        left.append(int(reply.headers["bitvavo-ratelimit-remaining"]))
    assert left == [995, 990, 890, 889]
    assert (await world.public("/time")).headers["bitvavo-ratelimit-remaining"] == "999"


async def test_a_bucket_per_key_is_a_switch(world: World) -> None:
    await world.account(OTHER_KEY, ["view"], {}, "alice")
    await world.admin("POST", "switches", {"signed_bucket": "key"})
    for reply in (await world.call("GET", "/balance"), await world.call("GET", "/balance", key=OTHER_KEY)):
        assert reply.headers["bitvavo-ratelimit-remaining"] == "995"


async def test_an_account_over_the_limit_is_banned_for_this_minute_and_the_next(world: World) -> None:
    await world.admin("POST", "limits", {"points_per_minute": 10})
    world.clock.advance(15_000)
    assert [(await world.call("GET", "/balance")).status for _ in range(3)] == [200, 200, 429]
    banned = await world.order()
    until_ms = NOON_MS + 2 * MINUTE_MS
    assert (banned.status, banned.code) == (429, 105)
    assert banned.json["error"].split(" at ")[1].split(".")[0] == str(until_ms)
    assert banned.headers["bitvavo-ratelimit-remaining"] == "0"
    assert not re.search("retry-after", " ".join(banned.headers), re.IGNORECASE)
    assert (await world.public("/time")).status == 200
    world.clock.advance(until_ms - 1 - NOON_MS - 15_000)
    assert (await world.call("GET", "/balance")).status == 429
    world.clock.advance(1)
    assert (await world.call("GET", "/balance")).status == 200
    assert world.exchange.ledger.orders == []


async def test_an_address_over_the_limit_is_banned_for_a_quarter_of_an_hour(world: World) -> None:
    await world.admin("POST", "limits", {"points_per_minute": 1})
    assert [(await world.public("/time")).status for _ in range(2)] == [200, 429]
    world.clock.advance(15 * MINUTE_MS - 1)
    assert (await world.public("/time")).code == 105
    world.clock.advance(1)
    assert (await world.public("/time")).status == 200


async def test_exactly_the_limit_is_admitted_and_the_next_minute_starts_anew() -> None:
    limits = RateLimits(100)
    bucket = limits.bucket("a", is_signed=True)
    limits.charge(bucket, 100, NOON_MS)
    assert limits.headers(bucket, NOON_MS)["bitvavo-ratelimit-remaining"] == "0"
    limits.charge(bucket, 100, NOON_MS + MINUTE_MS)
    assert limits.headers(bucket, NOON_MS + 2 * MINUTE_MS)["bitvavo-ratelimit-remaining"] == "100"


async def test_wrong_signatures_are_charged_to_the_address(world: World) -> None:
    refused = await world.call("GET", "/balance", key="z" * 64)
    assert (refused.code, refused.headers["bitvavo-ratelimit-remaining"]) == (305, "999")
    assert (await world.call("GET", "/time")).headers["bitvavo-ratelimit-remaining"] == "999"
