"""Which requests a program may make at all: its closed list, and the check against them.

The check runs twice: in `bitvavo.request` before anything is signed, and in `bitvavo.transport` on the request as
it is about to leave. Weights are points of the exchange's rate limit
(https://docs.bitvavo.com/docs/rate-limits/), the larger where its pages disagree.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

API_PREFIX: Final = "/v2"
MARKET_PATTERN: Final = r"[A-Z0-9]{1,20}-[A-Z0-9]{1,10}"


class ForbiddenEndpointError(Exception):
    """A request outside the service's list was about to be signed or sent. Nothing left the process."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method and path template (below ``/v2``) with its weight in points."""

    method: str
    path: str
    weight: int
    signed: bool
    weight_without_market: int | None = None

    def weight_for(self, market: str | None) -> int:
        """Return the points one call costs; some calls cost more when they name no market."""
        if market is None and self.weight_without_market is not None:
            return self.weight_without_market
        return self.weight


class AllowList:
    """A closed set of endpoints. What it does not list is forbidden; an empty one forbids everything."""

    __slots__ = ("_endpoints", "_patterns")

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        """Compile one anchored pattern per endpoint."""
        self._endpoints = tuple(endpoints)
        self._patterns = tuple((each.method, _pattern(each.path), each) for each in self._endpoints)

    def __iter__(self) -> Iterator[Endpoint]:
        """Go through the endpoints in the order given."""
        return iter(self._endpoints)

    def require(self, method: str, path: str) -> Endpoint:
        """Return the endpoint that `method` and the undecoded wire `path` (``/v2…``, no query) name exactly.

        No decoding and no normalising: ``..``, ``//``, a percent sign or a lower-case method match nothing.

        Raises:
            ForbiddenEndpointError: no endpoint of the list matches.
        """
        for listed_method, pattern, endpoint in self._patterns:
            if method == listed_method and pattern.fullmatch(path):
                return endpoint
        message = f"{method!r:.20} {path!r:.80} is not on this service's list of endpoints"
        raise ForbiddenEndpointError(message)


def _pattern(template: str) -> re.Pattern[str]:
    escaped = re.escape(API_PREFIX + template).replace(re.escape("{market}"), MARKET_PATTERN)
    return re.compile(escaped, re.ASCII)


TIME: Final = Endpoint("GET", "/time", 1, signed=False)
MARKETS: Final = Endpoint("GET", "/markets", 1, signed=False)
ASSETS: Final = Endpoint("GET", "/assets", 1, signed=False)
BOOK: Final = Endpoint("GET", "/{market}/book", 1, signed=False)
PUBLIC_TRADES: Final = Endpoint("GET", "/{market}/trades", 5, signed=False)
CANDLES: Final = Endpoint("GET", "/{market}/candles", 1, signed=False)
TICKER_PRICE: Final = Endpoint("GET", "/ticker/price", 1, signed=False)
TICKER_BOOK: Final = Endpoint("GET", "/ticker/book", 1, signed=False)
TICKER_24H: Final = Endpoint("GET", "/ticker/24h", 1, signed=False, weight_without_market=25)
BALANCE: Final = Endpoint("GET", "/balance", 5, signed=True)
ACCOUNT: Final = Endpoint("GET", "/account", 1, signed=True)
FEES: Final = Endpoint("GET", "/account/fees", 1, signed=True)
ACCOUNT_HISTORY: Final = Endpoint("GET", "/account/history", 1, signed=True)

CREATE_ORDER: Final = Endpoint("POST", "/order", 1, signed=True)
GET_ORDER: Final = Endpoint("GET", "/order", 1, signed=True)
CANCEL_ORDER: Final = Endpoint("DELETE", "/order", 1, signed=True)
ORDERS: Final = Endpoint("GET", "/orders", 5, signed=True)
OPEN_ORDERS: Final = Endpoint("GET", "/ordersOpen", 5, signed=True, weight_without_market=100)
OWN_TRADES: Final = Endpoint("GET", "/trades", 5, signed=True)

MARKET_ENDPOINTS: Final = AllowList(
    (
        *(TIME, MARKETS, ASSETS, BOOK, PUBLIC_TRADES, CANDLES, TICKER_PRICE, TICKER_BOOK, TICKER_24H),
        *(BALANCE, ACCOUNT, FEES, ACCOUNT_HISTORY),
    )
)
"""All that market_service may ask: public data, unsigned, and four signed reads of the account."""

TRADE_ENDPOINTS: Final = AllowList((CREATE_ORDER, GET_ORDER, CANCEL_ORDER, ORDERS, OPEN_ORDERS, OWN_TRADES, TIME))
"""All that trade_service may do. Updating orders, cancelling all, withdrawals and deposits are in neither list."""

ATTEST_ENDPOINTS: Final = AllowList((TIME, ACCOUNT, OPEN_ORDERS, CANCEL_ORDER))
"""All that `attest` may ask of a key: two reads, and the cancel of an order that nobody has."""
