"""One request to the exchange from end to end: allowed, built, signed last, sent once, its rate headers reported.

Only `bitvavo.client` calls it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar
from urllib.parse import quote, urlencode

import httpx

from bitvavo.endpoints import API_PREFIX, AllowList, Endpoint
from bitvavo.errors import HTTP_TOO_MANY_REQUESTS, RATE_LIMITED
from bitvavo.rate import RateObserver, rate_report
from bitvavo.signing import Credentials, signed_headers
from bitvavo.strict_json import Fields, MalformedError, int64, parse_strict
from bitvavo.transport import (
    CAP_EXTENSION,
    LIST_BODY_CAP_BYTES,
    ORDER_BODY_CAP_BYTES,
    TOTAL_EXTENSION,
    TOTAL_TIMEOUT_SECONDS,
    ExchangeTransportError,
)

T = TypeVar("T")

READ_WINDOW_MS: Final = 10_000
HTTP_OK: Final = 200
HTTP_SERVER_ERROR: Final = 500


class ReadFailure(StrEnum):
    """Why a read gave nothing."""

    NO_ANSWER = "no_answer"
    RATE_LIMITED = "rate_limited"
    REFUSED = "refused"  # the exchange answered with an error of the 400s; `code` says which
    SERVER_ERROR = "server_error"
    UNREADABLE = "unreadable"


class ExchangeUnavailableError(Exception):
    """A read gave no answer that can be used. Carries no text of the exchange or of a library.

    `fault` is the transport's word when no answer came; `status` and `code` are the exchange's when one did.
    """

    def __init__(
        self, kind: ReadFailure, *, status: int | None = None, code: int | None = None, fault: str | None = None
    ) -> None:
        """Keep the facts."""
        super().__init__(kind.value)
        self.kind = kind
        self.status = status
        self.code = code
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: header names are looked up without regard to case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Session:
    """What every request of one service shares: client, allow-list, credentials, clock, observer."""

    __slots__ = ("_allow", "_base_url", "_credentials", "_headers", "_http", "_now_ms", "_observe")

    def __init__(
        self,
        http: httpx.AsyncClient,
        allow: AllowList,
        credentials: Credentials | None,
        now_ms: Callable[[], int],
        observe: RateObserver | None,
    ) -> None:
        """Share; nothing is opened or owned here."""
        self._http = http
        self._base_url = str(http.base_url).rstrip("/")
        self._headers = dict(http.headers)
        self._allow = allow
        self._credentials = credentials
        self._now_ms = now_ms
        self._observe = observe

    def use(self, credentials: Credentials) -> None:
        """Sign every request from now on with these; one signed before keeps its key and signature."""
        self._credentials = credentials

    async def send(
        self,
        endpoint: Endpoint,
        query: Mapping[str, object] | None = None,
        *,
        path_market: str | None = None,
        body: bytes = b"",
        timestamp_ms: int | None = None,
        window_ms: int = READ_WINDOW_MS,
        cap_bytes: int = ORDER_BODY_CAP_BYTES,
        total_timeout_seconds: float = TOTAL_TIMEOUT_SECONDS,
    ) -> Answer:
        """Send one request once and return whatever came back.

        Raises:
            ForbiddenEndpointError: not on the list; nothing was signed or sent.
            ExchangeTransportError: no answer came.
        """
        path = endpoint.path if path_market is None else endpoint.path.replace("{market}", path_market)
        self._allow.require(endpoint.method, API_PREFIX + path)
        request = self._build(endpoint.method, path + _query_text(query), body)
        request.extensions.update({CAP_EXTENSION: cap_bytes, TOTAL_EXTENSION: total_timeout_seconds})
        if endpoint.signed:
            self._sign(request, self._now_ms() if timestamp_ms is None else timestamp_ms, window_ms, body)
        response = await self._http.send(request)
        self._report(response, signed=endpoint.signed)
        return Answer(response.status_code, response.headers, response.content)

    async def read(
        self,
        endpoint: Endpoint,
        parse: Callable[[bytes], T],
        query: Mapping[str, object] | None = None,
        *,
        path_market: str | None = None,
        cap_bytes: int = LIST_BODY_CAP_BYTES,
    ) -> T:
        """Send one request and parse its answer.

        Raises:
            ExchangeUnavailableError: no answer, an error, or one that cannot be parsed.
        """
        try:
            answer = await self.send(endpoint, query, path_market=path_market, cap_bytes=cap_bytes)
        except ExchangeTransportError as error:
            raise ExchangeUnavailableError(ReadFailure.NO_ANSWER, fault=error.fault) from None
        if answer.status != HTTP_OK:
            raise _refusal(answer)
        try:
            return parse(answer.body)
        except MalformedError:
            raise ExchangeUnavailableError(ReadFailure.UNREADABLE, status=answer.status) from None

    def _build(self, method: str, path: str, body: bytes) -> httpx.Request:
        # httpx's own build_request parses the URL three times and merges cookies we never have: a fifth of a call.
        return httpx.Request(
            method,
            self._base_url + path,
            headers={**self._headers, "content-type": "application/json"} if body else self._headers,
            content=body or None,
            extensions={"timeout": self._http.timeout.as_dict()},
        )

    def _sign(self, request: httpx.Request, timestamp_ms: int, window_ms: int, body: bytes) -> None:
        if self._credentials is None:
            message = "a signed endpoint was called without credentials"
            raise ValueError(message)
        path = request.url.raw_path.decode("ascii")
        request.headers.update(signed_headers(self._credentials, timestamp_ms, window_ms, request.method, path, body))

    def _report(self, response: httpx.Response, *, signed: bool) -> None:
        if self._observe is not None:
            self._observe(rate_report(response.status_code, response.headers, response.content, signed=signed))


def _query_text(query: Mapping[str, object] | None) -> str:
    present = {name: value for name, value in (query or {}).items() if value is not None}
    return "?" + urlencode(present, quote_via=quote) if present else ""


def _refusal(answer: Answer) -> ExchangeUnavailableError:
    code = _error_code(answer.body)
    if answer.status == HTTP_TOO_MANY_REQUESTS or code == RATE_LIMITED:
        return ExchangeUnavailableError(ReadFailure.RATE_LIMITED, status=answer.status, code=code)
    if answer.status >= HTTP_SERVER_ERROR:
        return ExchangeUnavailableError(ReadFailure.SERVER_ERROR, status=answer.status, code=code)
    kind = ReadFailure.UNREADABLE if code is None else ReadFailure.REFUSED
    return ExchangeUnavailableError(kind, status=answer.status, code=code)


def _error_code(body: bytes) -> int | None:
    try:
        return Fields(parse_strict(body)).optional("errorCode", int64)
    except MalformedError:
        return None
