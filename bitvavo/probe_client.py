"""All that `attest` can ask of the exchange: what shows a key's rights, and creates, cancels and moves nothing.

No endpoint tells what a key may do (https://docs.bitvavo.com/docs/get-started/), so it is tried. Whether a key may
withdraw is never tried: there is no method here that could.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import httpx

from bitvavo import endpoints
from bitvavo.client import ServerTime, read_time, wall_clock_ms
from bitvavo.endpoints import ATTEST_ENDPOINTS, Endpoint
from bitvavo.order import parse_orders
from bitvavo.session import HTTP_OK, Answer, Session
from bitvavo.signing import Credentials
from bitvavo.strict_json import Fields, MalformedError, int64, parse_strict
from bitvavo.transport import LIST_BODY_CAP_BYTES, ExchangeTransportError

OPERATOR_ID: Final = 1
"""The exchange wants one with every cancel; it names nobody."""


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """What came back. `status` is None when nothing did; `fault` then says why.

    `code` is the exchange's error code, None without one; `shown` says that HTTP 200 brought what was asked for.
    """

    status: int | None
    code: int | None = None
    shown: bool = False
    fault: str = ""


class ProbeClient:
    """Asks for one key. No method raises for what the network or the exchange does, but `time`."""

    __slots__ = ("_session",)

    def __init__(
        self, http: httpx.AsyncClient, credentials: Credentials, now_ms: Callable[[], int] = wall_clock_ms
    ) -> None:
        """Use a client of `bitvavo.transport.open_client` for `ATTEST_ENDPOINTS`; `now_ms` signs."""
        self._session = Session(http, ATTEST_ENDPOINTS, credentials, now_ms, None)

    async def time(self) -> ServerTime:
        """Ask the exchange's clock, unsigned.

        Raises:
            ExchangeUnavailableError: no answer.
        """
        return await read_time(self._session)

    async def cancel_nobodys_order(self, market: str) -> ProbeAnswer:
        """Ask to cancel an order whose id was drawn just now (1 point): no such order exists, so none is touched."""
        query = {"market": market, "orderId": uuid4(), "operatorId": OPERATOR_ID}
        return await self._ask(endpoints.CANCEL_ORDER, query, _an_object)

    async def read_account(self) -> ProbeAnswer:
        """Ask for the account's fees and rights (1 point)."""
        return await self._ask(endpoints.ACCOUNT, {}, _an_object)

    async def read_open_orders(self, market: str) -> ProbeAnswer:
        """Ask for the open orders of one market (5 points)."""
        return await self._ask(endpoints.OPEN_ORDERS, {"market": market}, parse_orders)

    async def _ask(self, endpoint: Endpoint, query: Mapping[str, object], parse: Callable[[bytes], Any]) -> ProbeAnswer:
        try:
            answer = await self._session.send(endpoint, query, cap_bytes=LIST_BODY_CAP_BYTES)
        except ExchangeTransportError as error:
            return ProbeAnswer(None, fault=error.fault.value)
        return _read(answer, parse)


def _read(answer: Answer, parse: Callable[[bytes], Any]) -> ProbeAnswer:
    try:
        if answer.status == HTTP_OK:
            parse(answer.body)
            return ProbeAnswer(answer.status, shown=True)
        return ProbeAnswer(answer.status, Fields(parse_strict(answer.body)).optional("errorCode", int64))
    except MalformedError:
        return ProbeAnswer(answer.status)


def _an_object(body: bytes) -> Fields:
    return Fields(parse_strict(body))
