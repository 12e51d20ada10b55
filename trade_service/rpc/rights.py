"""Which right each method needs. The server refuses to be built when a method has no entry."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from kernel.rpc.actor import Right
from kernel.rpc.rights import ADMIN, APPROVE, BUDGET, EXECUTE, HALT, PLACE, PROPOSE, READ

DOMAIN: Final = "trade.interlock"

_TRADE: Final[dict[str, Right]] = {
    "SubmitProposal": PROPOSE,
    "GetProposal": READ,
    "ListProposals": READ,
    "ApproveProposal": APPROVE,  # with overrides also OVERRIDE, asked for in the method
    "DeclineProposal": (APPROVE, PROPOSE),  # PROPOSE for one's own only: asked for in the method
    "CheckProposal": READ,
    "ExecuteProposal": EXECUTE,
    "PlaceOrder": PLACE,
    "GetExecution": READ,
    "ListExecutions": READ,
    "CancelExecution": EXECUTE,
    "GetDecision": READ,
    "ListDecisions": READ,
}
_BUDGET: Final[dict[str, Right]] = {"ReserveBudget": BUDGET, "SettleBudget": BUDGET, "GetBudget": READ}
_ADMIN: Final[dict[str, Right]] = {
    "GetTradingState": READ,
    "SetTradingState": HALT,  # to loosen also ADMIN, asked for in the method
    "ListPolicies": READ,
    "GetPolicy": READ,
    "ReloadPolicies": ADMIN,
}

RIGHTS: Final[Mapping[str, Right]] = MappingProxyType(
    {
        f"/trade.v1.{service}/{method}": right
        for service, methods in (("TradeService", _TRADE), ("BudgetService", _BUDGET), ("AdminService", _ADMIN))
        for method, right in methods.items()
    }
)

USERLESS: Final = frozenset(
    f"/trade.v1.AdminService/{method}"
    for method in (
        "GetTradingState",  # the board and the policies belong to the deployment
        "SetTradingState",  # a user only with scope USER: asked for in the method
        "ListPolicies",
        "ReloadPolicies",
    )
)
"""Methods whose requests name no user; the server refuses any other that does not."""
