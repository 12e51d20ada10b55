"""Deposits, withdrawals and staking, as answers only: nothing here ever moves money.

A withdrawal is checked as the exchange checks it and answered as if it were on its way; balances stay as they are.
https://docs.bitvavo.com/docs/rest-api/.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import cast

from exchange_sim import fixed, parameters
from exchange_sim.endpoint import VIEW, WITHDRAW, Call, Endpoint, check_right
from exchange_sim.history import moment
from exchange_sim.public_endpoints import asset_row, read_window
from exchange_sim.refusal import Refusal, invalid
from exchange_sim.rules import FIAT

MOST_ROWS, USUAL_ROWS = 1_000, 500
# No address of any network is shorter, longer, or holds anything else.
_ADDRESS = re.compile(r"[A-Za-z0-9:]{20,128}\Z")
_IDEMPOTENCY_KEY = re.compile(r".{5,50}\Z")


def staking_balance(call: Call) -> object:
    """What is staked, by asset."""
    wanted = _symbol(call, "symbol") if "symbol" in call.parameters else None
    staked = sorted(call.account.staked.items())
    return [
        {"symbol": symbol, "amount": fixed.write_atoms(atoms)} for symbol, atoms in staked if wanted in (None, symbol)
    ]


def deposit(call: Call) -> object:
    """Where to deposit: an address made of account and asset, or a bank account."""
    symbol = _symbol(call, "symbol")
    if _row(call, symbol)["depositStatus"] != "OK":
        raise Refusal(401, f"Deposits for {symbol} are not available at this moment.")
    digest = sha256(f"{call.account.name} {symbol}".encode()).hexdigest()
    if symbol in FIAT:
        return {"iban": f"NL00SIMU{int(digest[:12], 16) % 10**10:010d}", "bic": "SIMUNL2A", "description": digest[:12]}
    return {"address": digest[:40], "paymentid": digest[40:50]}


def deposit_history(call: Call) -> object:
    """What was deposited, newest first."""
    wanted = _symbol(call, "symbol") if "symbol" in call.parameters else None
    limit = parameters.whole(call.parameters, "limit", USUAL_ROWS, 1, MOST_ROWS)
    start_ms, end_ms = read_window(call, is_limited=False)
    rows = [
        {
            "timestamp": each.at_ms,
            "symbol": each.symbol,
            "amount": fixed.write_atoms(each.atoms),
            "fee": "0",
            "status": "completed",
        }
        for each in call.account.deposits
        if wanted in (None, each.symbol) and start_ms <= each.at_ms <= end_ms
    ]
    return rows[: -limit - 1 : -1]


def withdrawal_history(call: Call) -> object:
    """Always empty, as nothing was ever withdrawn."""
    if "symbol" in call.parameters:
        _symbol(call, "symbol")
    parameters.whole(call.parameters, "limit", USUAL_ROWS, 1, MOST_ROWS)
    read_window(call, is_limited=False)
    return []


def withdraw(call: Call) -> object:
    """Answer a withdrawal."""
    symbol = _check_withdrawal(call, _WITHDRAWAL, "symbol")
    return {"success": True, "symbol": symbol, "amount": str(call.parameters["amount"])}


def withdraw_crypto(call: Call) -> object:
    """Answer a withdrawal of crypto."""
    asset = _check_withdrawal(call, _CRYPTO_WITHDRAWAL, "asset")
    return {
        "id": call.exchange.new_fill_id(),
        "asset": asset,
        "network": call.parameters["network"],
        "address": call.parameters["address"],
        "amount": call.parameters["amount"],
        "fee": _row(call, asset)["withdrawalFee"],
        "createdAt": moment(call.exchange.now_ms()),
    }


def _check_withdrawal(call: Call, endpoint: Endpoint, name: str) -> str:
    """Check everything about a withdrawal; the right last, unless the switch had it checked first.

    Raises:
        Refusal: 205, 312, 406, 407, 408, 410, 412.
    """
    symbol, body = _symbol(call, name), call.parameters
    row = _row(call, symbol)
    amount = _amount(body, cast("int", row["decimals"]))
    if row["withdrawalStatus"] != "OK":
        raise Refusal(410, f"Withdrawals for {symbol} are not available at this moment.")
    if amount <= 0 or amount < fixed.exact(row["withdrawalMinAmount"], fixed.ATOM_DIGITS):
        raise Refusal(406, "Your withdrawal is too small.")
    if not isinstance(body["address"], str) or not _ADDRESS.match(body["address"]):
        raise Refusal(412, f"{symbol.lower()}_address_invalid.")
    _check_details(call, row)
    if call.key is not None:
        check_right(endpoint, call.key, call.exchange.switches)
    if amount > call.account.balance(symbol).available:
        raise Refusal(408, "You do not have sufficient balance to complete this operation.")
    return symbol


def _check_details(call: Call, row: Mapping[str, object]) -> None:
    body = call.parameters
    for flag in ("addWithdrawalFee", "internal", "deductFeeFromAmount"):
        parameters.flag(body, flag, default=False)
    if body.get("internal"):
        raise Refusal(407, "Internal transfer is not possible.")
    if "network" in body and body["network"] not in cast("list[str]", row["networks"]):
        raise invalid("network")
    key = body.get("idempotencyKey", "12345")
    if not isinstance(key, str) or not _IDEMPOTENCY_KEY.match(key):
        raise invalid("idempotencyKey")


def _amount(body: Mapping[str, object], decimals: int) -> int:
    return parameters.decimal(body, "amount", fixed.ATOM_DIGITS, decimals) or 0


def _symbol(call: Call, name: str) -> str:
    symbol = call.parameters.get(name)
    if not isinstance(symbol, str) or symbol not in call.exchange.symbols():
        raise invalid(name)
    return symbol


def _row(call: Call, symbol: str) -> dict[str, object]:
    return asset_row(call.exchange, symbol)


_SYMBOL = frozenset({"symbol"})
_PAGE = _SYMBOL | {"limit", "start", "end"}
_NEEDED = ("symbol", "amount", "address")
_CRYPTO_NEEDED = ("asset", "network", "address", "amount")
_WITHDRAWAL = Endpoint(
    "privateWithdrawAssets",
    "POST",
    "/v2/withdrawal",
    withdraw,
    frozenset({*_NEEDED, "paymentId", "addWithdrawalFee", "internal"}),
    _NEEDED,
    WITHDRAW,
)
_CRYPTO_WITHDRAWAL = Endpoint(
    "privateCryptoWithdrawal",
    "POST",
    "/v2/crypto/withdrawal",
    withdraw_crypto,
    frozenset({*_CRYPTO_NEEDED, "deductFeeFromAmount", "idempotencyKey", "memo"}),
    _CRYPTO_NEEDED,
    WITHDRAW,
    25,
    success_status=201,
)

FUNDING_ENDPOINTS = (
    Endpoint(
        "", "GET", "/v2/stakingBalance", staking_balance, _SYMBOL, (), VIEW, 5, weight_switch="staking_balance_weight"
    ),
    Endpoint("privateDepositAssets", "GET", "/v2/deposit", deposit, _SYMBOL, ("symbol",), VIEW),
    Endpoint("privateGetDepositHistory", "GET", "/v2/depositHistory", deposit_history, _PAGE, (), VIEW, 5),
    Endpoint("privateGetWithdrawalHistory", "GET", "/v2/withdrawalHistory", withdrawal_history, _PAGE, (), VIEW, 5),
    _WITHDRAWAL,
    _CRYPTO_WITHDRAWAL,
)
