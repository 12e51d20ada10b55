"""The exchange that answers when it is let, and a catalogue over it."""

from collections.abc import AsyncIterator

import pytest

from market_service.catalogue import Catalogue
from tests.market_service.live.slow_exchange import Slow


@pytest.fixture
def exchange() -> Slow:
    return Slow()


@pytest.fixture
async def catalogue(exchange: Slow) -> AsyncIterator[Catalogue]:
    made = Catalogue(exchange)
    yield made
    await made.close()
