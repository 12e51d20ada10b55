"""Requests as values. Shapes and patterns were checked by the .proto's own rules; here are the rules between fields.

`check_terms` runs in the same pass as those, so that a caller learns of every wrong field at once.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from kernel.decimals import parse_decimal
from kernel.errors import FieldViolation
from policy.model import OrderType, Override, Side, Terms, TimeInForce
from protos.trade.v1 import trade_pb2 as pb
from trade_service.proposal import Content

_SIDES: Final = {pb.SIDE_BUY: Side.BUY, pb.SIDE_SELL: Side.SELL}
_ORDER_TYPES: Final = {pb.ORDER_TYPE_LIMIT: OrderType.LIMIT, pb.ORDER_TYPE_MARKET: OrderType.MARKET}
_TIMES_IN_FORCE: Final = {
    pb.TIME_IN_FORCE_UNSPECIFIED: TimeInForce.GTC,
    pb.TIME_IN_FORCE_GTC: TimeInForce.GTC,
    pb.TIME_IN_FORCE_IOC: TimeInForce.IOC,
    pb.TIME_IN_FORCE_FOK: TimeInForce.FOK,
}

# For each shape an order may have: the amounts it needs. Every other amount must be absent.
_NEEDS: Final = {
    (pb.ORDER_TYPE_LIMIT, pb.SIDE_BUY): ("amount", "price"),
    (pb.ORDER_TYPE_LIMIT, pb.SIDE_SELL): ("amount", "price"),
    (pb.ORDER_TYPE_MARKET, pb.SIDE_BUY): ("quote_amount",),
    (pb.ORDER_TYPE_MARKET, pb.SIDE_SELL): ("amount",),
}
_AMOUNTS: Final = ("amount", "price", "quote_amount")
_UNBOUNDED: Final = {
    pb.SIDE_BUY: "a market BUY by amount has no bound on its cost: give quote_amount",
    pb.SIDE_SELL: "a market SELL by quote_amount has no bound on what it sells: give amount",
}


def check_terms(request: pb.SubmitProposalRequest | pb.PlaceOrderRequest) -> Iterator[FieldViolation]:
    """Yield what is wrong between the fields of an order's terms."""
    terms = request.terms
    needed = _NEEDS.get((terms.order_type, terms.side))
    if needed is None:
        return
    for name in _AMOUNTS:
        value = getattr(terms, name)
        if name in needed and not value:
            yield FieldViolation(f"terms.{name}", "required for this order_type and side")
        elif name in needed and not value.strip("0."):
            yield FieldViolation(f"terms.{name}", "must be greater than zero")
        elif name not in needed and value:
            yield FieldViolation(f"terms.{name}", _why_absent(name, terms))
    if terms.order_type == pb.ORDER_TYPE_MARKET and terms.time_in_force:
        yield FieldViolation("terms.time_in_force", "must be absent for a market order")
    if terms.post_only and (terms.order_type == pb.ORDER_TYPE_MARKET or terms.time_in_force > pb.TIME_IN_FORCE_GTC):
        yield FieldViolation("terms.post_only", "only for a limit order that rests (GTC)")


def _why_absent(name: str, terms: pb.OrderTerms) -> str:
    if terms.order_type == pb.ORDER_TYPE_MARKET and name != "price":
        return _UNBOUNDED[terms.side]
    return "must be absent for this order_type and side"


def submitted(request: pb.SubmitProposalRequest) -> Content:
    """Read what SubmitProposal says."""
    return _content(request, _duration(request, "valid_for"), placed=False)


def placed(request: pb.PlaceOrderRequest) -> Content:
    """Read what PlaceOrder says: a proposal whose denial closes it."""
    return _content(request, None, placed=True)


def override_of(message: pb.Override, actor: str) -> Override:
    """Read an override; `actor` is who gives it, whatever the message says."""
    return Override(message.rule, actor, message.reason, _moment(message.until))


def decimal_or_none(text: str) -> Decimal | None:
    """Read a decimal string that may be empty."""
    return parse_decimal(text) if text else None


def _content(
    request: pb.SubmitProposalRequest | pb.PlaceOrderRequest, valid_for: timedelta | None, *, placed: bool
) -> Content:
    return Content(
        user_id=request.user_id,
        proposal_id=UUID(request.proposal_id),
        terms=_terms(request.terms),
        confidence=request.confidence,
        rationale=request.rationale,
        valid_for=valid_for,
        cancel_after=_duration(request, "cancel_after"),
        placed=placed,
    )


def _terms(message: pb.OrderTerms) -> Terms:
    limit = message.order_type == pb.ORDER_TYPE_LIMIT
    return Terms(
        market=message.market,
        side=_SIDES[message.side],
        order_type=_ORDER_TYPES[message.order_type],
        amount=decimal_or_none(message.amount),
        price=decimal_or_none(message.price),
        quote_amount=decimal_or_none(message.quote_amount),
        time_in_force=_TIMES_IN_FORCE[message.time_in_force] if limit else None,
        post_only=message.post_only,
    )


def _duration(request: pb.SubmitProposalRequest | pb.PlaceOrderRequest, name: str) -> timedelta | None:
    if not request.HasField(name):  # type: ignore[arg-type]  # the caller names a field of both
        return None
    value: Duration = getattr(request, name)
    return value.ToTimedelta()


def _moment(message: Timestamp) -> datetime:
    return message.ToDatetime(tzinfo=UTC)
