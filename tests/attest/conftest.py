"""An exchange per test, inside its loop."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.attest.exchange import Bench, open_bench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with open_bench(tmp_path) as running:
        yield running
