"""Who asks too much leaves enough for trades: a reader's points at the exchange end before trade_service's do."""

from collections.abc import Iterator

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from tests.access.clients import Callers
from tests.access.test_matrix import method_of
from tests.contract.conftest import POINTS_PER_MINUTE

POINTS = 2_000
"""What the exchange gives this address a minute, as long as these tests run."""
WINDOWS_MAX = 2 * POINTS
"""More questions than a reader has points for, even if a minute ends meanwhile."""
MARKET = "BTC-EUR"


@pytest.fixture
def scarce(callers: Callers) -> Iterator[None]:
    admin = callers.system.simulator.admin
    admin("POST", "limits", points_per_minute=POINTS)
    yield
    admin("POST", "limits", points_per_minute=POINTS_PER_MINUTE)


@pytest.mark.usefixtures("scarce")
def test_a_reader_who_has_spent_all_he_may_leaves_trade_service_its_quotes(callers: Callers) -> None:
    """He asks for the very book too: his refusal must not stand in the way of who has points."""
    trades, book = method_of("ListTrades"), method_of("GetOrderBook")
    for second in range(WINDOWS_MAX):
        window = trades.request(market=MARKET, start_time=Timestamp(seconds=second))
        refused = callers.call("reader", trades, window)
        if refused is not None:
            break
    assert refused is not None
    assert (refused.reason, refused.metadata) == ("RATE_BUDGET", {"budget": "public"})
    callers.call("reader", book, book.request(market=MARKET))
    assert callers.call("trade_service", book, book.request(market=MARKET)) is None
