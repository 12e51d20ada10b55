"""What one endpoint is: its address, price, right and parameters; and one call of it.

REST finds an endpoint by method and path. The action name is the one the exchange's WebSocket uses for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from exchange_sim.accounts import Account, ApiKey
from exchange_sim.exchange import Exchange
from exchange_sim.refusal import Refusal, missing
from exchange_sim.switches import Switches

# Reading orders and own trades takes both rights, as the exchange's documents of 2026 say.
VIEW, TRADE, ORDERS, WITHDRAW = "view", "trade", "orders", "withdraw"


@dataclass(frozen=True, slots=True)
class Call:
    """One call: parameters of query or body (the market of the path among them) and who calls.

    `lag_ms`, when set, takes the place of the read lags of the switches.
    """

    exchange: Exchange
    parameters: Mapping[str, object]
    key: ApiKey | None = None
    lag_ms: int | None = None

    @property
    def account(self) -> Account:
        """The account of the key that signed.

        Raises:
            Refusal: 300, nobody signed.
        """
        if self.key is None:
            raise Refusal(300, "Authentication is required to call this endpoint.")
        return self.key.account

    def lag(self, usual_ms: int) -> int:
        """The read lag that holds for this call."""
        return usual_ms if self.lag_ms is None else self.lag_ms


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint; `weight_of_all` is its price when no market is named.

    `looks_first`: it may be that it looks for its order before the key's right; a switch decides.
    """

    action: str
    method: str
    path: str
    run: Callable[[Call], object]
    names: frozenset[str] = frozenset()
    required: tuple[str, ...] = ()
    right: str | None = None
    weight: int = 1
    weight_of_all: int | None = None
    has_body: bool = False
    weight_switch: str = ""
    success_status: int = 200
    looks_first: bool = False

    @property
    def in_query(self) -> bool:
        """Whether parameters travel in the query (GET, DELETE but for the atomic cancel) or in the body."""
        return self.method in ("GET", "DELETE") and not self.has_body

    def price(self, parameters: Mapping[str, object], switches: Switches | None = None) -> int:
        """The weight points of one call; where documents disagree about them, a switch decides."""
        if self.weight_switch and switches is not None:
            return int(getattr(switches, self.weight_switch))
        if self.weight_of_all is not None and "market" not in parameters:
            return self.weight_of_all
        return self.weight

    def check_names(self, parameters: Mapping[str, object], unknown: str) -> None:
        """Refuse parameters that the endpoint does not know, and the lack of those it needs.

        Raises:
            Refusal: 200 or 201 unknown in query or body, 203 missing.
        """
        if unknown == "refused" and not self.names.issuperset(parameters):
            for name in parameters:
                if name not in self.names:
                    raise Refusal(200 if self.in_query else 201, f"{name} parameter is not accepted.")
        for name in self.required:
            if name not in parameters:
                raise missing(name)


def check_right(endpoint: Endpoint, key: ApiKey, switches: Switches) -> None:
    """Refuse a key without the right that an endpoint takes, and an account that is refused as a whole.

    Raises:
        Refusal: 310 no trade right, 311 no view right, 312 no withdraw right, or the account's own code.
    """
    right, account = endpoint.right, key.account
    if right in (TRADE, ORDERS) and "trade" not in key.rights:
        code = 310 if right == TRADE else switches.order_read_refusal_code
        raise Refusal(code, "This key does not allow trading actions.")
    needs_view = right == VIEW or (right == ORDERS and not switches.trade_only_key_reads_orders)
    if needs_view and "view" not in key.rights:
        raise Refusal(311, "This key does not allow showing account information.")
    if right == WITHDRAW and "withdraw" not in key.rights:
        raise Refusal(312, "This key does not allow withdrawal of funds.")
    if right in account.refusals:
        raise Refusal(account.refusals[right], "The account may not do this.")
