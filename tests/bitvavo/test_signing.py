import pytest

from bitvavo.signing import Credentials, sign, signed_headers
from kernel.secret import Secret

S = "0123456789abcdef" * 8
LIMIT_BODY = (
    b'{"market":"BTC-EUR","side":"buy","orderType":"limit","operatorId":1001,'
    b'"clientOrderId":"0b2f6b1e-8d0a-4c7e-9a4e-2f6f2a4b8c11","amount":"0.001","price":"50000"}'
)

# The first three are the exchange's own examples (https://docs.bitvavo.com/docs/rest-api/introduction/).
VECTORS = [
    (
        "bitvavo",
        1548172481125,
        "POST",
        "/v2/order",
        b'{"market":"BTC-EUR","side":"buy","price":"5000","amount":"1.23","orderType":"limit"}',
        "44d022723a20973a18f7ee97398b9fdd405d2d019c8d39e24b8cc0dcb39ca016",
    ),
    (
        "bitvavo",
        1548175200641,
        "GET",
        "/v2/websocket",
        b"",
        "653fc0505431c63a043273da4bd2f0927eae83948d796084f313e5d1131b0d6f",
    ),
    (
        "bitvavo",
        1548172481125,
        "GET",
        "/v2/rfq/trades",
        b"",
        "5cabebe6735355a6e359bebc4a3c9ceef649afa455b7cf6cc11af65627cb99f3",
    ),
    (S, 1795500000000, "GET", "/v2/account", b"", "93d7f526952f79ceaea0a973aa0ddd7a7d174a65211dee272e2161aa9e62ac9b"),
    (
        S,
        1795500000000,
        "GET",
        "/v2/balance?symbol=EUR",
        b"",
        "82130d617e3dcfe55ec9fd3739ec1d65f15eec426dace9a1fc3e583d0e98f0ef",
    ),
    (
        S,
        1795500000000,
        "GET",
        "/v2/websocket",
        b"",
        "9e98c44d8682564e828f75f1a45b5691c59ae193e0203f40c85b4b946055c2d9",
    ),
    (
        S,
        1795500000000,
        "POST",
        "/v2/order",
        LIMIT_BODY,
        "c2ac5d6c2a4631dddd294c49995bb1fcdc22a684dca50bcdeef274ab066ea4ba",
    ),
    (
        S,
        1795500000000,
        "DELETE",
        "/v2/order?market=BTC-EUR&clientOrderId=0b2f6b1e-8d0a-4c7e-9a4e-2f6f2a4b8c11&operatorId=1001",
        b"",
        "52ff8391a66f65d034a6acdc76df6428875d044a1fcd2d5b609662c0a4010144",
    ),
]


@pytest.mark.parametrize(("secret", "timestamp_ms", "method", "path", "body", "signature"), VECTORS)
def test_a_signature_equals_the_published_vector(
    secret: str, timestamp_ms: int, method: str, path: str, body: bytes, signature: str
) -> None:
    assert sign(Secret(secret), timestamp_ms, method, path, body) == signature


def test_the_headers_carry_key_signature_timestamp_and_window() -> None:
    headers = signed_headers(Credentials(Secret("k"), Secret(S)), 1795500000000, 2000, "GET", "/v2/account", b"")
    assert headers == {
        "Bitvavo-Access-Key": "k",
        "Bitvavo-Access-Signature": "93d7f526952f79ceaea0a973aa0ddd7a7d174a65211dee272e2161aa9e62ac9b",
        "Bitvavo-Access-Timestamp": "1795500000000",
        "Bitvavo-Access-Window": "2000",
    }


@pytest.mark.parametrize("window_ms", [0, 99, 60_001])
def test_a_window_the_exchange_would_refuse_is_never_signed(window_ms: int) -> None:
    with pytest.raises(ValueError, match="window"):
        signed_headers(Credentials(Secret("k"), Secret(S)), 1, window_ms, "GET", "/v2/account", b"")


@pytest.mark.parametrize("window_ms", [100, 60_000])
def test_a_window_at_the_exchanges_bounds_is_signed(window_ms: int) -> None:
    assert signed_headers(Credentials(Secret("k"), Secret(S)), 1, window_ms, "GET", "/v2/account", b"")


def test_credentials_print_neither_key_nor_secret() -> None:
    assert "hush" not in f"{Credentials(Secret('hush-key'), Secret('hush-secret'))!r}"
