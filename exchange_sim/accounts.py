"""Who owns what: accounts with exact balances and holds, and the API keys that act for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exchange_sim.order import Fill, Order

KEY_LENGTH = 64
RIGHTS = ("view", "trade", "withdraw")
TAKER_RATE = 250_000
MAKER_RATE = 150_000


@dataclass(slots=True)
class Balance:
    """Atoms of one asset: free to use, and held for open orders."""

    available: int = 0
    held: int = 0


@dataclass(slots=True)
class Deposit:
    """One asset put in from outside, in atoms; the only way money enters."""

    symbol: str
    atoms: int
    at_ms: int


@dataclass(slots=True, eq=False)
class Account:
    """One exchange account; several keys may act for it. Rates count 10^-8."""

    name: str
    taker_rate: int = TAKER_RATE
    maker_rate: int = MAKER_RATE
    is_house: bool = False
    balances: dict[str, Balance] = field(default_factory=dict)
    deposits: list[Deposit] = field(default_factory=list)
    open_orders: dict[tuple[str, str], Order] = field(default_factory=dict)
    open_count: dict[str, int] = field(default_factory=dict)
    orders: dict[str, list[Order]] = field(default_factory=dict)
    fills: dict[str, list[tuple[Order, Fill]]] = field(default_factory=dict)
    # Atoms that are staked, by asset: shown, never moved.
    staked: dict[str, int] = field(default_factory=dict)
    # Error codes that all requests for a right (view, trade, orders, withdraw) meet: a locked or unverified account.
    refusals: dict[str, int] = field(default_factory=dict)

    def balance(self, symbol: str) -> Balance:
        """The balance of one asset, made when first asked for."""
        found = self.balances.get(symbol)
        if found is None:
            found = self.balances[symbol] = Balance()
        return found

    def deposit(self, symbol: str, atoms: int, at_ms: int) -> None:
        """Put money in from outside."""
        self.balance(symbol).available += atoms
        self.deposits.append(Deposit(symbol, atoms, at_ms))


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key, what it may do, and from where; the secret never leaves this object."""

    key: str
    secret: bytes = field(repr=False)
    account: Account = field(repr=False)
    rights: frozenset[str] = frozenset()
    confirmed: bool = True
    addresses: frozenset[str] = frozenset()

    @property
    def label(self) -> str:
        """What the ledger calls the key: enough to tell keys apart, not enough to use one."""
        return self.key[:8]
