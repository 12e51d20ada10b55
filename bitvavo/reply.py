"""What an answer of the exchange proves: pure functions from status, headers and body to one of a few words.

The rule for a create: an order object that is ours is ACCEPTED, a code on the closed list with HTTP 4xx is REJECTED,
everything else is UNCLEAR, and the order may exist. No message text is ever read. `bitvavo.client` calls these.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bitvavo.errors import HTTP_NOT_FOUND, ORDER_NOT_FOUND, is_definite_rejection
from bitvavo.order import Order, order_from
from bitvavo.strict_json import Fields, MalformedError, identifier, int64, parse_strict

MAX_REPLY_BYTES: Final = 256 * 1024
MAX_MESSAGE_CHARACTERS: Final = 256


class Doubt(StrEnum):
    """Why an answer proves nothing."""

    MALFORMED = "malformed"  # not JSON, duplicate keys, a field missing or of the wrong type
    NOT_JSON = "not_json"  # labelled as something else, such as a proxy's HTML page
    OVERSIZED = "oversized"
    OTHER_ORDER = "other_order"  # a well-formed order, but not the one asked for
    ERROR_CODE = "error_code"  # a code that proves nothing, or not with this status
    STATUS = "status"  # a status that proves nothing: 3xx, or 5xx, whatever the body says
    CONTRADICTION = "contradiction"  # an error code and an order in one body


@dataclass(frozen=True, slots=True)
class Accepted:
    """The exchange has made the order; it may already be final."""

    order: Order


@dataclass(frozen=True, slots=True)
class Rejected:
    """The exchange proved that nothing was done. `message` is its text, printable and cut; for people only."""

    code: int
    message: str
    status: int


@dataclass(frozen=True, slots=True)
class Unclear:
    """The answer proves nothing; `reason` is a `Doubt`, or a `Fault` of the transport when no answer came.

    `not_sent`: proven that not a byte of the request left this process.
    """

    reason: str
    status: int | None = None
    code: int | None = None
    not_sent: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """The order exists and looks like this now."""

    order: Order


@dataclass(frozen=True, slots=True)
class NotThere:
    """The exchange says 404 with code 240: no such open order *now*. One such answer proves no absence."""


@dataclass(frozen=True, slots=True)
class CancelAccepted:
    """The cancel was taken; the order must be read afterwards, for it may have filled meanwhile."""

    order_id: str


OrderReply = Accepted | Rejected | Unclear
LookupReply = Found | NotThere | Unclear
CancelReply = CancelAccepted | NotThere | Rejected | Unclear


def classify_create(
    status: int, headers: Mapping[str, str], body: bytes, *, client_order_id: str, market: str
) -> OrderReply:
    """Say what the answer to a create proves; never raises."""
    content = _content(status, headers, body)
    if isinstance(content, Unclear):
        return content
    if isinstance(content, _Failure):
        return _rejected(status, content) or Unclear(Doubt.ERROR_CODE, status, content.code)
    order = _order(status, content, market=market, client_order_id=client_order_id, order_id=None)
    return order if isinstance(order, Unclear) else Accepted(order)


def classify_lookup(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    market: str,
    client_order_id: str | None = None,
    order_id: str | None = None,
) -> LookupReply:
    """Say what the answer to a look-up proves, by client order id or order id; never raises."""
    content = _content(status, headers, body)
    if isinstance(content, Unclear):
        return content
    if isinstance(content, _Failure):
        return NotThere() if _not_there(status, content) else Unclear(Doubt.ERROR_CODE, status, content.code)
    order = _order(status, content, market=market, client_order_id=client_order_id, order_id=order_id)
    return order if isinstance(order, Unclear) else Found(order)


def classify_cancel(status: int, headers: Mapping[str, str], body: bytes, *, client_order_id: str) -> CancelReply:
    """Say what the answer to a cancel proves; never raises."""
    content = _content(status, headers, body)
    if isinstance(content, Unclear):
        return content
    if isinstance(content, _Failure):
        if _not_there(status, content):
            return NotThere()
        return _rejected(status, content) or Unclear(Doubt.ERROR_CODE, status, content.code)
    return _cancelled(status, content, client_order_id)


@dataclass(frozen=True, slots=True)
class _Failure:
    code: int
    message: str


def _content(status: int, headers: Mapping[str, str], body: bytes) -> Fields | _Failure | Unclear:
    # Cases: too large; labelled as HTML; not strict JSON; not an object; an error body; a body of success
    # (only with 2xx). What does not fit one of the last two exactly proves nothing.
    if len(body) > MAX_REPLY_BYTES:
        return Unclear(Doubt.OVERSIZED, status)
    if "json" not in headers.get("content-type", "json").lower():
        return Unclear(Doubt.NOT_JSON, status)
    try:
        fields = Fields(parse_strict(body))
        if "errorCode" in fields or "error" in fields:
            return _failure(status, fields)
    except MalformedError:
        return Unclear(Doubt.MALFORMED, status)
    return fields if _succeeded(status) else Unclear(Doubt.STATUS, status)


def _failure(status: int, fields: Fields) -> _Failure | Unclear:
    code = fields.required("errorCode", int64)
    if "orderId" in fields or _succeeded(status):
        return Unclear(Doubt.CONTRADICTION, status, code)
    return _Failure(code, fields.optional("error", _message) or "")


def _rejected(status: int, failure: _Failure) -> Rejected | None:
    if not is_definite_rejection(status, failure.code):
        return None
    return Rejected(failure.code, failure.message, status)


def _not_there(status: int, failure: _Failure) -> bool:
    return status == HTTP_NOT_FOUND and failure.code == ORDER_NOT_FOUND


def _order(
    status: int, fields: Fields, *, market: str, client_order_id: str | None, order_id: str | None
) -> Order | Unclear:
    try:
        order = order_from(fields.value)
    except MalformedError:
        return Unclear(Doubt.MALFORMED, status)
    ours = order.market == market and (order.client_order_id == client_order_id or client_order_id is None)
    if not ours or (order_id is not None and order.order_id != order_id):
        return Unclear(Doubt.OTHER_ORDER, status)
    return order


def _cancelled(status: int, fields: Fields, client_order_id: str) -> CancelAccepted | Unclear:
    try:
        order_id = fields.required("orderId", identifier)
        echoed = fields.optional("clientOrderId", identifier)
    except MalformedError:
        return Unclear(Doubt.MALFORMED, status)
    if echoed not in {None, client_order_id}:
        return Unclear(Doubt.OTHER_ORDER, status)
    return CancelAccepted(order_id)


def _succeeded(status: int) -> bool:
    return 200 <= status <= 299  # noqa: PLR2004 - HTTP's own class of success


def _message(name: str, value: object) -> str:
    if not isinstance(value, str):
        message = f"{name}: not text"
        raise MalformedError(message)
    return "".join(each if each.isprintable() else "?" for each in value[:MAX_MESSAGE_CHARACTERS])
