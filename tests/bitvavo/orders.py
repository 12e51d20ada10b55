"""Order objects as the exchange writes them, to be spoiled in one place at a time."""

import json
from typing import Any, Final

CLIENT_ORDER_ID: Final = "0b2f6b1e-8d0a-4c7e-9a4e-2f6f2a4b8c11"
ORDER_ID: Final = "1be6d0df-d5dc-4b53-a250-3376f3b393e6"
MARKET: Final = "BTC-EUR"

FILL: Final[dict[str, Any]] = {
    "id": "371c6bd3-d06d-4573-9f15-18697cd210e5",
    "timestamp": 1795500000120,
    "amount": "0.0004",
    "price": "50000",
    "taker": True,
    "fee": "0.05",
    "feeCurrency": "EUR",
    "settled": True,
}

LIMIT_ORDER: Final[dict[str, Any]] = {
    "orderId": ORDER_ID,
    "clientOrderId": CLIENT_ORDER_ID,
    "market": MARKET,
    "created": 1795500000000,
    "createdNs": 1795500000000000000,
    "updated": 1795500000123,
    "updatedNs": 1795500000123000000,
    "status": "partiallyFilled",
    "side": "buy",
    "orderType": "limit",
    "amount": "0.001",
    "amountRemaining": "0.0006",
    "price": "50000",
    "onHold": "30.08",
    "onHoldCurrency": "EUR",
    "filledAmount": "0.0004",
    "filledAmountQuote": "20",
    "feePaid": "0.05",
    "feeCurrency": "EUR",
    "fills": [FILL],
    "selfTradePrevention": "decrementAndCancel",
    "visible": True,
    "timeInForce": "GTC",
    "postOnly": False,
    "operatorId": 1001,
}

# Placed with amountQuote: the exchange leaves out amount, amountRemaining and price.
QUOTE_ORDER: Final[dict[str, Any]] = {
    **{
        k: v
        for k, v in LIMIT_ORDER.items()
        if k not in {"amount", "amountRemaining", "price", "timeInForce", "postOnly"}
    },
    "status": "filled",
    "orderType": "market",
    "amountQuote": "10",
    "amountQuoteRemaining": "0",
    "filledAmount": "0.00030321",
    "filledAmountQuote": "9.97506229713",
    "feePaid": "0.02493770287",
}


def written(value: object) -> bytes:
    """Write JSON."""
    return json.dumps(value).encode()


def changed(**fields: object) -> bytes:
    """Write the limit order with some fields replaced."""
    return written({**LIMIT_ORDER, **fields})


def without(*names: str) -> bytes:
    """Write the limit order without some fields."""
    return written({name: value for name, value in LIMIT_ORDER.items() if name not in names})
