import pytest

from bitvavo.endpoints import (
    CREATE_ORDER,
    MARKET_ENDPOINTS,
    OPEN_ORDERS,
    TICKER_24H,
    TRADE_ENDPOINTS,
    AllowList,
    ForbiddenEndpointError,
)

MARKET_ALLOWED = [
    *("/v2/time", "/v2/markets", "/v2/assets", "/v2/BTC-EUR/book", "/v2/BTC-EUR/trades", "/v2/1INCH-USDC/candles"),
    *("/v2/ticker/price", "/v2/ticker/book", "/v2/ticker/24h"),
    *("/v2/balance", "/v2/account", "/v2/account/fees", "/v2/account/history"),
]
TRADE_ALLOWED = [
    *(("POST", "/v2/order"), ("GET", "/v2/order"), ("DELETE", "/v2/order"), ("GET", "/v2/orders")),
    *(("GET", "/v2/ordersOpen"), ("GET", "/v2/trades"), ("GET", "/v2/time")),
]
IN_NEITHER = [
    *(
        ("PUT", "/v2/order"),
        ("DELETE", "/v2/orders"),
        ("DELETE", "/v2/atomic/orders"),
        ("POST", "/v2/cancelOrdersAfter"),
    ),
    *(("POST", "/v2/withdrawal"), ("POST", "/v2/crypto/withdrawal"), ("GET", "/v2/withdrawalHistory")),
    *(("GET", "/v2/deposit"), ("GET", "/v2/depositHistory"), ("GET", "/v2/stakingBalance"), ("POST", "/v2/orders")),
    *(("GET", "/v2/report/BTC-EUR/book"), ("GET", "/v2/subaccounts"), ("PATCH", "/v2/order"), ("HEAD", "/v2/time")),
    *(("GET", "/order"), ("GET", "/v3/order"), ("GET", ""), ("GET", "/"), ("GET", "/v2"), ("GET", "/v2/")),
    *(("post", "/v2/order"), ("POST ", "/v2/order"), ("POST", "/v2/order/"), ("POST", "/v2//order")),
    *(("POST", "//v2/order"), ("POST", "/v2/order/../withdrawal"), ("POST", "/v2/./order"), ("POST", "/v2/Order")),
    *(("POST", "/v2/order%2f"), ("POST", "/v2%2Forder"), ("POST", "/v2/%6Frder"), ("POST", "/v2/order;x=1")),
    *(("POST", "/v2/order\n"), ("POST", "/v2/order\x00"), ("POST", "/v2/order#x"), ("POST", "/v2/order?x")),
    *(("GET", "/v2/btc-eur/book"), ("GET", "/v2/BTC-EUR/../../withdrawal/book"), ("GET", "/v2/BTC/book")),
    *(("GET", "/v2/BTC-EUR%2F..%2Fwithdrawal/book"), ("GET", "/v2/ticker/25h"), ("GET", "/v2/accountXfees")),
]


@pytest.mark.parametrize("path", MARKET_ALLOWED)
def test_the_market_list_holds_its_reads_and_the_trade_list_does_not(path: str) -> None:
    assert MARKET_ENDPOINTS.require("GET", path).method == "GET"
    if path != "/v2/time":
        with pytest.raises(ForbiddenEndpointError):
            TRADE_ENDPOINTS.require("GET", path)


@pytest.mark.parametrize(("method", "path"), TRADE_ALLOWED)
def test_the_trade_list_holds_its_calls_and_the_market_list_does_not(method: str, path: str) -> None:
    assert TRADE_ENDPOINTS.require(method, path).method == method
    if path != "/v2/time":
        with pytest.raises(ForbiddenEndpointError):
            MARKET_ENDPOINTS.require(method, path)


@pytest.mark.parametrize("allow", [MARKET_ENDPOINTS, TRADE_ENDPOINTS])
@pytest.mark.parametrize(("method", "path"), IN_NEITHER)
def test_everything_else_is_on_neither_list(method: str, path: str, allow: AllowList) -> None:
    with pytest.raises(ForbiddenEndpointError):
        allow.require(method, path)


@pytest.mark.parametrize("path", MARKET_ALLOWED)
def test_no_market_path_can_be_written_to(path: str) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        with pytest.raises(ForbiddenEndpointError):
            MARKET_ENDPOINTS.require(method, path)


def test_the_lists_are_exactly_these_long() -> None:
    assert len(list(MARKET_ENDPOINTS)) == len(MARKET_ALLOWED)
    assert len(list(TRADE_ENDPOINTS)) == len(TRADE_ALLOWED)


def test_an_empty_list_forbids_everything() -> None:
    with pytest.raises(ForbiddenEndpointError):
        AllowList(()).require("GET", "/v2/time")


def test_only_public_data_and_the_clock_go_unsigned() -> None:
    unsigned = {each.path for allow in (MARKET_ENDPOINTS, TRADE_ENDPOINTS) for each in allow if not each.signed}
    assert unsigned == {
        *("/time", "/markets", "/assets", "/{market}/book", "/{market}/trades", "/{market}/candles"),
        *("/ticker/price", "/ticker/book", "/ticker/24h"),
    }


def test_a_call_without_a_market_costs_more_where_the_exchange_says_so() -> None:
    assert (OPEN_ORDERS.weight_for("BTC-EUR"), OPEN_ORDERS.weight_for(None)) == (5, 100)
    assert (TICKER_24H.weight_for("BTC-EUR"), TICKER_24H.weight_for(None)) == (1, 25)
    assert CREATE_ORDER.weight_for(None) == 1
