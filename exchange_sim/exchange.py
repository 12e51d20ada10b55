"""The whole simulated exchange in memory: clock, switches, markets, accounts, keys, fee pot and ledger.

Single-threaded; every change happens in one synchronous call, so a reader never sees half of one.
"""

from __future__ import annotations

from random import Random

from exchange_sim.accounts import KEY_LENGTH, Account, ApiKey
from exchange_sim.feed import Feed
from exchange_sim.house import House
from exchange_sim.ledger import Ledger
from exchange_sim.rules import MarketRules
from exchange_sim.sim_clock import NS_PER_MS, SimClock
from exchange_sim.switches import Switches
from exchange_sim.venue import FIRST_ORDER_NUMBER, Venue, order_id

FIRST_NONCE = 413_289_768
UUID_BITS = 128
DELISTED = "DELISTED"


class Exchange:
    """Everything the simulator knows; the same seed and the same calls give the same answers but for time."""

    def __init__(self, *, seed: int = 1, clock: SimClock | None = None, switches: Switches | None = None) -> None:
        """Open an exchange without markets and accounts."""
        self.seed = seed
        self.clock = clock or SimClock()
        self.switches = switches or Switches()
        self.venues: dict[str, Venue] = {}
        self.accounts: dict[str, Account] = {}
        self.keys: dict[str, ApiKey] = {}
        self.house = House()
        self.ledger = Ledger()
        self.feed = Feed()
        # Cancel-on-disconnect groups by account name and number: when they expire, in exchange ms.
        self.groups: dict[tuple[str, int], int] = {}
        # Fields of assets' rows that were set from outside.
        self.assets: dict[str, dict[str, object]] = {}
        # Fees taken, in atoms by asset: with them the books close exactly.
        self.fees: dict[str, int] = {}
        self._random = Random(seed)
        self._order_number = FIRST_ORDER_NUMBER

    def symbols(self) -> set[str]:
        """All assets that any market trades."""
        return {symbol for venue in self.venues.values() for symbol in (venue.rules.base, venue.rules.quote)}

    def is_delisted(self, symbol: str) -> bool:
        """Whether an asset was taken off the exchange."""
        return self.assets.get(symbol, {}).get("depositStatus") == DELISTED

    def now_ms(self) -> int:
        """Exchange time in Unix milliseconds."""
        return self.clock.now_ns() // NS_PER_MS

    def open_market(self, rules: MarketRules) -> Venue:
        """Add a market, or change the rules of one that is there."""
        venue = self.venues.get(rules.market)
        if venue is None:
            venue = self.venues[rules.market] = Venue(rules, FIRST_NONCE + len(self.venues))
            self.house.clear(venue)
        venue.rules = rules
        return venue

    def add_key(self, key: ApiKey) -> None:
        """Let a key act for its account.

        Raises:
            ValueError: not 64 characters.
        """
        if len(key.key) != KEY_LENGTH:
            raise ValueError(f"a key has {KEY_LENGTH} characters")
        self.keys[key.key] = key
        self.accounts[key.account.name] = key.account

    def new_order_id(self, venue: Venue) -> str:
        """An order id, unique per market or globally as the switch says."""
        if self.switches.order_ids == "per_market":
            return venue.new_order_id()
        self._order_number += 1
        return order_id(self._order_number)

    def new_fill_id(self) -> str:
        """A random-looking UUID that depends on the seed only."""
        digits = f"{self._random.getrandbits(UUID_BITS):032x}"
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
