"""Worlds for the tests: one whose reads are prompt, one with every switch at its worst."""

from collections.abc import AsyncIterator

import pytest

from tests.exchange_sim.world import PROMPT, World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """Reads show what was written at once."""
    made = World(PROMPT)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def worst_world() -> AsyncIterator[World]:
    """The defaults: every doubtful behaviour at its worst."""
    made = World({})
    await made.start()
    yield made
    await made.stop()
