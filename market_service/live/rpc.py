"""The streams of `market.v1.MarketService`: each follows one reader and writes what it is told.

A reader that takes nothing holds one message and its slots, whatever happens in the market.
"""

import binascii
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

import grpc.aio

from kernel.errors import FieldViolation, Invalid
from kernel.paging import last_before, token_after
from market_service import answers
from market_service.live.book_states import BookState
from market_service.live.books import LiveBooks
from market_service.live.candles import LiveCandles
from market_service.live.tickers import LiveTickers
from market_service.live.trades import LiveTrades
from market_service.reasons import RESUME_TOKEN_INVALID
from protos.market.v1 import market_pb2 as pb
from protos.market.v1 import market_pb2_grpc

DEFAULT_DEPTH: Final = 50
MAX_WRITTEN: Final = 1024

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class Live:
    """All that the streams ask."""

    books: LiveBooks
    tickers: LiveTickers
    trades: LiveTrades
    candles: LiveCandles


class WatchRpc(market_pb2_grpc.MarketServiceServicer):
    """The streams, as the .proto describes them."""

    def __init__(self, live: Live) -> None:
        """Follow these."""
        self._live = live
        self._books = WrittenStates()

    async def WatchTickers(
        self, request: pb.WatchTickersRequest, context: Context
    ) -> AsyncIterator[pb.WatchTickersResponse]:
        """Send tickers."""
        del context
        async with self._live.tickers.watch(request.markets) as reader:
            while True:
                state = await reader.next()
                yield pb.WatchTickersResponse(
                    tickers=[answers.ticker(each) for each in state.tickers],
                    markets_unknown=state.unknown,
                    skipped=state.skipped,
                    freshness=answers.freshness(state.freshness),
                )

    async def WatchOrderBook(  # type: ignore[override]  # a message that many get is written here, once for all of them
        self, request: pb.WatchOrderBookRequest, context: Context
    ) -> AsyncIterator[bytes]:
        """Send an order book."""
        del context
        depth = request.depth or DEFAULT_DEPTH
        async with self._live.books.watch(request.market, depth) as reader:
            while True:
                written = self._books.written(await reader.next())
                yield written + _skipped(reader.skipped) if reader.skipped else written

    async def WatchTrades(
        self, request: pb.WatchTradesRequest, context: Context
    ) -> AsyncIterator[pb.WatchTradesResponse]:
        """Send trades."""
        del context
        filters = f"trades/{request.market}"
        async with self._live.trades.watch(request.market, _trade_of(request.resume_token, filters)) as reader:
            while True:
                state = await reader.next()
                yield pb.WatchTradesResponse(
                    trades=[answers.trade(each) for each in state.trades],
                    resume_token=token_after(state.last_id, filters) if state.last_id else "",
                    gap=state.gap,
                    freshness=answers.freshness(state.freshness),
                )

    async def WatchCandles(
        self, request: pb.WatchCandlesRequest, context: Context
    ) -> AsyncIterator[pb.WatchCandlesResponse]:
        """Send candles."""
        del context
        async with self._live.candles.watch(request.market, answers.INTERVALS[request.interval]) as reader:
            while True:
                state = await reader.next()
                yield pb.WatchCandlesResponse(
                    candles=[answers.candle(each) for each in state.candles],
                    skipped=state.skipped,
                    freshness=answers.freshness(state.freshness),
                )


class WrittenStates:
    """The bytes of the last state written of each market and depth: many readers of a book are told the same state."""

    def __init__(self) -> None:
        """Begin with none."""
        self._kept: dict[tuple[str, int], tuple[BookState, bytes]] = {}

    def written(self, state: BookState) -> bytes:
        """Return the message of a state, as if nothing had been skipped."""
        key = state.market, state.depth
        kept = self._kept.get(key)
        if kept is None or kept[0] is not state:
            if len(self._kept) >= MAX_WRITTEN:
                self._kept.clear()
            message = answers.book_state(state.market, state.view, state.freshness, state.status)
            kept = self._kept[key] = state, message.SerializeToString()
        return kept[1]


def _skipped(count: int) -> bytes:
    """Return what is put behind a message for a slow reader: parts of a message that follow each other are one."""
    return pb.WatchOrderBookResponse(skipped=count).SerializeToString()


def _trade_of(token: str, filters: str) -> str:
    try:
        return last_before(token, filters)
    except (Invalid, binascii.Error):
        violation = FieldViolation("resume_token", "expected the resume_token of a message about the same market")
        raise Invalid(RESUME_TOKEN_INVALID, "resume_token belongs to another market", (violation,)) from None
