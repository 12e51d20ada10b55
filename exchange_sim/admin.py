"""The `/_sim/` endpoints: what a test tells the simulator and asks of it. They answer on loopback only.

docs/simulator.md describes each with a command. There is deliberately none that edits or empties the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from urllib.parse import parse_qsl

import orjson

from exchange_sim import fixed, house_moves, trading
from exchange_sim.accounts import RIGHTS, Account, ApiKey
from exchange_sim.book_history import MOST_EVENTS, BookHistory
from exchange_sim.edge import HTML, NOT_FOUND_HTML, Answer
from exchange_sim.exchange import Exchange
from exchange_sim.faults import Faults
from exchange_sim.ledger import KINDS
from exchange_sim.money import RATE_DIGITS
from exchange_sim.order import Order
from exchange_sim.public_endpoints import asset_row
from exchange_sim.rate_limits import RateLimits
from exchange_sim.recording import generate_recording, start_market
from exchange_sim.rules import AUCTION, AUCTION_MATCHING, TRADING, default_row, read_rules
from exchange_sim.switches import changed
from exchange_sim.venue import Venue

Wish = Mapping[str, object]

MOST_POINTS = 1_000_000_000
MOST_OFFSET_MS = 366 * 86_400_000
MOST_LEVELS = 10_000


class Admin:
    """Reads and changes the simulator from outside the exchange's own rules."""

    def __init__(self, exchange: Exchange, limits: RateLimits, faults: Faults) -> None:
        """Administer one exchange."""
        self._exchange = exchange
        self._limits = limits
        self._faults = faults
        self._history = BookHistory(exchange)
        self._routes: dict[tuple[str, str], Callable[[Wish], object]] = {
            ("GET", "/_sim/ledger"): self._ledger,
            ("GET", "/_sim/faults"): self._list_faults,
            ("POST", "/_sim/faults"): self._add_fault,
            ("DELETE", "/_sim/faults"): self._remove_faults,
            ("GET", "/_sim/switches"): self._read_switches,
            ("POST", "/_sim/switches"): self._change_switches,
            ("GET", "/_sim/clock"): self._read_clock,
            ("POST", "/_sim/clock"): self._skew_clock,
            ("POST", "/_sim/accounts"): self.add_account,
            ("GET", "/_sim/money"): self._money,
            ("POST", "/_sim/limits"): self._set_limits,
            ("POST", "/_sim/book"): self._set_book,
            ("POST", "/_sim/book_history"): self._keep_history,
            ("GET", "/_sim/book_history"): self._read_history,
            ("POST", "/_sim/trade"): self._trade,
            ("POST", "/_sim/market"): self._set_market,
            ("POST", "/_sim/asset"): self._set_asset,
        }

    def answer(self, method: str, target: str, body: bytes) -> Answer:
        """Answer one admin request; a wish that cannot be is a 400 with its reason."""
        path, _, query = target.partition("?")
        run = self._routes.get((method, path))
        if run is None:
            return Answer(404, NOT_FOUND_HTML, {}, HTML)
        try:
            wish = orjson.loads(body) if body else dict(parse_qsl(query))
            if not isinstance(wish, dict):
                return _refused("a JSON object is needed")
            return Answer(200, orjson.dumps(run(wish)), {})
        except KeyError as lacking:
            return _refused(f"{lacking.args[0]} is missing or unknown")
        except ValueError as wrong:
            return _refused(str(wrong))

    def _ledger(self, wish: Wish) -> object:
        client_order_id = wish.get("client_order_id")
        wanted, since_ms = None if client_order_id is None else str(client_order_id), _whole(wish, "since", 0, 2**53)
        if wish.get("kind", KINDS[0]) not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}")
        rows = {"requests": self._exchange.ledger.request_rows, "orders": self._exchange.ledger.order_rows}
        return {kind: rows[kind](wanted, since_ms) for kind in KINDS if wish.get("kind", kind) == kind}

    def _list_faults(self, _: Wish) -> object:
        return {"faults": [rule.row() for rule in self._faults.rules], "injected": self._faults.injected}

    def _add_fault(self, wish: Wish) -> object:
        return self._faults.add(wish).row()

    def _remove_faults(self, wish: Wish) -> object:
        return {"removed": self._faults.remove(_whole(wish, "id", 0, 10**9) if "id" in wish else None)}

    def _read_switches(self, _: Wish) -> object:
        return asdict(self._exchange.switches)

    def _change_switches(self, wish: Wish) -> object:
        self._exchange.switches = changed(self._exchange.switches, wish)
        return asdict(self._exchange.switches)

    def _read_clock(self, _: Wish) -> object:
        return {"offset_ms": self._exchange.clock.offset_ms, "now_ms": self._exchange.now_ms()}

    def _skew_clock(self, wish: Wish) -> object:
        self._exchange.clock.offset_ms = _whole(wish, "offset_ms", -MOST_OFFSET_MS, MOST_OFFSET_MS)
        return self._read_clock(wish)

    def add_account(self, wish: Wish) -> object:
        """Open a key with its rights; a second key with the same account name acts for the same account.

        Raises:
            KeyError, ValueError: a field is missing, or is none that can be.
        """
        name = str(wish.get("account") or str(wish["key"])[:8])
        account = self._exchange.accounts.get(name) or Account(name)
        rights = frozenset(map(str, _items(wish, "rights")))
        if rights - set(RIGHTS):
            raise ValueError(f"rights are {', '.join(RIGHTS)}")
        atoms = _object(wish, "balances", fixed.ATOM_DIGITS)
        for field in ("taker_rate", "maker_rate"):
            if field in wish:
                setattr(account, field, fixed.exact(wish[field], RATE_DIGITS))
        for field, digits in (("staked", fixed.ATOM_DIGITS), ("refusals", 0)):
            if field in wish:
                setattr(account, field, _object(wish, field, digits))
        confirmed, addresses = bool(wish.get("confirmed", True)), frozenset(map(str, _items(wish, "addresses")))
        secret = str(wish["secret"]).encode()
        self._exchange.add_key(ApiKey(str(wish["key"]), secret, account, rights, confirmed, addresses))
        for symbol, amount in atoms.items():
            account.deposit(symbol, amount, self._exchange.now_ms())
        return {"account": name, "key": str(wish["key"])[:8], "rights": sorted(rights)}

    def _money(self, _: Wish) -> object:
        """All money by asset: what was put in, and where it is; the house's part may be below zero."""
        exchange = self._exchange
        accounts = exchange.accounts.values()
        symbols = {symbol for each in (*accounts, exchange.house.account) for symbol in each.balances}
        return {symbol: self._money_of(symbol) for symbol in sorted(symbols | set(exchange.fees))}

    def _money_of(self, symbol: str) -> dict[str, str]:
        accounts = self._exchange.accounts.values()
        parts = {
            "deposited": sum(each.atoms for account in accounts for each in account.deposits if each.symbol == symbol),
            "available": sum(account.balance(symbol).available for account in accounts),
            "held": sum(account.balance(symbol).held for account in accounts),
            "fees": self._exchange.fees.get(symbol, 0),
            "house": self._exchange.house.account.balance(symbol).available,
        }
        return {name: fixed.write_atoms(atoms) for name, atoms in parts.items()}

    def _set_limits(self, wish: Wish) -> object:
        """Set the points a minute; bans and points used are forgotten."""
        self._limits.points_per_minute = _whole(wish, "points_per_minute", 1, MOST_POINTS)
        self._limits.lift_bans()
        return {"points_per_minute": self._limits.points_per_minute}

    def _set_book(self, wish: Wish) -> object:
        venue = self._venue(wish)
        house_moves.set_levels(self._exchange, venue, _levels(wish, "bids"), _levels(wish, "asks"))
        self._exchange.feed.flush(venue, self._exchange.clock.now_ns())
        return {"market": venue.rules.market, "nonce": venue.nonce}

    def _keep_history(self, wish: Wish) -> object:
        events = _whole(wish, "events", 0, MOST_EVENTS)
        self._history.remember(events)
        return {"events": events}

    def _read_history(self, wish: Wish) -> object:
        market = self._venue(wish).rules.market
        return {"market": market, "rows": self._history.rows(market)}

    def _trade(self, wish: Wish) -> object:
        """Let the house take from the book, clients' resting orders included."""
        venue = self._venue(wish)
        limit = fixed.exact(wish["price"], fixed.PRICE_DIGITS) if "price" in wish else None
        if wish.get("side") not in ("buy", "sell"):
            raise ValueError("side must be buy or sell")
        amount = fixed.exact(wish["amount"], fixed.AMOUNT_DIGITS)
        taken = house_moves.house_order(self._exchange, venue, is_buy=wish["side"] == "buy", amount=amount, limit=limit)
        return {"market": venue.rules.market, "filledAmount": fixed.write_amount(taken)}

    def _set_market(self, wish: Wish) -> object:
        """Change fields of a market's row, or open a market; `price` gives a new one depth and a history."""
        market = str(wish["market"])
        venue = self._exchange.venues.get(market)
        row = default_row(market) if venue is None else dict(venue.rules.row)
        changes = {name: value for name, value in wish.items() if name != "price"}
        if set(changes) - set(row):
            raise ValueError(f"a market has no {', '.join(sorted(set(changes) - set(row)))}")
        rules = read_rules(row | changes)
        was_auction = venue is not None and venue.rules.status in (AUCTION, AUCTION_MATCHING)
        opened = self._exchange.open_market(rules)
        if "price" in wish:
            price = fixed.exact(wish["price"], fixed.PRICE_DIGITS)
            start_market(self._exchange, opened, generate_recording(rules, price, self._exchange.seed))
        if was_auction and rules.status == TRADING:
            house_moves.uncross(self._exchange, opened)
        return dict(rules.row)

    def _set_asset(self, wish: Wish) -> object:
        """Change fields of an asset's row; a delisting cancels the open orders in it."""
        symbol = str(wish["symbol"])
        if symbol not in self._exchange.symbols():
            raise ValueError(f"there is no asset {symbol}")
        row = asset_row(self._exchange, symbol)
        if set(wish) - set(row):
            raise ValueError(f"an asset has no {', '.join(sorted(set(wish) - set(row)))}")
        self._exchange.assets[symbol] = self._exchange.assets.get(symbol, {}) | dict(wish)
        if self._exchange.is_delisted(symbol):
            trading.cancel_many(self._exchange, self._orders_in(symbol), "cancelOnDelisting")
        return asset_row(self._exchange, symbol)

    def _orders_in(self, symbol: str) -> list[tuple[Venue, Order]]:
        venues = self._exchange.venues
        held = [pair for account in self._exchange.accounts.values() for pair in account.open_orders.items()]
        return [(venues[market], order) for (market, _), order in held if venues[market].rules.base == symbol]

    def _venue(self, wish: Wish) -> Venue:
        market = str(wish["market"])
        if market not in self._exchange.venues:
            raise ValueError(f"there is no market {market}")
        return self._exchange.venues[market]


def _refused(reason: str) -> Answer:
    return Answer(400, orjson.dumps({"error": reason}), {})


def _object(wish: Wish, name: str, digits: int) -> dict[str, int]:
    """An object of decimal strings (or whole numbers) in 10^-digits units."""
    found = wish.get(name, {})
    if not isinstance(found, dict):
        raise ValueError(f"{name} must be an object")  # noqa: TRY004  one kind of refusal for a wrong wish
    return {str(key): value if isinstance(value, int) else fixed.exact(value, digits) for key, value in found.items()}


def _items(wish: Wish, name: str) -> list[object]:
    found = wish.get(name, [])
    if not isinstance(found, list):
        raise ValueError(f"{name} must be a list")  # noqa: TRY004  one kind of refusal for a wrong wish
    return found


def _levels(wish: Wish, name: str) -> list[tuple[int, int]]:
    levels = []
    for level in _items(wish, name)[:MOST_LEVELS]:
        if not isinstance(level, list) or len(level) != 2:  # noqa: PLR2004  price and amount
            raise ValueError(f"{name} must hold pairs of price and amount")
        price, amount = fixed.exact(level[0], fixed.PRICE_DIGITS), fixed.exact(level[1], fixed.AMOUNT_DIGITS)
        if not price or not amount:
            raise ValueError(f"{name} must be above zero in price and amount")
        levels.append((price, amount))
    return levels


def _whole(wish: Wish, name: str, least: int, most: int) -> int:
    value = wish.get(name, 0)
    if isinstance(value, str) and value.lstrip("-").isdigit():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ValueError(f"{name} must be a whole number from {least} to {most}")
    return value
