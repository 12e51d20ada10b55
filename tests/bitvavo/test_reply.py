"""What an answer proves, as tables: every code with every status, and every way of being malformed."""

import json

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitvavo.errors import DEFINITE_REJECTIONS
from bitvavo.reply import (
    MAX_REPLY_BYTES,
    Accepted,
    CancelAccepted,
    CancelReply,
    Doubt,
    Found,
    LookupReply,
    NotThere,
    OrderReply,
    Rejected,
    Unclear,
    classify_cancel,
    classify_create,
    classify_lookup,
)
from tests.bitvavo.orders import (
    CLIENT_ORDER_ID,
    LIMIT_ORDER,
    MARKET,
    ORDER_ID,
    QUOTE_ORDER,
    changed,
    without,
    written,
)

JSON = {"content-type": "application/json; charset=utf-8"}
STATUSES = [200, 201, 301, 302, 307, 400, 401, 403, 404, 409, 418, 429, 499, 500, 502, 503, 520, 522, 599]

# Written out once more, from the contract and not from the code.
ANY_4XX = {
    *(102, 110, *range(200, 207), *range(210, 220), *range(230, 233), *range(234, 240)),
    *(*range(300, 321), 322, *range(422, 427), 429, 433, *range(511, 515)),
}
ONLY_429 = {103, 104, 105, 112}


def create(status: int, body: bytes, headers: dict[str, str] | None = None) -> OrderReply:
    return classify_create(status, headers or JSON, body, client_order_id=CLIENT_ORDER_ID, market=MARKET)


def lookup(status: int, body: bytes) -> LookupReply:
    return classify_lookup(status, JSON, body, market=MARKET, client_order_id=CLIENT_ORDER_ID)


def cancel(status: int, body: bytes) -> CancelReply:
    return classify_cancel(status, JSON, body, client_order_id=CLIENT_ORDER_ID)


def error(code: object, text: object = "insufficient balance, rejected, not placed") -> bytes:
    return written({"errorCode": code, "error": text})


def rejects(status: int, code: int) -> bool:
    return 400 <= status <= 499 and (code in ANY_4XX or (code in ONLY_429 and status == 429))


def test_the_closed_list_is_exactly_the_contracts() -> None:
    assert set(DEFINITE_REJECTIONS) == ANY_4XX | ONLY_429
    assert {code for code, each in DEFINITE_REJECTIONS.items() if each.only_with_http_429} == ONLY_429
    assert all(each.code == code and each.meaning for code, each in DEFINITE_REJECTIONS.items())


@pytest.mark.parametrize("status", STATUSES)
def test_a_create_is_rejected_by_code_and_status_alone(status: int) -> None:
    for code in (*range(-1, 600), 2**40):
        reply = create(status, error(code))
        if rejects(status, code):
            assert reply == Rejected(code, "insufficient balance, rejected, not placed", status)
        else:
            assert isinstance(reply, Unclear), (status, code)


@pytest.mark.parametrize("code", [101, 107, 108, 109, 111, 220, 233, 240, 400, 419, 430, 431, 415, 321, 323, 427, 999])
@pytest.mark.parametrize("status", [400, 403, 404, 409, 429, 500, 503])
def test_a_code_off_the_list_proves_nothing_with_any_status(code: int, status: int) -> None:
    assert create(status, error(code)) == Unclear(Doubt.ERROR_CODE, status, code)


@pytest.mark.parametrize("status", [200, 201])
@pytest.mark.parametrize("order", [LIMIT_ORDER, QUOTE_ORDER])
def test_our_order_object_is_accepted(status: int, order: dict[str, object]) -> None:
    reply = create(status, written(order))
    assert isinstance(reply, Accepted)
    assert (reply.order.order_id, reply.order.client_order_id) == (ORDER_ID, CLIENT_ORDER_ID)


@pytest.mark.parametrize("status", [each for each in STATUSES if not 200 <= each <= 299])
def test_an_order_object_under_another_status_is_unclear(status: int) -> None:
    assert create(status, written(LIMIT_ORDER)) == Unclear(Doubt.STATUS, status)
    assert lookup(status, written(LIMIT_ORDER)) == Unclear(Doubt.STATUS, status)


REQUIRED = [
    "orderId",
    "market",
    "created",
    "updated",
    "status",
    "side",
    "orderType",
    "filledAmount",
    "filledAmountQuote",
]
MALFORMED = {
    "empty": b"",
    "html": b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>",
    "truncated": written(LIMIT_ORDER)[:-1],
    "trailing": written(LIMIT_ORDER) + b"}",
    "two values": written(LIMIT_ORDER) * 2,
    "list": written([LIMIT_ORDER]),
    "text": b'"order"',
    "null": b"null",
    "number": b"1",
    "empty object": b"{}",
    "not utf-8": written(LIMIT_ORDER).replace(b"BTC-EUR", b"BTC\xffEUR"),
    "utf-16": json.dumps(LIMIT_ORDER).encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf" + written(LIMIT_ORDER),
    "deep": b"[" * 200_000,
    "digits": b'{"created":' + b"9" * 5000 + b"}",
    "huge exponent": changed().replace(b'"created": 1795500000000', b'"created": 1e999999999999999999'),
    "duplicate key": changed().replace(b'"status"', b'"status":"new","status"', 1),
    "duplicate key inside a fill": changed().replace(b'"taker"', b'"taker":false,"taker"', 1),
    "duplicate unknown key": changed().replace(b'"status"', b'"x":1,"x":1,"status"', 1),
    "nan": changed().replace(b'"created": 1795500000000', b'"created": NaN'),
    "nan in an unknown field": changed().replace(b'"status"', b'"x": NaN,"status"', 1),
    "infinity": changed().replace(b'"amount": "0.001"', b'"amount": -Infinity'),
    "amount as a number": changed(amount=0.001),
    "amount with exponent": changed(amount="1e-3"),
    "amount with blank": changed(amount=" 0.001"),
    "amount with newline": changed(amount="0.001\n"),
    "amount with plus": changed(amount="+0.001"),
    "amount with separators": changed(amount="1_000"),
    "amount in other digits": changed(amount="\u0661"),
    "amount negative": changed(amount="-0.001"),
    "amount nan": changed(filledAmount="NaN"),
    "amount endless": changed(amount="1" * 100),
    "created as text": changed(created="1795500000000"),
    "created as bool": changed(created=True),
    "created with fraction": changed(created=1.5),
    "created negative": changed(created=-1),
    "order id as a number": changed(orderId=1),
    "order id empty": changed(orderId=""),
    "order id with a zero byte": changed(orderId="a\x00b"),
    "side unknown": changed(side="both"),
    "status as a list": changed(status=["new"]),
    "operator id as text": changed(operatorId="1001"),
    "operator id too large": changed(operatorId=2**63),
    "fills as an object": changed(fills={}),
    "fill without amount": changed(fills=[{"id": "f"}]),
    "post only as text": changed(postOnly="false"),
    **{f"without {name}": without(name) for name in REQUIRED},
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_answer_is_unclear(name: str) -> None:
    for status in (200, 400, 404, 503):
        assert isinstance(create(status, MALFORMED[name]), Unclear)
        assert isinstance(lookup(status, MALFORMED[name]), Unclear)
    assert create(200, MALFORMED[name]) == Unclear(Doubt.MALFORMED, 200)


@pytest.mark.parametrize(
    "body",
    [
        changed(clientOrderId="0b2f6b1e-8d0a-4c7e-9a4e-2f6f2a4b8c12"),
        changed(clientOrderId=CLIENT_ORDER_ID.upper()),
        changed(clientOrderId=None),
        without("clientOrderId"),
        changed(market="ETH-EUR"),
        changed(market="btc-eur"),
    ],
)
def test_an_order_that_is_not_ours_is_unclear(body: bytes) -> None:
    assert create(200, body) == Unclear(Doubt.OTHER_ORDER, 200)
    assert lookup(200, body) == Unclear(Doubt.OTHER_ORDER, 200)


@pytest.mark.parametrize(
    "body",
    [
        *(error("205"), error(code=True), error(205.0), error([205]), error(None), error(2**70)),
        *(written({"error": "refused"}), written({"errorCode": 205, "error": 7}), error(205)[:-1]),
        *(b'{"errorCode":205,"errorCode":216,"error":"x"}', b'{"errorCode":205,"error":NaN}'),
    ],
)
def test_a_malformed_error_proves_nothing(body: bytes) -> None:
    assert create(400, body) == Unclear(Doubt.MALFORMED, 400)


@pytest.mark.parametrize("status", [200, 400])
def test_an_error_and_an_order_in_one_body_prove_nothing(status: int) -> None:
    assert create(status, changed(errorCode=205, error="x")) == Unclear(Doubt.CONTRADICTION, status, 205)


def test_a_rejection_under_a_status_of_success_proves_nothing() -> None:
    assert create(200, error(205)) == Unclear(Doubt.CONTRADICTION, 200, 205)


@pytest.mark.parametrize("content_type", ["text/html; charset=UTF-8", "text/plain", ""])
def test_an_answer_labelled_as_something_else_proves_nothing(content_type: str) -> None:
    headers = httpx.Headers({"Content-Type": content_type})
    reply = classify_create(400, headers, error(205), client_order_id=CLIENT_ORDER_ID, market=MARKET)
    assert reply == Unclear(Doubt.NOT_JSON, 400)


def test_an_answer_without_a_label_is_read() -> None:
    assert classify_create(400, {}, error(205), client_order_id="c", market=MARKET) == Rejected(
        205, "insufficient balance, rejected, not placed", 400
    )


def test_an_oversized_answer_is_not_read() -> None:
    padding = b" " * (MAX_REPLY_BYTES - len(written(LIMIT_ORDER)))
    assert isinstance(create(200, written(LIMIT_ORDER) + padding), Accepted)
    assert create(200, written(LIMIT_ORDER) + padding + b" ") == Unclear(Doubt.OVERSIZED, 200)


def test_the_text_of_a_rejection_is_cut_and_printable() -> None:
    reply = create(400, error(205, "a\x00b\n\ud800" + "x" * 1000))
    assert isinstance(reply, Rejected)
    assert reply.message == "a?b??" + "x" * 251


def test_a_missing_text_changes_nothing() -> None:
    assert create(400, written({"errorCode": 205})) == Rejected(205, "", 400)


def test_only_240_with_404_says_not_there() -> None:
    for status in STATUSES:
        for code in (240, 233, 205, 310, 105, 999):
            expected = status == 404 and code == 240
            assert isinstance(lookup(status, error(code)), NotThere) is expected
            assert isinstance(cancel(status, error(code)), NotThere) is expected
            assert expected or isinstance(lookup(status, error(code)), Unclear)


def test_a_lookup_finds_our_order_by_either_id() -> None:
    assert isinstance(lookup(200, written(LIMIT_ORDER)), Found)
    by_id = classify_lookup(200, JSON, without("clientOrderId"), market=MARKET, order_id=ORDER_ID)
    assert isinstance(by_id, Found)
    other = classify_lookup(200, JSON, written(LIMIT_ORDER), market=MARKET, order_id="another")
    assert other == Unclear(Doubt.OTHER_ORDER, 200)


def test_a_cancel_is_accepted_by_its_ids() -> None:
    assert cancel(200, written({"orderId": ORDER_ID, "operatorId": 1})) == CancelAccepted(ORDER_ID)
    assert cancel(200, written({"orderId": ORDER_ID, "clientOrderId": CLIENT_ORDER_ID})) == CancelAccepted(ORDER_ID)
    assert cancel(200, written({"orderId": ORDER_ID, "clientOrderId": "x"})) == Unclear(Doubt.OTHER_ORDER, 200)
    assert cancel(200, b"{}") == Unclear(Doubt.MALFORMED, 200)
    assert cancel(403, error(310, "x")) == Rejected(310, "x", 403)
    assert cancel(503, error(109)) == Unclear(Doubt.ERROR_CODE, 503, 109)
    assert cancel(503, written({"orderId": ORDER_ID})) == Unclear(Doubt.STATUS, 503)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["new", "buy", "1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(LIMIT_ORDER)), inner, max_size=4),
    max_leaves=8,
)
near_orders = st.builds(
    lambda changes: json.dumps({**LIMIT_ORDER, **changes}).encode(),
    st.dictionaries(st.sampled_from([*LIMIT_ORDER, "errorCode", "error"]), json_values, max_size=3),
)
bodies = st.binary(max_size=64) | near_orders | st.builds(lambda value: json.dumps(value).encode(), json_values)


@settings(deadline=None)  # the machine's pace is not what is tested
@given(status=st.integers(100, 599), body=bodies)
def test_no_body_makes_classification_raise_or_accept_a_foreign_order(status: int, body: bytes) -> None:
    lookup(status, body)
    cancel(status, body)
    reply = create(status, body)
    if isinstance(reply, Accepted):
        told = json.loads(body)
        assert 200 <= status <= 299
        assert (told["clientOrderId"], told["market"]) == (CLIENT_ORDER_ID, MARKET)
        assert told.get("errorCode") is None
        assert reply.order.order_id == told["orderId"]
    if isinstance(reply, Rejected):
        assert rejects(status, json.loads(body)["errorCode"])
