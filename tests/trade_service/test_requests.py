"""What is wrong between the fields of an order, every one at once; and requests read digit for digit."""

from datetime import timedelta
from decimal import Decimal

import pytest

from policy.model import OrderType, Side, TimeInForce
from protos.trade.v1 import trade_pb2 as pb
from trade_service.rpc.requests import check_terms, decimal_or_none, placed, submitted

LIMIT, MARKET = pb.ORDER_TYPE_LIMIT, pb.ORDER_TYPE_MARKET
BUY, SELL = pb.SIDE_BUY, pb.SIDE_SELL
IOC, GTC, FOK = pb.TIME_IN_FORCE_IOC, pb.TIME_IN_FORCE_GTC, pb.TIME_IN_FORCE_FOK
PROPOSAL_ID = "00000000-0000-4000-8000-000000000001"

RIGHT = [
    {"order_type": LIMIT, "side": BUY, "amount": "1", "price": "2"},
    {"order_type": LIMIT, "side": SELL, "amount": "1", "price": "2", "time_in_force": FOK},
    {"order_type": LIMIT, "side": BUY, "amount": "1", "price": "2", "time_in_force": GTC, "post_only": True},
    {"order_type": LIMIT, "side": BUY, "amount": "1", "price": "2", "post_only": True},
    {"order_type": MARKET, "side": BUY, "quote_amount": "5"},
    {"order_type": MARKET, "side": SELL, "amount": "0.000000000001"},
]
WRONG = [
    ({"order_type": LIMIT, "side": BUY}, {"terms.amount", "terms.price"}),
    ({"order_type": LIMIT, "side": BUY, "amount": "0", "price": "0.000"}, {"terms.amount", "terms.price"}),
    ({"order_type": LIMIT, "side": BUY, "amount": "1", "price": "2", "quote_amount": "2"}, {"terms.quote_amount"}),
    ({"order_type": MARKET, "side": BUY, "amount": "1"}, {"terms.amount", "terms.quote_amount"}),
    ({"order_type": MARKET, "side": SELL, "quote_amount": "1"}, {"terms.amount", "terms.quote_amount"}),
    ({"order_type": MARKET, "side": BUY, "quote_amount": "1", "price": "2"}, {"terms.price"}),
    ({"order_type": MARKET, "side": BUY, "quote_amount": "0.0"}, {"terms.quote_amount"}),
    ({"order_type": MARKET, "side": BUY, "quote_amount": "1", "time_in_force": IOC}, {"terms.time_in_force"}),
    ({"order_type": MARKET, "side": SELL, "amount": "1", "post_only": True}, {"terms.post_only"}),
    (
        {"order_type": LIMIT, "side": BUY, "amount": "1", "price": "2", "time_in_force": IOC, "post_only": True},
        {"terms.post_only"},
    ),
]


def request(**terms: object) -> pb.SubmitProposalRequest:
    return pb.SubmitProposalRequest(
        user_id="alice",
        proposal_id=PROPOSAL_ID,
        terms=pb.OrderTerms(**{"market": "BTC-EUR", **terms}),  # type: ignore[arg-type]
        confidence=75,
        rationale="because",
    )


@pytest.mark.parametrize("terms", RIGHT)
def test_each_shape_of_an_order_passes(terms: dict[str, object]) -> None:
    assert list(check_terms(request(**terms))) == []


@pytest.mark.parametrize(("terms", "paths"), WRONG)
def test_everything_wrong_between_fields_is_named_at_once(terms: dict[str, object], paths: set[str]) -> None:
    found = list(check_terms(request(**terms)))
    assert {each.path for each in found} == paths
    assert all(each.description for each in found)


@pytest.mark.parametrize(("side", "name"), [(BUY, "amount"), (SELL, "quote_amount")])
def test_a_market_order_without_a_bound_says_what_to_give_instead(side: pb.Side, name: str) -> None:
    found = {each.path: each.description for each in check_terms(request(order_type=MARKET, side=side, **{name: "1"}))}
    assert "no bound" in found[f"terms.{name}"]


def test_a_request_is_read_digit_for_digit() -> None:
    message = request(order_type=LIMIT, side=BUY, amount="0.100", price="123456789012.123456789012")
    message.valid_for.FromTimedelta(timedelta(minutes=5))
    message.cancel_after.FromTimedelta(timedelta(seconds=90))
    content = submitted(message)
    assert (str(content.terms.amount), content.terms.price) == ("0.100", Decimal("123456789012.123456789012"))
    assert (content.terms.side, content.terms.order_type) == (Side.BUY, OrderType.LIMIT)
    assert content.terms.time_in_force is TimeInForce.GTC
    assert (content.valid_for, content.cancel_after) == (timedelta(minutes=5), timedelta(seconds=90))
    assert (content.user_id, str(content.proposal_id), content.placed) == ("alice", PROPOSAL_ID, False)


def test_what_is_absent_stays_absent() -> None:
    content = submitted(request(order_type=MARKET, side=BUY, quote_amount="5"))
    assert (content.terms.amount, content.terms.price, content.terms.time_in_force) == (None, None, None)
    assert (content.valid_for, content.cancel_after) == (None, None)
    assert decimal_or_none("") is None


def test_a_placed_order_is_known_as_such() -> None:
    terms = pb.OrderTerms(market="BTC-EUR", side=SELL, order_type=MARKET, amount="1")
    content = placed(pb.PlaceOrderRequest(user_id="alice", proposal_id=PROPOSAL_ID, terms=terms))
    assert (content.placed, content.valid_for, content.terms.amount) == (True, None, Decimal(1))
