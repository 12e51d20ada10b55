"""A policy back from its canonical text: how `trade_service` loads the policy in force from its database by hash."""

import json
from typing import NoReturn

from policy.policy import Policy
from policy.reading import Flaw, read_policy


class CanonicalPolicyError(ValueError):
    """The text is not the canonical form of a policy this version knows."""


def policy_from_canonical(text: str) -> Policy:
    """Return the policy whose `canonical_json` this is; as strict as a load from a file.

    Raises:
        CanonicalPolicyError: other JSON, or limits this version does not know or does not accept.
    """
    flaws: list[Flaw] = []
    try:
        policy = read_policy(json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_refuse), flaws)
    except (ValueError, RecursionError):
        message = "not JSON, or a key twice"
        raise CanonicalPolicyError(message) from None
    if policy is None:
        reasons = "; ".join(f"{'.'.join(flaw.path)}: found {flaw.found}, allowed {flaw.allowed}" for flaw in flaws)
        raise CanonicalPolicyError(reasons)
    return policy


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    tree = dict(pairs)
    if len(tree) < len(pairs):
        raise ValueError
    return tree


def _refuse(_: str) -> NoReturn:
    raise ValueError
