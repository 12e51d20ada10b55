"""A policy as a value, its canonical form, and which policy judges a user.

`policy/reading.py` makes policies, the engine judges by them, `trade_service` stores them by SHA-256.
"""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Final

from policy.catalogue import BY_NAME, CORE_NAMES, NEVER_DISABLED
from policy.fields import Tree, plain
from policy.limits import Choice, Duration
from policy.rule import Rule
from policy.rules.approval import ApprovalRule

API_VERSION: Final = "interlock/v1"
KIND: Final = "TradingPolicy"
EVERYBODY: Final = "*"
PROPOSAL_TTL: Final = Duration(timedelta(seconds=1), timedelta(days=7))

_ORDER: Final = tuple(BY_NAME)


class MissingReason(StrEnum):
    """Why no policy judges a proposal; also the code of the verdict."""

    NO_POLICY = "NO_POLICY"
    POLICY_AMBIGUOUS = "POLICY_AMBIGUOUS"
    POLICY_NOT_LOADED = "POLICY_NOT_LOADED"


@dataclass(frozen=True, slots=True)
class PolicyMissing:
    """The absence of a policy, which denies."""

    reason: MissingReason


class Treatment(StrEnum):
    """What a rule does with a SELL within the position."""

    EXEMPT = "exempt"
    APPLY = "apply"


@dataclass(frozen=True, slots=True)
class Exits:
    """Which rules let a SELL within the position pass; every key must be stated."""

    cooldown: Annotated[Treatment, Choice(Treatment)]
    anti_flip: Annotated[Treatment, Choice(Treatment)]
    trade_caps: Annotated[Treatment, Choice(Treatment)]
    order_value: Annotated[Treatment, Choice(Treatment)]

    def exempts(self, rule: str) -> bool:
        """Tell whether an exit passes this rule unjudged."""
        return rule in EXEMPTABLE and getattr(self, rule) is Treatment.EXEMPT


EXEMPTABLE: Final = frozenset({"cooldown", "anti_flip", "trade_caps", "order_value"})


@dataclass(frozen=True, slots=True)
class Disabled:
    """A core rule that a policy drops, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Policy:
    """Limits for one set of users. `users` are exact ids, or ``("*",)``; `rules` stand in the catalogue's order.

    A policy that lacks a core rule cannot be made: there is no permissive default.

    Raises:
        ValueError: no users, a core rule missing, a rule twice or out of order, or allowlist disabled.
    """

    name: str
    users: tuple[str, ...]
    quote_currency: str
    approval: ApprovalRule
    proposal_ttl: timedelta
    exits: Exits
    rules: tuple[Rule | Disabled, ...]
    sha256: str = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Check what every reader of the value relies on, and hash the canonical form once."""
        names = [rule.name for rule in self.rules]
        disabled = {rule.name for rule in self.rules if isinstance(rule, Disabled)}
        if names != [name for name in _ORDER if name in names] or not set(CORE_NAMES) <= set(names):
            message = f"rules must be all of {', '.join(CORE_NAMES)}, once each, in the catalogue's order"
            raise ValueError(message)
        if disabled & NEVER_DISABLED or not disabled <= set(CORE_NAMES) or not self.users:
            message = "a policy has users, an allowlist, and disables core rules only"
            raise ValueError(message)
        object.__setattr__(self, "sha256", hashlib.sha256(canonical_json(self).encode()).hexdigest())


@dataclass(frozen=True, slots=True)
class PolicySet:
    """All policies in force together."""

    policies: tuple[Policy, ...]

    def for_user(self, user_id: str) -> Policy | PolicyMissing:
        """Return the policy that names the user, else the one for everybody; two equal ones or none deny."""
        for wanted in (user_id, EVERYBODY):
            found = [policy for policy in self.policies if wanted in policy.users]
            if len(found) > 1:
                return PolicyMissing(MissingReason.POLICY_AMBIGUOUS)
            if found:
                return found[0]
        return PolicyMissing(MissingReason.NO_POLICY)


def canonical_json(policy: Policy) -> str:
    """Return the one text of a policy: keys sorted, every scalar a string in its one spelling, ASCII, no spaces."""
    return json.dumps(policy_tree(policy), sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def policy_tree(policy: Policy) -> dict[str, Tree]:
    """Return a policy in the shape of its file."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": policy.name,
        "applies_to": {"users": list(policy.users)},
        "quote_currency": policy.quote_currency,
        "approval": plain(policy.approval),
        "proposal_ttl": PROPOSAL_TTL.show(policy.proposal_ttl),
        "exits": plain(policy.exits),
        "rules": {rule.name: _rule_tree(rule) for rule in policy.rules},
    }


def _rule_tree(rule: Rule | Disabled) -> dict[str, Tree]:
    return {"disabled": rule.reason} if isinstance(rule, Disabled) else plain(rule)
