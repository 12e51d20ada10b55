"""The client of the model against a real server: one request each, caps that hold, nothing read without the form."""

import json
import socket
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal

import pytest

from kernel.secret import Secret
from market_service.scan.job import Opinion, Side
from market_service.scan.model_analyst import ModelAnalyst, ModelSettings, Prices, checked_url
from market_service.scan.ports import AnalystError, Usage
from tests.market_service.scan import given
from tests.market_service.scan.fake_model import BUY, KEY, MODEL, FakeModel, completion

PRICES = Prices(Decimal("0.15"), Decimal("0.60"), "USD")


@pytest.fixture
def model() -> Iterator[FakeModel]:
    with FakeModel().served() as serving:
        yield serving


@pytest.fixture
async def analyst(model: FakeModel) -> AsyncIterator[ModelAnalyst]:
    made = ModelAnalyst(ModelSettings(model.url, MODEL, Secret(KEY), 1.0, PRICES))
    yield made
    await made.close()


async def refused(analyst: ModelAnalyst) -> AnalystError:
    with pytest.raises(AnalystError) as error:
        await analyst.judge(given.CONTENT, given.SNAPSHOT)
    return error.value


async def test_an_answer_of_the_form_is_an_opinion_with_its_cost(analyst: ModelAnalyst, model: FakeModel) -> None:
    opinion, usage = await analyst.judge(given.CONTENT, given.SNAPSHOT)
    assert opinion == Opinion(Side.BUY, 75, Decimal(25), "it rises")
    assert usage == Usage(MODEL, 120, 30, Decimal("0.000036"), "USD")
    assert model.calls == 1


async def test_a_new_key_is_sent_from_the_next_question_on(model: FakeModel) -> None:
    analyst = ModelAnalyst(ModelSettings(model.url, MODEL, Secret("key-of-before"), 1.0, PRICES))
    assert (await refused(analyst)).code == "MODEL_HTTP_401"
    analyst.use_key(Secret(KEY))
    await analyst.judge(given.CONTENT, given.SNAPSHOT)
    await analyst.close()


async def test_the_model_is_told_numbers_and_no_word_of_ours_but_the_task(
    analyst: ModelAnalyst, model: FakeModel
) -> None:
    await analyst.judge(given.CONTENT, given.SNAPSHOT)
    (question,) = model.questions
    told = json.loads(question["messages"][1]["content"])
    assert told["price"] == "75000"
    assert told["most_quote_amount_of_a_buy"] == "25"
    assert given.CONTENT.user_id not in json.dumps(question["messages"])
    assert question["max_tokens"] == 400


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"body": completion(BUY | {"confidence": "high"})}, "ANSWER_CONFIDENCE"),
        ({"body": completion(BUY | {"approve": True})}, "ANSWER_FIELD_UNKNOWN"),
        ({"body": completion("Sure! Here is my answer.")}, "ANSWER_NOT_JSON"),
        ({"body": completion(BUY, choices=[])}, "ANSWER_SHAPE"),
        (
            {"body": completion(BUY, choices=[{"message": {"content": json.dumps(BUY)}, "finish_reason": "length"}])},
            "ANSWER_SHAPE",
        ),
        ({"body": completion(BUY, choices={"message": "x"})}, "ANSWER_SHAPE"),
        ({"body": completion(" " * 9_000 + json.dumps(BUY))}, "ANSWER_SHAPE"),
        ({"body": completion("x" * 1_000_000)}, "MODEL_ANSWER_TOO_LARGE"),
        ({"body": b"<html>"}, "MODEL_ANSWER_UNREADABLE"),
        ({"body": b"[]"}, "MODEL_ANSWER_UNREADABLE"),
        ({"body": b"\xff\xfe"}, "MODEL_ANSWER_UNREADABLE"),
        ({"headers": {"content-encoding": "gzip"}}, "MODEL_ANSWER_PACKED"),
        ({"headers": {"content-length": "100000"}}, "MODEL_ANSWER_LOST"),
        ({"status": 500}, "MODEL_HTTP_500"),
        ({"status": 429}, "MODEL_HTTP_429"),
        ({"status": 307, "headers": {"location": "/v1/elsewhere"}}, "MODEL_HTTP_307"),
        ({"delay_seconds": 2.0}, "MODEL_TOO_SLOW"),
    ],
)
async def test_any_other_answer_is_none_and_the_call_is_counted_and_made_once(
    analyst: ModelAnalyst, model: FakeModel, changes: dict[str, object], code: str
) -> None:
    for name, value in changes.items():
        setattr(model, name, value)
    error = await refused(analyst)
    assert (error.code, error.sent, model.calls) == (code, True, 1)


@pytest.mark.parametrize(
    "usage",
    [None, [], {"prompt_tokens": -1, "completion_tokens": "9"}, {"prompt_tokens": 10**30}, {"prompt_tokens": True}],
)
async def test_nonsense_about_tokens_counts_as_nothing(analyst: ModelAnalyst, model: FakeModel, usage: object) -> None:
    model.body = completion(BUY, usage=usage)
    _, spent = await analyst.judge(given.CONTENT, given.SNAPSHOT)
    assert (spent.input_tokens, spent.output_tokens, spent.cost) == (0, 0, Decimal(0))


async def test_a_model_that_cannot_be_reached_was_not_asked() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        analyst = ModelAnalyst(ModelSettings(url, MODEL, Secret(KEY), 1.0, None))
        error = await refused(analyst)
        await analyst.close()
    assert (error.code, error.sent) == ("MODEL_UNREACHABLE", False)


@pytest.mark.parametrize(
    "url",
    [
        *("http://api.example.com/v1", "http://localhost/v1", "ftp://127.0.0.1/v1", "https://", ""),
        *("https://user:pass@api.example.com/v1", "https://api.example.com/v1?key=1", "https://api.example.com/#x"),
    ],
)
def test_a_url_that_would_show_the_key_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="expected https"):
        checked_url(url)


@pytest.mark.parametrize("url", ["https://api.example.com/v1", "https://api.example.com/v1/", "http://[::1]:8/v1"])
def test_a_url_with_tls_or_on_loopback_is_taken(url: str) -> None:
    assert checked_url(url).endswith("/v1/")
