import hashlib
import json

import pytest

from policy.canonical import CanonicalPolicyError, policy_from_canonical
from policy.load import parse_policy
from policy.policy import Policy, canonical_json
from policy.presets import PRESETS, preset_text
from tests.policy import given

FULL = given.policy(
    {
        "price_collar": {"max_deviation": "0.75%", "max_quote_age": "5s"},
        "anti_flip": {"disabled": 'says "no"'},
        "budget": {
            "gpt_calls": {"per_hour": "3", "per_day": "10"},
            "order_value": {"per_hour": "50", "per_day": "500"},
        },
    },
    approval={"required_above": "99.5"},
)


@pytest.mark.parametrize("policy", [FULL, *(parse_policy(preset_text(name, ("a", "b")), name) for name in PRESETS)])
def test_the_round_trip_is_exact(policy: Policy) -> None:
    text = canonical_json(policy)
    assert policy_from_canonical(text) == policy
    assert canonical_json(policy_from_canonical(text)) == text
    assert policy.sha256 == policy_from_canonical(text).sha256 == hashlib.sha256(text.encode()).hexdigest()


def test_two_spellings_of_one_policy_have_one_hash() -> None:
    other = {
        "order_value": {"max": "200.00", "min": "25.0"},
        "cooldown": {"period": "1800s", "per": "market"},
        "allowlist": {"markets": ["ETH-EUR", "BTC-EUR"]},
    }
    assert given.policy(other).sha256 == given.policy().sha256


def test_every_scalar_is_a_string_so_no_number_can_lose_digits() -> None:
    def scalars(tree: object) -> list[object]:
        parts = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else None
        return [tree] if parts is None else [leaf for part in parts for leaf in scalars(part)]

    assert all(isinstance(leaf, str) for leaf in scalars(json.loads(canonical_json(FULL))))


LEAVES = [
    ({"trade_caps": {"per_hour": "2", "per_day": "3", "attempts_per_hour": "11"}}, {}),
    ({"budget": {"gpt_calls": {"per_hour": "3", "per_day": "11"}, "order_value": {"per_day": "500"}}}, {}),
    ({"budget": {"gpt_calls": {"per_hour": "3", "per_day": "10"}, "order_value": {"per_day": "500.000000000001"}}}, {}),
    ({"allowlist": {"markets": ["BTC-EUR"]}}, {}),
    ({"cooldown": {"per": "user", "period": "30m"}}, {}),
    ({"cooldown": {"disabled": "because"}}, {}),
    ({}, {"exits": given.EXITS_APPLY | {"cooldown": "exempt"}}),
    ({}, {"approval": {"required": "true"}}),
    ({}, {"applies_to": {"users": ["bob"]}}),
    ({}, {"proposal_ttl": "2h"}),
]


@pytest.mark.parametrize(("rules", "changes"), LEAVES)
def test_a_change_anywhere_however_deep_changes_the_hash(rules: dict[str, object], changes: dict[str, object]) -> None:
    assert given.policy(rules, **changes).sha256 != given.policy().sha256


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "{}",
        "[" * 100_000,
        canonical_json(FULL).replace('"per_day":"10"', '"per_day":10'),
        canonical_json(FULL).replace('"per_day":"10"', '"per_day":NaN'),
        canonical_json(FULL).replace('"per_day":"10"', '"per_day":"10","per_day":"9"'),
        canonical_json(FULL).replace("interlock/v1", "interlock/v9"),
        canonical_json(FULL).replace('"price_collar"', '"blocklist"'),
    ],
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(CanonicalPolicyError):
        policy_from_canonical(text)
