"""Fees, holds and rounding against answers that the real exchange gave, to the last digit."""

import pytest

from exchange_sim import fixed, money
from tests.exchange_sim.world import OTHER_KEY, World

CENT = 10 ** (fixed.ATOM_DIGITS - 2)
TAKER = 250_000


def gross(amount: str, price: str) -> int:
    return fixed.exact(amount, fixed.AMOUNT_DIGITS) * fixed.exact(price, fixed.PRICE_DIGITS)


@pytest.mark.parametrize(
    ("amount", "price", "debit", "fee"),
    [("0.0002", "34488", "6.92", "0.0224"), ("0.0004", "50000", "20.05", "0.05"), ("0.0003", "30000", "9.03", "0.03")],
)
def test_a_buyers_debit_goes_up_to_the_cent(amount: str, price: str, debit: str, fee: str) -> None:
    paid = money.debit(gross(amount, price), TAKER, CENT)
    assert (fixed.write_atoms(paid), fixed.write_atoms(paid - gross(amount, price))) == (debit, fee)


@pytest.mark.parametrize(
    ("amount", "price", "credit", "fee"),
    [("0.0002", "34464", "6.87", "0.0228"), ("0.00020002", "34469", "6.87", "0.02448938")],
)
def test_a_sellers_credit_goes_down_to_the_cent(amount: str, price: str, credit: str, fee: str) -> None:
    earned = money.credit(gross(amount, price), TAKER, CENT)
    assert (fixed.write_atoms(earned), fixed.write_atoms(gross(amount, price) - earned)) == (credit, fee)


async def open_market(world: World, price: str, **row: object) -> None:
    await world.admin("POST", "market", row)
    levels = {"bids": [[price, "1000000"]]} if row.get("sell") else {}
    await world.admin("POST", "book", {"market": row["market"], "asks": [[price, "1000000"]]} | levels)


async def test_the_recorded_buy_by_quote_comes_out(world: World) -> None:
    await open_market(world, "0.000010651", market="SHIB-EUR", tickSize="0.000000001", quantityDecimals=2)
    made = (await world.order(market="SHIB-EUR", orderType="market", amountQuote="10", amount=None, price=None)).json
    assert made["status"] == "filled"
    assert made["filledAmount"] == "936537.63"
    assert made["filledAmountQuote"] == "9.97506229713"
    assert made["feePaid"] == made["fills"][0]["fee"] == "0.02493770287"
    assert (made["amountQuote"], made["amountQuoteRemaining"], made["onHold"]) == ("10", "0", "0")
    assert not {"amount", "amountRemaining", "price", "timeInForce", "postOnly"} & set(made)
    assert (await world.balances())["EUR"] == ("9990", "0")


async def test_the_recorded_market_sell_comes_out(world: World) -> None:
    await world.admin("POST", "book", {"market": "BTC-EUR", "bids": [["34469", "5"]], "asks": []})
    made = (await world.order(side="sell", orderType="market", amount="0.00020002", price=None)).json
    assert (made["filledAmountQuote"], made["feePaid"]) == ("6.89448938", "0.02448938")
    assert (await world.balances()) == {"BTC": ("0.99979998", "0"), "EUR": ("10006.87", "0")}


async def test_the_recorded_hold_comes_out(world: World) -> None:
    made = (await world.order(amount="0.0003", price="30000")).json
    assert (made["onHold"], made["onHoldCurrency"], made["status"]) == ("9.03", "EUR", "new")
    assert (await world.balances())["EUR"] == ("9990.97", "9.03")


async def test_a_budget_walks_the_book_and_is_spent_to_the_last_digit(world: World) -> None:
    await world.admin("POST", "book", {"market": "BTC-EUR", "bids": [], "asks": [["50000", "0.01"], ["50010", "1"]]})
    made = (await world.order(orderType="market", amountQuote="1000", amount=None, price=None)).json
    assert [fill["price"] for fill in made["fills"]] == ["50000", "50010"]
    spent = fixed.exact(made["filledAmountQuote"], fixed.ATOM_DIGITS) + fixed.exact(made["feePaid"], fixed.ATOM_DIGITS)
    assert fixed.write_atoms(spent) == "1000"
    assert (await world.balances())["EUR"] == ("9000", "0")


@pytest.mark.parametrize(("rounding", "fee"), [("per_fill", "0.03"), ("per_order", "0.02")])
async def test_fees_of_several_fills_round_as_the_switch_says(world: World, rounding: str, fee: str) -> None:
    """Three fills of 2 EUR: each debit of 2.005 becomes 2.01, or their sum of 6.015 becomes 6.02."""
    await world.admin("POST", "switches", {"fee_rounding": rounding})
    asks = [["20000", "0.0001"], ["20001", "0.0001"], ["20002", "0.0001"]]
    await world.admin("POST", "book", {"market": "BTC-EUR", "bids": [], "asks": asks})
    made = (await world.order(amount="0.0003", price="20002")).json
    assert len(made["fills"]) == 3
    total = fixed.exact(made["filledAmountQuote"], fixed.ATOM_DIGITS)
    assert fixed.write_atoms(total) == "6.0003"
    paid = fixed.exact(made["feePaid"], fixed.ATOM_DIGITS) + total
    assert fixed.write_atoms(paid) == {"0.03": "6.03", "0.02": "6.02"}[fee]


async def test_a_price_better_than_the_limit_gives_the_rest_of_the_hold_back(world: World) -> None:
    made = (await world.order(amount="0.01", price="50010")).json
    assert made["filledAmountQuote"] == "500"
    assert (await world.balances())["EUR"] == ("9498.75", "0")


async def test_a_maker_pays_the_makers_rate(world: World) -> None:
    await world.order(amount="0.01", price="49995")
    await world.admin("POST", "trade", {"market": "BTC-EUR", "side": "sell", "amount": "0.01"})
    fill = (await world.call("GET", "/trades?market=BTC-EUR")).json[0]
    assert (fill["taker"], fill["fee"], fill["price"]) == (False, "0.75", "49995")


@pytest.mark.parametrize("rounding", ["per_fill", "per_order"])
async def test_rounding_never_debits_more_than_there_is(world: World, rounding: str) -> None:
    """The three fills of above want 6.03; the account owns the 6.02 of its hold and nothing else."""
    await world.account(OTHER_KEY, ["view", "trade"], {"EUR": "6.02"}, "poor")
    await world.admin("POST", "switches", {"fee_rounding": rounding})
    asks = [["20000", "0.0001"], ["20001", "0.0001"], ["20002", "0.0001"]]
    await world.admin("POST", "book", {"market": "BTC-EUR", "bids": [], "asks": asks})
    made = (await world.order(key=OTHER_KEY, amount="0.0003", price="20002")).json
    assert (made["status"], made["feePaid"]) == ("filled", "0.0197")
    assert await world.balances(OTHER_KEY) == {"BTC": ("0.0003", "0")}


async def test_a_budget_too_small_for_the_next_step_of_the_amount_gives_the_rest_back(world: World) -> None:
    await open_market(world, "3", market="RAW-EUR", quantityDecimals=0)
    made = (await world.order(market="RAW-EUR", orderType="market", amountQuote="10", amount=None, price=None)).json
    assert (made["status"], made["filledAmount"], made["filledAmountQuote"]) == ("filled", "3", "9")
    assert (made["feePaid"], made["amountQuoteRemaining"]) == ("0.03", "0.97")
    assert (await world.balances())["EUR"] == ("9990.97", "0")


@pytest.mark.parametrize("rounding", ["per_fill", "per_order"])
async def test_a_budget_in_small_bits_is_spent_under_either_rounding(world: World, rounding: str) -> None:
    await world.admin("POST", "switches", {"fee_rounding": rounding})
    asks = [[str(20000 + number), "0.0001"] for number in range(9)]
    await world.admin("POST", "book", {"market": "BTC-EUR", "bids": [], "asks": asks})
    made = (await world.order(orderType="market", amountQuote="7.50", amount=None, price=None)).json
    assert (made["status"], made["amountQuoteRemaining"], len(made["fills"])) == ("filled", "0", 4)


async def test_a_budget_finer_than_a_cent_is_not_overspent(world: World) -> None:
    await world.admin("POST", "market", {"market": "BTC-EUR", "notionalDecimals": 3})
    made = (await world.order(orderType="market", amountQuote="10.005", amount=None, price=None)).json
    assert (made["status"], made["amountQuoteRemaining"]) == ("filled", "0")
    assert (await world.balances())["EUR"] == ("9989.995", "0")


async def test_a_sell_by_quote_brings_its_value(world: World) -> None:
    made = (await world.order(side="sell", orderType="market", amountQuote="100", amount=None, price=None)).json
    assert (made["status"], made["filledAmount"], made["filledAmountQuote"]) == ("filled", "0.0020004", "99.999996")
    assert (await world.balances()) == {"BTC": ("0.9979996", "0"), "EUR": ("10099.74", "0")}
