"""What a meaningful answer looks like, whichever client brought it; written from the exchange's documents."""

from decimal import Decimal, InvalidOperation

from tests.conformance.report import Answer

MARKET = "BTC-EUR"
OPERATOR = 1001
ORDER_ID_LENGTH = 36
NINE_DIGITS_NS = 10**18
FIRST_MS, LAST_MS = 1_600_000_000_000, 4_000_000_000_000
CANDLE_FIELDS = 6


def is_number(text: Answer) -> bool:
    """A plain decimal string."""
    try:
        return isinstance(text, str) and "e" not in text.lower() and Decimal(text).is_finite()
    except InvalidOperation:
        return False


def is_ms(value: Answer) -> bool:
    """A time in Unix ms of this century."""
    return isinstance(value, int) and FIRST_MS < value < LAST_MS


def time(answer: Answer) -> bool:
    return is_ms(answer["time"]) and answer["timeNs"] > NINE_DIGITS_NS


def market(row: Answer) -> bool:
    return (
        row["market"] == f"{row['base']}-{row['quote']}"
        and row["status"] == "trading"
        and is_number(row["tickSize"])
        and isinstance(row["quantityDecimals"], int)
        and is_number(row["minOrderInQuoteAsset"])
        and "limit" in row["orderTypes"]
    )


def asset(row: Answer) -> bool:
    return isinstance(row["decimals"], int) and bool(row["networks"]) and row["depositStatus"] == "OK"


def book(answer: Answer) -> bool:
    bids = [Decimal(price) for price, _ in answer["bids"]]
    asks = [Decimal(price) for price, _ in answer["asks"]]
    sorted_right = bids == sorted(bids, reverse=True) and asks == sorted(asks)
    return bool(bids and asks) and sorted_right and bids[0] < asks[0] and answer["nonce"] > 0


def public_trade(row: Answer) -> bool:
    return len(row["id"]) == ORDER_ID_LENGTH and is_number(row["price"]) and row["side"] in ("buy", "sell")


def candle(row: Answer) -> bool:
    opened, high, low, close = (Decimal(text) for text in row[1:5])
    return len(row) == CANDLE_FIELDS and is_ms(row[0]) and low <= min(opened, close) <= max(opened, close) <= high


def newest_first(rows: Answer) -> bool:
    times = [row[0] if isinstance(row, list) else row["timestamp"] for row in rows]
    return bool(rows) and times == sorted(times, reverse=True)


def day(row: Answer) -> bool:
    return Decimal(row["low"]) <= Decimal(row["last"]) <= Decimal(row["high"]) and Decimal(row["volume"]) > 0


def best(row: Answer) -> bool:
    return Decimal(row["bid"]) < Decimal(row["ask"])


def order(row: Answer, status: str = "new", order_type: str = "limit") -> bool:
    return (
        len(row["orderId"]) == ORDER_ID_LENGTH
        and (row["market"], row["status"], row["orderType"]) == (MARKET, status, order_type)
        and is_ms(row["created"])
        and is_number(row["filledAmount"])
        and row["operatorId"] == OPERATOR
    )


def filled(row: Answer) -> bool:
    """A filled market buy whose parts add up."""
    fees = sum(Decimal(fill["fee"]) for fill in row["fills"])
    value = sum(Decimal(fill["amount"]) * Decimal(fill["price"]) for fill in row["fills"])
    return (
        order(row, "filled", "market")
        and bool(row["fills"])
        and fees == Decimal(row["feePaid"])
        and value == Decimal(row["filledAmountQuote"])
    )


def own_trade(row: Answer) -> bool:
    return public_trade(row) and len(row["orderId"]) == ORDER_ID_LENGTH and row["feeCurrency"] == "EUR"


def canceled(answer: Answer, order_id: str) -> bool:
    return bool(answer["orderId"] == order_id)


def rates(answer: Answer) -> bool:
    return Decimal(answer["maker"]) < Decimal(answer["taker"]) < Decimal("0.01")


def balances(rows: Answer) -> bool:
    by_symbol = {row["symbol"]: row for row in rows}
    return Decimal(by_symbol["EUR"]["available"]) > 0 and is_number(by_symbol["BTC"]["inOrder"])
