"""The whole account as the simulated exchange lists it: every page, every market, within the points there are."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest

from bitvavo.budget import Purpose, RateBudget
from bitvavo.client import TradeClient, wall_clock_ms
from bitvavo.clock import ExchangeClock
from bitvavo.endpoints import TRADE_ENDPOINTS
from bitvavo.order import order_body
from bitvavo.reply import Accepted
from bitvavo.signing import Credentials
from bitvavo.transport import open_client
from kernel.errors import Unavailable
from kernel.secret import Secret
from standalone.secret_files import kept_key
from standalone.simulator import Simulator
from trade_service.account import AccountOrder
from trade_service.bitvavo_account import PAGE_ORDERS, BitvavoAccount

OPERATOR_ID = 7
HOUR_MS, DAY_MS, MINUTE_MS = 3_600_000, 86_400_000, 60_000
AT_ONCE = 16


@dataclass(frozen=True)
class Scene:
    """One account at the exchange, and a client of it."""

    simulator: Simulator
    client: TradeClient

    async def place(
        self,
        market: str = "BTC-EUR",
        price: str = "40000",
        *,
        rests: bool = True,
        side: str = "buy",
        amount: str = "0.01",
    ) -> str:
        """Make an order that trades nothing; return its client order id."""
        client_order_id = str(uuid4())
        body = order_body(
            market=market,
            side=side,
            order_type="limit",
            operator_id=OPERATOR_ID,
            client_order_id=client_order_id,
            amount=amount,
            price=price,
            time_in_force="GTC" if rests else "IOC",
        )
        made = await self.client.create_order(
            body,
            timestamp_ms=wall_clock_ms(),
            window_ms=10_000,
            timeout_seconds=10.0,
            client_order_id=client_order_id,
            market=market,
        )
        assert isinstance(made, Accepted)
        return client_order_id

    def account(
        self, now_ms: Callable[[], int] = wall_clock_ms, points: int = 1_000_000, replicas: int = 1
    ) -> BitvavoAccount:
        """Return the edge with a rate budget of its own, ample unless told otherwise."""
        budget = RateBudget(now_ms, points_per_minute=points, replicas=replicas)
        return BitvavoAccount(self.client, budget, ExchangeClock(time.monotonic), OPERATOR_ID)

    def reads(self, path: str) -> int:
        """Count the reads of a list that the exchange received."""
        return sum(each["path"].startswith(f"/v2/{path}?") for each in self.simulator.requests())


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    folder = tmp_path_factory.mktemp("exchange")
    for name in ("ready", "logs"):
        (folder / name).mkdir()
    made = Simulator(folder, 0, ("--still", "--points-per-minute", "1000000000"))
    made.start()
    made.wait_ready()
    made.admin("POST", "switches", orders_read_lag_ms=0)
    yield made
    made.close()


@pytest.fixture
async def scene(simulator: Simulator, tmp_path: Path) -> AsyncIterator[Scene]:
    key = kept_key(tmp_path)
    simulator.open_account(
        account=key.key,
        key=key.key,
        secret=key.secret,
        rights=["view", "trade"],
        balances={"EUR": "1000000", "BTC": "1"},
    )
    async with open_client(f"{simulator.url}/v2", TRADE_ENDPOINTS) as http:
        yield Scene(simulator, TradeClient(http, Credentials(Secret(key.key), Secret(key.secret))))


async def listed(account: BitvavoAccount, market: str = "BTC-EUR", back_ms: int = HOUR_MS) -> list[AccountOrder]:
    now_ms = wall_clock_ms()
    pages = account.orders(market, now_ms - back_ms, now_ms + MINUTE_MS)
    return [order async for page in pages for order in page]


@pytest.mark.parametrize("count", [PAGE_ORDERS - 1, PAGE_ORDERS, 2 * PAGE_ORDERS + 1])
async def test_every_order_is_listed_however_many_pages_that_takes(scene: Scene, count: int) -> None:
    turn = asyncio.Semaphore(AT_ONCE)

    async def place() -> str:
        async with turn:
            return await scene.place(rests=False)

    made = await asyncio.gather(*(place() for _ in range(count)))
    found = {order.client_order_id for order in await listed(scene.account())}
    assert found == set(made)


async def test_open_orders_come_from_every_market(scene: Scene) -> None:
    made = {await scene.place(), await scene.place("ETH-EUR", "1000")}
    found = await scene.account().open_orders()
    assert {order.client_order_id for order in found} == made
    assert {order.shape.market for order in found} == {"BTC-EUR", "ETH-EUR"}


async def test_an_order_that_met_another_of_the_account_is_listed_as_made_smaller(scene: Scene) -> None:
    scene.simulator.admin("POST", "book", market="BTC-EUR", bids=[["30000", "1"]], asks=[["90000", "1"]])
    whole, larger, met = (
        await scene.place(),
        await scene.place(price="41000"),
        await scene.place(price="41000", side="sell", amount="0.004"),
    )
    found = {each.client_order_id: (each.shape.amount, each.made_smaller) for each in await listed(scene.account())}
    assert found == {
        whole: (Decimal("0.01"), False),
        larger: (Decimal("0.006"), True),
        met: (Decimal(0), True),
    }


async def test_a_market_that_is_gone_has_no_orders_and_that_is_asked_in_a_way_nothing_else_can_spoil(
    scene: Scene,
) -> None:
    assert await listed(scene.account(), "GONE-EUR") == []
    with pytest.raises(Unavailable) as refused:
        await listed(scene.account(), back_ms=DAY_MS + HOUR_MS)
    assert refused.value.reason == "EXCHANGE_UNAVAILABLE"


async def test_what_cannot_be_read_is_never_taken_for_an_empty_list(scene: Scene) -> None:
    match = {"method": "GET", "contains": "/v2/orders"}
    scene.simulator.admin("POST", "faults", match=match, fault="html", times=2)
    with pytest.raises(Unavailable):
        await listed(scene.account())
    with pytest.raises(Unavailable):
        await scene.account().open_orders()


async def test_without_points_it_waits_for_the_next_minute(scene: Scene) -> None:
    began = time.monotonic()

    def now_ms() -> int:
        return 10 * MINUTE_MS - 300 + int((time.monotonic() - began) * 1000)

    account = scene.account(now_ms, points=1_000)
    assert account._budget.take(Purpose.CLAIM, 600) is not None
    assert await listed(account) == []
    assert time.monotonic() - began >= 0.3


async def test_it_leaves_the_points_of_cancels_and_look_ups_alone(scene: Scene) -> None:
    account = scene.account(points=1_000)
    for _ in range(5):
        await account.open_orders()
    assert account._budget.take(Purpose.RECONCILE, 250) is not None


async def test_with_too_many_replicas_the_whole_account_is_not_asked_for(scene: Scene) -> None:
    await scene.place()
    asked = scene.reads("ordersOpen")
    assert await scene.account(points=1_000, replicas=7).open_orders() == ()
    assert scene.reads("ordersOpen") == asked
    assert len(await scene.account(points=1_000, replicas=6).open_orders()) == 1
