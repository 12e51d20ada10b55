"""Bad decimals, markets, ids, moments and SQL in every field: refused by name, nothing stored, nothing sent."""

# ruff: noqa: RUF001 - the letters that look like others are the point
from collections.abc import Iterator
from itertools import cycle
from typing import Any, Final

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from protos.trade.v1 import trade_pb2 as pb
from tests.contract.harm import CALLERS, OURS, Watch, long_echo
from tests.contract.methods import BUY, BY_NAME, LIMIT, MARKET, METHODS, USER, Method, fields, put
from tests.contract.payloads import SQL
from tests.contract.refusal import Refusal
from tests.contract.stored import Stored
from tests.contract.wishes import new_id

STRING: Final = FieldDescriptor.TYPE_STRING
TEXTS: Final = frozenset({"rationale", "reason", "purpose", "model", "page_token", "actor"})
"""Fields for people's words: any text that fits."""
DECIMALS: Final = frozenset({"amount", "price", "quote_amount", "cost"})
ABSENT_MEANS_ALL: Final = frozenset(
    {"ListProposals", "ListExecutions", "ListDecisions", "ListScanJobs", "GetFees", "ListMarkets"}
)
ID: Final = "0190d0a0-1b2c-7d3e-8f40-5a6b7c8d9e0f"

BAD_DECIMALS: Final = (
    *("１２", "٣", "1_0", " 5 ", "5 ", "\t5", "5\n", "+.5", "+5", ".5", "5.", "1e5", "1E5", "NaN", "nan", "sNaN"),
    *("Infinity", "-Infinity", "inf", "-1", "-0", "−0", "−1", "00", "01", "0x10", "1,5", "1.5.5", "1'000", "5€"),
    *("1" * 13, "0." + "1" * 13, "1" * 13 + ".1", "1e1000000", "9" * 10_000, "1\0", "\ufeff1", "1\u200b", "1/2"),
)
BAD_MARKETS: Final = (
    *(
        "btc-eur",
        "Btc-EUR",
        "BTC/EUR",
        "BTC‑EUR",
        "BTC–EUR",
        "ВТС-EUR",
        "BTC\u200b-EUR",
        "\u202eBTC-EUR",
        "BTC-EUR\u0301",
    ),
    *("BTC-EUR\0", "\0", "../order", "BTC-EUR/../order", "BTC-EUR?x=1", "BTC-EUR#", "BTC-EUR%00", "BTC-EUR\r\nX: y"),
    *("BTC-EUR\n", " BTC-EUR", "BTC EUR", "BTCEUR", "-EUR", "BTC-", "-", "BTC-EUR-X", "A" * 21 + "-EUR", "A" * 10_000),
    *("ＢＴＣ-EUR", "BTC-EU\u212a", "BTC-EUR;"),
)
BAD_IDS: Final = (
    *(
        ID.upper(),
        ID.title(),
        f"{{{ID}}}",
        f"urn:uuid:{ID}",
        ID.replace("-", ""),
        f" {ID}",
        f"{ID}\n",
        f"{ID} ",
        ID[:-1],
    ),
    *(
        f"{ID}0",
        ID.replace("0", "O", 1),
        ID.replace("-", "‑"),
        ID.replace("-", "_"),
        "../" + ID,
        f"{ID}\0",
        "0",
        "null",
    ),
    *("x" * 15_000, "１" * 36, "-" * 36),
)
BAD_USERS: Final = (
    "",
    "Alice",
    "alice ",
    " alice",
    "alice\n",
    "alice\0",
    "al ice",
    "-alice",
    "a" * 64,
    "álice",
    "*",
    "a/b",
)
BAD_HASHES: Final = ("", "0" * 63, "0" * 65, "G" * 64, "A" * 64, "0" * 64 + "\n", "０" * 64)
BAD_MOMENTS: Final = (
    *(Timestamp(seconds=2**62), Timestamp(seconds=-(2**62)), Timestamp(seconds=253_402_300_800)),
    *(Timestamp(seconds=-62_135_596_801), Timestamp(seconds=1, nanos=-1), Timestamp(seconds=1, nanos=10**9)),
)
BAD_SPANS: Final = (
    *(Duration(seconds=2**62), Duration(seconds=-(2**62)), Duration(seconds=-1), Duration(), Duration(seconds=10**9)),
    *(Duration(seconds=2, nanos=-1), Duration(seconds=2, nanos=10**9), Duration(seconds=0, nanos=-1)),
)


def bad_values(method: Method, path: str) -> tuple[Any, ...]:
    """Return what no field of this name may hold."""
    name = path.rpartition(".")[2].removesuffix("[0]")
    if name in DECIMALS or path.startswith(("terms.pace.", "terms.gate.", "terms.buy_", "terms.sell_")):
        signed = {"-1", "-0"} if name == "min_volume_z" else ()  # a deviation, which has a sign
        return tuple(value for value in BAD_DECIMALS if value not in signed)
    if name == "user_id":
        return tuple(user for user in BAD_USERS if user or method.name not in ABSENT_MEANS_ALL)
    if name.endswith("_id"):
        return BAD_IDS if method.name == "ListDecisions" else (*BAD_IDS, "")
    if name in {"market", "markets", "subject"}:
        return BAD_MARKETS if method.name in ABSENT_MEANS_ALL or name == "subject" else (*BAD_MARKETS, "")
    if name in {"content_hash", "sha256"}:
        return BAD_HASHES
    return ("\0", "a\0b")


def wrong_once(method: Method) -> Iterator[tuple[str, Any, Any]]:
    """Yield path, value and a request of this method with this one field wrong."""
    for path in fields(method.request(), STRING):
        for value in bad_values(method, path):
            request = method.good()
            if path.startswith("terms.") and method.is_trade:
                request.terms.CopyFrom(LIMIT)
                if path == "terms.quote_amount":
                    request.terms.CopyFrom(BUY)
            put(request, path, value)
            yield path, value, request
    for field in method.descriptor.input_type.fields:
        kind = field.message_type.full_name if field.message_type is not None else ""
        for value in {"google.protobuf.Timestamp": BAD_MOMENTS, "google.protobuf.Duration": BAD_SPANS}.get(kind, ()):
            request = method.good()
            getattr(request, field.name).CopyFrom(value)
            yield field.name, value, request


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_bad_value_is_refused_by_name_and_does_nothing(watch: Watch, method: Method) -> None:
    with watch.nothing_happens():
        for path, value, request in wrong_once(method):
            told = watch.raw.send(method, request.SerializeToString())
            assert isinstance(told, Refusal), (path, value)
            assert told.code in CALLERS, (path, value, told)
            if told.code is grpc.StatusCode.INVALID_ARGUMENT:
                assert told.reason == "INVALID_REQUEST"
                assert path in told.fields, (path, value, told)
            assert not (isinstance(value, str) and long_echo(told, value)), (path, value)


@pytest.mark.parametrize("until", BAD_MOMENTS, ids=lambda moment: f"{moment.seconds}.{moment.nanos}")
def test_an_impossible_moment_inside_a_list_is_refused_by_name(watch: Watch, until: Timestamp) -> None:
    method = BY_NAME["ApproveProposal"]
    request = method.good()
    request.overrides[0].until.CopyFrom(until)
    told = watch.raw.send(method, request.SerializeToString())
    assert isinstance(told, Refusal)
    assert (told.code, told.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ["overrides[0].until"])


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_every_wrong_field_is_named_at_once(watch: Watch, method: Method) -> None:
    request = method.good()
    every = list(fields(request, STRING))
    wrong = ["user_id"] if method.name == "GetPolicy" else every  # one of two
    for path in wrong:
        put(request, path, bad_values(method, path)[-1] or "\0")
    for field in request.DESCRIPTOR.fields:
        if field.message_type is not None and field.message_type.full_name == "google.protobuf.Duration":
            getattr(request, field.name).CopyFrom(Duration(seconds=-1))
            wrong.append(field.name)
        if field.enum_type is not None and not field.is_repeated:
            setattr(request, field.name, 99)
            wrong.append(field.name)
    told = watch.raw.send(method, request.SerializeToString())
    if not wrong:
        assert isinstance(told, bytes)
        return
    assert isinstance(told, Refusal)
    assert told.code in CALLERS
    if told.code is grpc.StatusCode.INVALID_ARGUMENT:
        assert set(wrong) <= set(told.fields)


@pytest.mark.parametrize(
    ("terms", "wrong"),
    [
        ({"order_type": 1, "amount": "0", "price": "0.000"}, ["terms.amount", "terms.price"]),
        ({"order_type": 1}, ["terms.amount", "terms.price"]),
        ({"order_type": 1, "amount": "1", "price": "1", "quote_amount": "1"}, ["terms.quote_amount"]),
        ({"order_type": 2, "amount": "1"}, ["terms.amount", "terms.quote_amount"]),
        ({"order_type": 2, "quote_amount": "0"}, ["terms.quote_amount"]),
        ({"order_type": 2, "side": 2, "quote_amount": "1"}, ["terms.amount", "terms.quote_amount"]),
        ({"order_type": 2, "quote_amount": "1", "time_in_force": 2}, ["terms.time_in_force"]),
        ({"order_type": 2, "quote_amount": "1", "post_only": True}, ["terms.post_only"]),
        ({"order_type": 1, "amount": "1", "price": "1", "time_in_force": 3, "post_only": True}, ["terms.post_only"]),
        ({"side": 0, "order_type": 0}, ["terms.side", "terms.order_type"]),
    ],
)
@pytest.mark.parametrize("name", ["SubmitProposal", "PlaceOrder"])
def test_terms_that_do_not_fit_each_other_are_refused_by_name(
    watch: Watch, name: str, terms: dict[str, Any], wrong: list[str]
) -> None:
    request: Any = BY_NAME[name].good()
    request.terms.CopyFrom(pb.OrderTerms(**{"market": MARKET, "side": 1, **terms}))
    with watch.nothing_happens():
        told = watch.raw.send(BY_NAME[name], request.SerializeToString())
    assert isinstance(told, Refusal)
    assert (told.code, sorted(told.fields)) == (grpc.StatusCode.INVALID_ARGUMENT, sorted(wrong))


def test_two_spellings_of_an_id_are_never_two_proposals(watch: Watch) -> None:
    method = BY_NAME["SubmitProposal"]
    request = method.good()
    request.proposal_id = ID
    assert isinstance(watch.raw.send(method, request.SerializeToString()), bytes)
    with watch.nothing_happens():
        for other in (ID.upper(), f"{{{ID}}}", f"urn:uuid:{ID}", ID.replace("-", "")):
            request.proposal_id = other
            assert isinstance(watch.raw.send(method, request.SerializeToString()), Refusal)


def test_an_oversized_request_is_refused_and_the_connection_goes_on(watch: Watch) -> None:
    sizes = [(method, 16 * 1024 + 1) for method in METHODS[::5]]
    with watch.nothing_happens():
        for method, size in [*sizes, (BY_NAME["SubmitProposal"], 5_000_000), (BY_NAME["GetTicker"], 5_000_000)]:
            told = watch.raw.send(method, b"\x0a" + b"a" * size)
            assert isinstance(told, Refusal)
            assert told.code is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert len(told.message) < 200


# --- SQL ---


def test_sql_in_any_field_is_refused_or_stored_as_it_is(watch: Watch, stored: Stored) -> None:
    assert len(SQL) >= 500
    submit, others = BY_NAME["SubmitProposal"], cycle([*strict_fields(), *texts_of()])
    with watch.nothing_happens(but=["users", "trade_proposals", "gpt_usage_log"]):
        for payload in SQL:
            request: Any = submit.good()
            request.user_id = f"{USER}-sql"
            request.rationale = payload
            assert isinstance(watch.raw.send(submit, request.SerializeToString()), bytes), payload
            method, path = next(others)
            wrong = method.good()
            put(wrong, path, payload)
            told = watch.raw.send(method, wrong.SerializeToString())
            assert not (isinstance(told, Refusal) and told.code in OURS), (method.name, path, payload)
    query = "SELECT array_agg(rationale) FROM trade_proposals WHERE user_id = %(user)s"
    kept = stored.value(query, user=f"{USER}-sql")
    assert isinstance(kept, list)
    assert sorted(kept) == sorted(SQL)


def strict_fields() -> list[tuple[Method, str]]:
    """Return every string field that is not for people's words."""
    return [
        (method, path)
        for method in METHODS
        for path in fields(method.request(), STRING)
        if path.rpartition(".")[2].removesuffix("[0]") not in TEXTS
    ]


def texts_of() -> list[tuple[Method, str]]:
    """Return the fields for words of calls that reach the database."""
    return [
        (BY_NAME["DeclineProposal"], "reason"),
        (BY_NAME["CancelExecution"], "reason"),
        (BY_NAME["SettleBudget"], "model"),
        (BY_NAME["ListProposals"], "page_token"),
    ]


def test_words_are_stored_whole_in_every_field_for_words(watch: Watch, stored: Stored) -> None:
    words = "'; DROP TABLE users; -- \\ \" ${x} {{x}} %s %(user_id)s \u202e 🙂 \x01\x7f"
    user, reservation_id = f"{USER}-words", new_id()
    for name, wish in (
        ("ReserveBudget", {"reservation_id": reservation_id, "purpose": words}),
        ("SettleBudget", {"reservation_id": reservation_id, "model": words}),
    ):
        request: Any = BY_NAME[name].good()
        request.user_id = user
        for field, value in wish.items():
            setattr(request, field, value)
        assert isinstance(watch.raw.send(BY_NAME[name], request.SerializeToString()), bytes)
    query = "SELECT array_agg(purpose || '|' || model) FROM gpt_usage_log WHERE user_id = %(user)s"
    assert stored.value(query, user=user) == [f"{words}|{words}"]
