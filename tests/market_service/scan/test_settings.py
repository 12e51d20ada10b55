"""What the scans are told by the environment, and what is refused."""

from datetime import timedelta
from decimal import Decimal

import pytest

from kernel.environment import SettingsError
from market_service.settings import read_settings

DATABASE = {"MARKET_DATABASE_URL": "postgresql://market_service:secret-word@127.0.0.1/market"}
MODEL = DATABASE | {
    "ANALYST_URL": "http://127.0.0.1:1/v1",
    "ANALYST_MODEL": "m-1",
    "ANALYST_KEY": "key-of-the-model",
}


def test_without_a_database_there_are_no_scans() -> None:
    assert read_settings({}).scans is None
    assert read_settings({"MARKET_DATABASE_URL_FILE": "", "ANALYST_URL": "nonsense"}).scans is None


def test_with_a_database_and_nothing_else_the_rules_judge() -> None:
    scans = read_settings(DATABASE).scans
    assert scans is not None
    assert (scans.trade_address, scans.lease, scans.model) == ("127.0.0.1:50052", timedelta(seconds=15), None)


def test_a_model_has_an_address_a_name_a_key_and_perhaps_a_price() -> None:
    prices = {"ANALYST_INPUT_PRICE": "0.15", "ANALYST_OUTPUT_PRICE": "0.60", "ANALYST_CURRENCY": "USD"}
    for more, price in (({}, None), (prices, Decimal("0.15"))):
        scans = read_settings(MODEL | more).scans
        assert scans is not None
        assert scans.model is not None
        assert (scans.model.key.reveal(), scans.model.timeout_seconds) == ("key-of-the-model", 20)
        assert (scans.model.prices.input if scans.model.prices else None) == price


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"ANALYST_URL": "http://api.example.com/v1"}, "ANALYST_URL"),
        ({"ANALYST_MODEL": ""}, "ANALYST_MODEL"),
        ({"ANALYST_KEY": ""}, "ANALYST_KEY_FILE"),
        ({"ANALYST_TIMEOUT": "26s"}, "ANALYST_TIMEOUT"),
        ({"ANALYST_INPUT_PRICE": "0.15"}, "ANALYST_OUTPUT_PRICE"),
        ({"ANALYST_CURRENCY": "USD"}, "ANALYST_INPUT_PRICE"),
        ({"SCAN_LEASE": "500ms"}, "SCAN_LEASE"),
        ({"TRADE_ADDRESS": "nowhere"}, "TRADE_ADDRESS"),
        ({"MARKET_LISTEN": "0.0.0.0:1"}, "MARKET_DATABASE_URL_FILE"),
    ],
)
def test_what_is_wrong_is_named_and_no_secret_shown(changes: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read_settings(MODEL | changes)
    assert named in str(refused.value)
    assert "secret-word" not in str(refused.value)
    assert "key-of-the-model" not in str(refused.value)
