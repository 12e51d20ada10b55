"""Whoever does half of a call, or reads nothing, is shown the door; what he holds stays counted until it is gone."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from kernel.errors import Exhausted
from kernel.rpc.room import Room
from tests.abuse.wire import Wire, framed
from tests.kernel.scratch import QUICK, Generated, Running, Scratch

DO, FOLLOW = "/scratch.v1.ScratchService/Do", "/scratch.v1.ScratchService/Follow"
HEALTH = "/grpc.health.v1.Health/Check"
REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
INVALID_ARGUMENT, DEADLINE_EXCEEDED = 3, 4


async def until(wire: Wire, statuses: dict[int, int]) -> None:
    async with asyncio.timeout(10):
        while wire.statuses != statuses:  # noqa: ASYNC110 - frames have no event
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("method", [DO, FOLLOW, HEALTH, REFLECTION])
async def test_a_call_whose_request_never_comes_is_ended(running: Running, method: str) -> None:
    async with await Wire.open(f"127.0.0.1:{running.port}") as wire:
        await wire.send(wire.headers(1, method), wire.data(1, framed(bytes(100))[:50]))
        await until(wire, {DEADLINE_EXCEEDED: 1})
    assert running.servicer.calls == 0


async def test_a_call_that_ends_without_a_request_is_refused(running: Running) -> None:
    async with await Wire.open(f"127.0.0.1:{running.port}") as wire:
        await wire.send(wire.headers(1, DO), wire.data(1, b"", "END_STREAM"))
        await until(wire, {INVALID_ARGUMENT: 1})


async def test_a_stream_nobody_reads_is_ended_and_says_so_to_whoever_reads_on(
    running: Running, scratch: Scratch
) -> None:
    ended = asyncio.Event()

    async def endless(_request: Generated) -> AsyncIterator[Generated]:
        try:
            while True:
                yield scratch.pb2.Answer(text="x" * 10_000)
        finally:
            ended.set()

    running.servicer.follow = endless
    async with await Wire.open(f"127.0.0.1:{running.port}", INITIAL_WINDOW_SIZE=20_000) as wire:
        await wire.send(*wire.call(1, FOLLOW, scratch.order().SerializeToString()))
        await asyncio.wait_for(ended.wait(), 10)
        assert wire.statuses == {}, "its window is shut for the status too"
        await wire.send(wire.window(1, 1_000_000))
        await until(wire, {DEADLINE_EXCEEDED: 1})


async def test_a_slow_reader_within_his_time_is_served(running: Running, scratch: Scratch) -> None:
    async def endless(_request: Generated) -> AsyncIterator[Generated]:
        while True:
            yield scratch.pb2.Answer(text="x" * 10_000)

    running.servicer.follow = endless
    async with await Wire.open(f"127.0.0.1:{running.port}", INITIAL_WINDOW_SIZE=10_000) as wire:
        await wire.send(*wire.call(1, FOLLOW, scratch.order().SerializeToString()))
        for _ in range(20):
            await asyncio.sleep(QUICK.patience.read_seconds / 5)
            await wire.send(wire.window(1, 10_000))
        assert wire.statuses == {}


async def test_a_stream_without_news_may_be_silent_for_longer_than_a_write_may_last(
    running: Running, scratch: Scratch
) -> None:
    async def rare(_request: Generated) -> AsyncIterator[Generated]:
        for _ in range(2):
            yield scratch.pb2.Answer(text="news")
            await asyncio.sleep(QUICK.patience.read_seconds * 2.5)

    running.servicer.follow = rare
    assert [each.text async for each in running.stub.Follow(scratch.order())] == ["news", "news"]


async def test_a_reader_who_took_much_before_gets_the_same_time_for_what_he_does_not_take(
    running: Running, scratch: Scratch
) -> None:
    waited: list[float] = []

    async def endless(_request: Generated) -> AsyncIterator[Generated]:
        began = 0.0
        try:
            while True:
                began = asyncio.get_running_loop().time()
                yield scratch.pb2.Answer(text="x" * 10_000)
        finally:
            waited.append(asyncio.get_running_loop().time() - began)

    running.servicer.follow = endless
    async with await Wire.open(f"127.0.0.1:{running.port}", INITIAL_WINDOW_SIZE=10_000) as wire:
        await wire.send(*wire.call(1, FOLLOW, scratch.order().SerializeToString()))
        for _ in range(7):
            await asyncio.sleep(QUICK.patience.read_seconds / 5)
            await wire.send(wire.window(1, 10_000))
        async with asyncio.timeout(10):
            while not waited:  # noqa: ASYNC110 - a write that fails has no event
                await asyncio.sleep(0.02)
    assert QUICK.patience.read_seconds - 0.01 <= waited[0] < 5


def test_a_room_admits_as_many_as_it_has_seats() -> None:
    room = Room(4)
    leave = [room.enter(None, stream=False) for _ in range(4)]
    with pytest.raises(Exhausted, match="4 calls are being served"):
        room.enter(None, stream=False)
    leave[0](None)
    room.enter(None, stream=False)


def test_streams_leave_a_quarter_of_the_seats_for_questions() -> None:
    room = Room(8)
    for _ in range(6):
        room.enter(None, stream=True)
    with pytest.raises(Exhausted, match="6 streams are open"):
        room.enter(None, stream=True)
    room.enter(None, stream=False)


def test_one_proved_caller_leaves_a_quarter_of_the_seats_for_others() -> None:
    room = Room(8)
    leave = [room.enter("greedy", stream=False) for _ in range(6)]
    with pytest.raises(Exhausted, match="6 calls of greedy are being served"):
        room.enter("greedy", stream=False)
    room.enter("operator", stream=False)
    leave[0](None)
    room.enter("greedy", stream=False)


def test_a_caller_who_left_is_not_remembered() -> None:
    room = Room(8)
    for number in range(100):
        room.enter(f"caller-{number}", stream=False)(None)
    assert room._of_caller == {}
