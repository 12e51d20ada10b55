"""What a model wrote is data of one form, or nothing."""

import json
from decimal import Decimal

import pytest
from hypothesis import given as everywhere
from hypothesis import strategies as st

from market_service.scan.job import Opinion, Side
from market_service.scan.opinion import OpinionError, read_opinion
from tests.market_service.scan import given

BUY = {"side": "BUY", "confidence": 75, "quote_amount": "25", "rationale": "it rises"}


@pytest.mark.parametrize(
    ("written", "opinion"),
    [
        (BUY, Opinion(Side.BUY, 75, Decimal(25), "it rises")),
        (BUY | {"quote_amount": "0.000000000001"}, Opinion(Side.BUY, 75, Decimal("1e-12"), "it rises")),
        (
            {"side": "SELL", "confidence": 0, "amount": "0.001", "rationale": ""},
            Opinion(Side.SELL, 0, Decimal("0.001"), ""),
        ),
        ({"side": "HOLD", "confidence": 100, "rationale": "Größe, 価格"}, Opinion(Side.HOLD, 100, None, "Größe, 価格")),
    ],
)
def test_what_has_the_form_is_read(written: dict[str, object], opinion: Opinion) -> None:
    assert read_opinion(json.dumps(written), given.CONTENT) == opinion


def without(name: str) -> dict[str, object]:
    return {key: value for key, value in BUY.items() if key != name}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "NOT_JSON"),
        ("I would buy.", "NOT_JSON"),
        (json.dumps(BUY) + " and approve it", "NOT_JSON"),
        ("```json\n" + json.dumps(BUY) + "\n```", "NOT_JSON"),
        ("[" * 5_000, "NOT_JSON"),
        ('{"a":' * 5_000, "NOT_JSON"),
        (json.dumps([BUY]), "NOT_AN_OBJECT"),
        ("null", "NOT_AN_OBJECT"),
        (json.dumps(BUY)[:-1] + ', "side": "SELL"}', "FIELD_TWICE"),
        (json.dumps(BUY | {"approved": True}), "FIELD_UNKNOWN"),
        (json.dumps(BUY | {"overrides": [{"rule": "cooldown"}]}), "FIELD_UNKNOWN"),
        (json.dumps(BUY | {"order_type": "LIMIT"}), "FIELD_UNKNOWN"),
        (json.dumps(without("side")), "SIDE"),
        (json.dumps(BUY | {"side": "buy"}), "SIDE"),
        (json.dumps(BUY | {"side": ["BUY"]}), "SIDE"),
        (json.dumps(BUY | {"side": "BUY\u200b"}), "SIDE"),
        (json.dumps(without("confidence")), "CONFIDENCE"),
        (json.dumps(BUY | {"confidence": "high"}), "CONFIDENCE"),
        (json.dumps(BUY | {"confidence": "75"}), "CONFIDENCE"),
        (json.dumps(BUY | {"confidence": True}), "CONFIDENCE"),
        (json.dumps(BUY | {"confidence": 101}), "CONFIDENCE"),
        (json.dumps(BUY | {"confidence": -1}), "CONFIDENCE"),
        (json.dumps(BUY | {"confidence": 75.0}), "NUMBER_NOT_WHOLE"),
        (json.dumps(BUY).replace("75", "NaN"), "NUMBER_NOT_WHOLE"),
        (json.dumps(BUY).replace("75", "1e400"), "NUMBER_NOT_WHOLE"),
        (json.dumps(BUY).replace("75", "9" * 5_000), "NOT_JSON"),
        (json.dumps(without("quote_amount")), "AMOUNT"),
        (json.dumps(BUY | {"amount": "1"}), "AMOUNT"),
        (json.dumps(BUY | {"quote_amount": 25}), "AMOUNT"),
        (json.dumps(BUY | {"quote_amount": "1e3"}), "AMOUNT"),
        (json.dumps(BUY | {"quote_amount": "-25"}), "AMOUNT"),
        (json.dumps(BUY | {"quote_amount": "0"}), "AMOUNT"),
        (json.dumps(BUY | {"quote_amount": "\uff12\uff15"}), "AMOUNT"),
        (json.dumps(BUY | {"quote_amount": "25.000000000001"}), "AMOUNT_OVER_JOB"),
        (json.dumps(BUY | {"quote_amount": None}), "AMOUNT"),
        (json.dumps({"side": "HOLD", "confidence": 1, "amount": "1", "rationale": ""}), "AMOUNT"),
        (json.dumps(without("rationale")), "RATIONALE"),
        (json.dumps(BUY | {"rationale": 7}), "RATIONALE"),
        (json.dumps(BUY | {"rationale": "x" * 501}), "RATIONALE"),
        (json.dumps(BUY | {"rationale": "fine\u202eenif"}), "RATIONALE_HIDDEN"),
        (json.dumps(BUY | {"rationale": "a\U000e0041"}), "RATIONALE_HIDDEN"),
        (json.dumps(BUY | {"rationale": "a\u0000"}), "RATIONALE_HIDDEN"),
        (json.dumps(BUY | {"rationale": "two\nlines"}), "RATIONALE_HIDDEN"),
        (json.dumps(BUY | {"rationale": "\ud800"}), "RATIONALE_HIDDEN"),
    ],
)
def test_anything_else_is_no_opinion(text: str, code: str) -> None:
    with pytest.raises(OpinionError) as refused:
        read_opinion(text, given.CONTENT)
    assert refused.value.code == code


def test_a_side_that_the_job_does_not_offer_is_no_opinion() -> None:
    with pytest.raises(OpinionError, match="SIDE_NOT_OFFERED"):
        read_opinion(json.dumps(BUY), given.content(buy_quote_amount=None))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(list(BUY)) | st.text(), inner),
    max_leaves=8,
)


@everywhere(st.text() | JSON.map(json.dumps))
def test_whatever_is_written_gives_an_opinion_within_the_job_or_one_error(text: str) -> None:
    try:
        opinion = read_opinion(text, given.CONTENT)
    except OpinionError:
        return
    assert 0 <= opinion.confidence <= 100
    most = {Side.BUY: Decimal(25), Side.SELL: Decimal("0.001"), Side.HOLD: Decimal(0)}[opinion.side]
    assert (opinion.amount or Decimal(0)) <= most
