"""The signature check against the exchange's published vectors and its two body forms."""

from collections.abc import Callable
from functools import partial

import pytest

from exchange_sim.accounts import Account, ApiKey
from exchange_sim.refusal import Refusal
from exchange_sim.signatures import Claim, check_signature, check_time, find_key, read_times, sign
from exchange_sim.switches import Switches
from tests.exchange_sim.world import KEY, World

LONG = "0123456789abcdef" * 8
CLIENT_ID = "0b2f6b1e-8d0a-4c7e-9a4e-2f6f2a4b8c11"
# Secret, signed text, signature: the first three are the exchange's own.
VECTORS = [
    (
        "bitvavo",
        '1548172481125POST/v2/order{"market":"BTC-EUR","side":"buy","price":"5000","amount":"1.23","orderType":"limit"}',
        "44d022723a20973a18f7ee97398b9fdd405d2d019c8d39e24b8cc0dcb39ca016",
    ),
    (
        "bitvavo",
        "1548175200641GET/v2/websocket",
        "653fc0505431c63a043273da4bd2f0927eae83948d796084f313e5d1131b0d6f",
    ),
    (
        "bitvavo",
        "1548172481125GET/v2/rfq/trades",
        "5cabebe6735355a6e359bebc4a3c9ceef649afa455b7cf6cc11af65627cb99f3",
    ),
    (LONG, "1795500000000GET/v2/account", "93d7f526952f79ceaea0a973aa0ddd7a7d174a65211dee272e2161aa9e62ac9b"),
    (
        LONG,
        "1795500000000GET/v2/balance?symbol=EUR",
        "82130d617e3dcfe55ec9fd3739ec1d65f15eec426dace9a1fc3e583d0e98f0ef",
    ),
    (LONG, "1795500000000GET/v2/websocket", "9e98c44d8682564e828f75f1a45b5691c59ae193e0203f40c85b4b946055c2d9"),
    (
        LONG,
        (
            '1795500000000POST/v2/order{"market":"BTC-EUR","side":"buy","orderType":"limit","operatorId":1001,'
            f'"clientOrderId":"{CLIENT_ID}","amount":"0.001","price":"50000"}}'
        ),
        "c2ac5d6c2a4631dddd294c49995bb1fcdc22a684dca50bcdeef274ab066ea4ba",
    ),
    (
        LONG,
        f"1795500000000DELETE/v2/order?market=BTC-EUR&clientOrderId={CLIENT_ID}&operatorId=1001",
        "52ff8391a66f65d034a6acdc76df6428875d044a1fcd2d5b609662c0a4010144",
    ),
]


@pytest.mark.parametrize(("secret", "text", "signature"), VECTORS)
def test_the_published_vectors_come_out(secret: str, text: str, signature: str) -> None:
    assert sign(secret.encode(), text.encode()) == signature


def refused_with(check: Callable[[], object]) -> int | None:
    try:
        check()
    except Refusal as refusal:
        return refusal.code
    return None


def accepts(body: bytes, signed_body: bytes, switches: Switches) -> bool:
    key = ApiKey(KEY, b"secret", Account("a"))
    claim = Claim(KEY, sign(b"secret", b"1795500000000POST/v2/order" + signed_body), "1795500000000", None)
    return refused_with(lambda: check_signature(key, claim, "POST", "/v2/order", body, switches)) is None


@pytest.mark.parametrize(
    ("body", "signed", "either", "raw", "compact"),
    [
        (b'{"b": 1, "a": 2}', b'{"b": 1, "a": 2}', True, True, False),
        (b'{"b": 1, "a": 2}', b'{"b":1,"a":2}', True, False, True),
        (b'{"b":1,"a":2}', b'{"b":1,"a":2}', True, True, True),
        (b"{}", b"", True, False, True),
        (b"{}", b"{}", True, True, False),
        (b'{"b": 1, "a": 2}', b'{"a":2,"b":1}', False, False, False),
        (b"not json", b"not json", True, True, False),
        (b"", b"{}", False, False, False),
    ],
)
def test_a_body_is_signed_raw_or_compact_and_an_empty_object_as_nothing(
    body: bytes,
    signed: bytes,
    either: bool,  # noqa: FBT001  a column of the table
    raw: bool,  # noqa: FBT001
    compact: bool,  # noqa: FBT001
) -> None:
    assert accepts(body, signed, Switches()) is either
    assert accepts(body, signed, Switches(signed_body="raw")) is raw
    assert accepts(body, signed, Switches(signed_body="compact")) is compact


@pytest.mark.parametrize(
    ("claim", "code"),
    [
        (Claim(None, None, None, None), 300),
        (Claim("k" * 63, "0" * 64, "1795500000000", None), 301),
        (Claim(KEY, "0" * 63, "1795500000000", None), 308),
        (Claim(KEY, "0" * 63 + "G", "1795500000000", None), 308),
        (Claim(KEY, None, "1795500000000", None), 308),
        (Claim("z" * 64, "0" * 64, "1795500000000", None), 305),
        (Claim(KEY, "0" * 64, None, None), 302),
        (Claim(KEY, "0" * 64, "1795500000", None), 302),
        (Claim(KEY, "0" * 64, "1795500000000000", None), 302),
        (Claim(KEY, "0" * 64, "1795500000000", "99"), 303),
        (Claim(KEY, "0" * 64, "1795500000000", "60001"), 303),
        (Claim(KEY, "0" * 64, "1795500000000", "-5000"), 303),
    ],
)
def test_a_malformed_claim_has_its_own_code(claim: Claim, code: int) -> None:
    keys = {KEY: ApiKey(KEY, b"secret", Account("a"))}
    assert refused_with(lambda: (find_key(keys, claim, "127.0.0.1"), read_times(claim))) == code


def test_the_window_is_ten_seconds_unless_said() -> None:
    assert read_times(Claim(KEY, None, "1795500000000", None)) == (1_795_500_000_000, 10_000)
    assert read_times(Claim(KEY, None, "1795500000000", "100")) == (1_795_500_000_000, 100)


def is_in_time(timestamp_ms: int, now_ms: int, switches: Switches) -> bool:
    return refused_with(lambda: check_time(timestamp_ms, 5_000, now_ms, switches)) is None


@pytest.mark.parametrize(("age_ms", "passes"), [(0, True), (5_000, True), (5_001, False), (-1, False)])
def test_a_request_counts_until_its_window_and_never_before_its_time(age_ms: int, passes: bool) -> None:  # noqa: FBT001
    assert is_in_time(1_000_000, 1_000_000 + age_ms, Switches()) is passes


def test_timestamps_of_the_future_are_a_switch() -> None:
    assert is_in_time(1_001_000, 1_000_000, Switches(future_timestamp_tolerance_ms=1_000))
    assert not is_in_time(1_001_001, 1_000_000, Switches(future_timestamp_tolerance_ms=1_000))
    assert is_in_time(9_000_000, 1_000_000, Switches(future_timestamp_tolerance_ms=None))


def test_a_key_may_be_unconfirmed_or_bound_to_an_address() -> None:
    claim = Claim(KEY, "0" * 64, "1795500000000", None)
    for key, code in (
        (ApiKey(KEY, b"", Account("a"), confirmed=False), 306),
        (ApiKey(KEY, b"", Account("a"), addresses=frozenset({"10.0.0.1"})), 307),
    ):
        assert refused_with(partial(find_key, {KEY: key}, claim, "127.0.0.1")) == code


async def test_the_exchanges_own_clock_decides_about_the_window(world: World) -> None:
    assert (await world.call("GET", "/balance", age_ms=5_000)).status == 200
    assert (await world.call("GET", "/balance", age_ms=5_001)).code == 304
    await world.admin("POST", "clock", {"offset_ms": -60_000})
    assert (await world.call("GET", "/balance")).code == 304
    assert (await world.call("GET", "/balance", age_ms=60_000)).status == 200
    assert (await world.public("/time")).json["time"] == world.exchange.now_ms()


async def test_an_order_out_of_its_window_is_not_placed(world: World) -> None:
    body = {"market": "BTC-EUR", "side": "buy", "orderType": "market", "operatorId": 7, "amount": "0.01"}
    assert (await world.call("POST", "/order", body, age_ms=5_001)).code == 304
    assert world.exchange.ledger.orders == []


async def test_a_public_question_may_be_signed_but_not_wrongly(world: World) -> None:
    assert (await world.call("GET", "/time")).status == 200
    assert (await world.call("GET", "/time", key="z" * 64)).code == 305
