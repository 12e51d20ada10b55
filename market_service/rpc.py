"""The methods of `market.v1.MarketService`: each reads its request, asks one use case, and writes the answer.

`kernel.rpc` has validated the request and turns failures into statuses.
"""

from collections import OrderedDict
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import grpc.aio
from google.protobuf.timestamp_pb2 import Timestamp

from bitvavo.wire import Book, MarketRules
from kernel.paging import last_before, token_after
from kernel.rpc.rights import READ
from market_service import answers
from market_service.account import Account
from market_service.books import DEFAULT_DEPTH, Books
from market_service.candles import DEFAULT_LIMIT as DEFAULT_CANDLES
from market_service.candles import Candles, Series
from market_service.catalogue import Catalogue
from market_service.live.rpc import Live, WatchRpc
from market_service.model import CandleState, Window
from market_service.tickers import Tickers
from market_service.trades import DEFAULT_LIMIT as DEFAULT_TRADES
from market_service.trades import Trades
from protos.market.v1 import market_pb2 as pb

DOMAIN: Final = "market.interlock"
SERVICE: Final = "market.v1.MarketService"
RIGHTS: Final = MappingProxyType(
    {f"/{SERVICE}/{method.name}": READ for method in pb.DESCRIPTOR.services_by_name["MarketService"].methods}
)
"""Every method reads; one that does not belongs to another service."""
USERLESS: Final = frozenset(RIGHTS)
"""Markets belong to nobody, balances and fees to the deployment's one account."""

DEFAULT_PAGE_SIZE: Final = 100
MAX_WRITTEN_BOOKS: Final = 1024

Context = grpc.aio.ServicerContext[Any, Any]

_Aged = (
    pb.ListMarketsRequest
    | pb.GetMarketRequest
    | pb.GetTickerRequest
    | pb.ListTickersRequest
    | pb.GetTicker24hRequest
    | pb.GetOrderBookRequest
    | pb.ListTradesRequest
    | pb.ListCandlesRequest
    | pb.GetBalancesRequest
    | pb.GetFeesRequest
)


@dataclass(frozen=True, slots=True)
class UseCases:
    """All that the methods ask."""

    catalogue: Catalogue
    tickers: Tickers
    books: Books
    trades: Trades
    candles: Candles
    account: Account


class MarketRpc(WatchRpc):
    """The methods that answer once, as the .proto describes them; the streams are those of `WatchRpc`."""

    def __init__(self, use_cases: UseCases, live: Live) -> None:
        """Ask these use cases; the streams follow `live`."""
        super().__init__(live)
        self._ask = use_cases
        self._written = WrittenBooks()

    async def ListMarkets(self, request: pb.ListMarketsRequest, context: Context) -> pb.ListMarketsResponse:
        """List markets page by page."""
        del context
        filters = f"{request.quote}/{request.status}"
        after = last_before(request.page_token, filters)
        listing = await self._ask.catalogue.listing(_max_age(request))
        size = request.page_size or DEFAULT_PAGE_SIZE
        rows = [row for row in listing.value.by_name.values() if row.market > after and _wanted(row, request)]
        return pb.ListMarketsResponse(
            markets=[answers.market(row) for row in rows[:size]],
            next_page_token=token_after(rows[size - 1].market, filters) if len(rows) > size else "",
            freshness=answers.freshness(listing.freshness),
        )

    async def GetMarket(self, request: pb.GetMarketRequest, context: Context) -> pb.GetMarketResponse:
        """Answer one market."""
        del context
        max_age = _max_age(request)
        answer = await self._ask.catalogue.market(request.market, max_age)
        return pb.GetMarketResponse(market=answers.market(answer.value), freshness=answers.freshness(answer.freshness))

    async def GetTicker(self, request: pb.GetTickerRequest, context: Context) -> pb.GetTickerResponse:
        """Answer one ticker."""
        del context
        max_age = _max_age(request)
        answer = await self._ask.tickers.one(request.market, max_age)
        return pb.GetTickerResponse(ticker=answers.ticker(answer.value), freshness=answers.freshness(answer.freshness))

    async def ListTickers(self, request: pb.ListTickersRequest, context: Context) -> pb.ListTickersResponse:
        """Answer many tickers."""
        del context
        max_age = _max_age(request)
        answer = await self._ask.tickers.many(request.markets, max_age)
        return pb.ListTickersResponse(
            tickers=[answers.ticker(row) for row in answer.value], freshness=answers.freshness(answer.freshness)
        )

    async def GetTicker24h(self, request: pb.GetTicker24hRequest, context: Context) -> pb.GetTicker24hResponse:
        """Answer a market's last 24 hours."""
        del context
        max_age = _max_age(request)
        answer = await self._ask.tickers.last_24h(request.market, max_age)
        return pb.GetTicker24hResponse(
            ticker=answers.ticker_24h(answer.value), freshness=answers.freshness(answer.freshness)
        )

    async def GetOrderBook(self, request: pb.GetOrderBookRequest, context: Context) -> pb.GetOrderBookResponse:
        """Answer an order book."""
        del context
        depth = request.depth or DEFAULT_DEPTH
        max_age = _max_age(request)
        answer = await self._ask.books.book(request.market, depth, max_age)
        response = self._written.message(answer.value, depth)
        response.freshness.CopyFrom(answers.freshness(answer.freshness))
        return response

    async def ListTrades(self, request: pb.ListTradesRequest, context: Context) -> pb.ListTradesResponse:
        """List public trades."""
        del context
        answer = await self._ask.trades.newest(
            request.market,
            request.limit or DEFAULT_TRADES,
            _window(request),
            _max_age(request),
        )
        return pb.ListTradesResponse(
            trades=[answers.trade(row) for row in answer.value.trades],
            more=answer.value.more,
            freshness=answers.freshness(answer.freshness),
        )

    async def ListCandles(self, request: pb.ListCandlesRequest, context: Context) -> pb.ListCandlesResponse:
        """List candles."""
        del context
        answer = await self._ask.candles.newest(
            Series(request.market, answers.INTERVALS[request.interval], _window(request)),
            request.limit or DEFAULT_CANDLES,
            _max_age(request),
        )
        return pb.ListCandlesResponse(
            candles=[answers.candle(each) for each in answer.value],
            gaps=sum(each.state is CandleState.GAP for each in answer.value),
            freshness=answers.freshness(answer.freshness),
        )

    async def GetBalances(self, request: pb.GetBalancesRequest, context: Context) -> pb.GetBalancesResponse:
        """Answer the account's balances."""
        del context
        max_age = _max_age(request)
        answer = await self._ask.account.balances(request.symbols, max_age)
        return pb.GetBalancesResponse(
            balances=[answers.balance(row) for row in answer.value], freshness=answers.freshness(answer.freshness)
        )

    async def GetFees(self, request: pb.GetFeesRequest, context: Context) -> pb.GetFeesResponse:
        """Answer what the account pays."""
        del context
        max_age = _max_age(request)
        return answers.fees(await self._ask.account.fees(request.market or None, max_age))


class WrittenBooks:
    """Books already written as messages: the same book asked for again costs no writing.

    The message is shared; only its freshness is overwritten, and the answer is serialised before anyone else runs.
    """

    def __init__(self) -> None:
        """Begin with none; the books asked for last are kept."""
        self._kept: OrderedDict[tuple[str, int], tuple[Book, pb.GetOrderBookResponse]] = OrderedDict()

    def message(self, book: Book, depth: int) -> pb.GetOrderBookResponse:
        """Return the message of `book`."""
        key = (book.market, depth)
        kept = self._kept.get(key)
        if kept is None or kept[0] is not book:
            kept = self._kept[key] = (book, answers.book(book, depth))
            if len(self._kept) > MAX_WRITTEN_BOOKS:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return kept[1]


def _wanted(row: MarketRules, request: pb.ListMarketsRequest) -> bool:
    if request.quote and row.quote != request.quote:
        return False
    status = answers.MARKET_STATUSES.get(row.status, pb.MARKET_STATUS_UNSPECIFIED)
    return request.status in {pb.MARKET_STATUS_UNSPECIFIED, status}


def _max_age(request: _Aged) -> float | None:
    if not request.HasField("max_age"):
        return None
    return request.max_age.seconds + request.max_age.nanos / answers.NANOS


def _window(request: pb.ListTradesRequest | pb.ListCandlesRequest) -> Window:
    return Window(
        start_ms=_unix_ms(request.start_time) if request.HasField("start_time") else None,
        end_ms=_unix_ms(request.end_time) if request.HasField("end_time") else None,
    )


def _unix_ms(moment: Timestamp) -> int:
    return moment.seconds * 1000 + moment.nanos // 1_000_000
