"""From a tree of dicts, lists and strings to a policy, strictly: unknown, missing or misspelt denies the whole.

Called with what a YAML file says (`policy/load/`) and with the canonical form (`policy/canonical.py`). Collects
every flaw instead of stopping at the first.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from policy.catalogue import BY_NAME, CORE_NAMES, NEVER_DISABLED
from policy.fields import Declared, declared
from policy.limits import CURRENCY, NAME, REASON, USER, Kind, Listed, Text
from policy.policy import API_VERSION, EVERYBODY, KIND, PROPOSAL_TTL, Disabled, Exits, Policy
from policy.rule import Rule
from policy.rules.allowlist import AllowlistRule
from policy.rules.approval import ApprovalRule

MAX_FOUND_CHARACTERS: Final = 64
MAX_USERS: Final = 500

Path: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing wrong: where in the tree, what was found (at most 64 characters of it), what is allowed."""

    path: Path
    found: str
    allowed: str


class Unreadable:
    """A node that could not be made a tree and whose flaw is reported already; or a value that was flawed."""


UNREADABLE: Final = Unreadable()
_Read: TypeAlias = "Callable[[Any, Path, list[Flaw]], Any]"


def read_policy(tree: object, flaws: list[Flaw]) -> Policy | None:
    """Return the policy, or None after adding every flaw found to `flaws`; None also if it held one before."""
    values = _read_mapping(tree, (), _TOP, _REQUIRED, flaws)
    if not flaws:
        _check_currency(values, flaws)
    if flaws:
        return None
    return Policy(
        name=values["name"],
        users=values["applies_to"]["users"],
        quote_currency=values["quote_currency"],
        approval=values.get("approval", ApprovalRule(required=True)),
        proposal_ttl=values["proposal_ttl"],
        exits=values["exits"],
        rules=tuple(values["rules"][name] for name in BY_NAME if name in values["rules"]),
    )


def _read_mapping(
    tree: object, path: Path, readers: Mapping[str, tuple[_Read, str]], required: frozenset[str], flaws: list[Flaw]
) -> Any:  # noqa: ANN401 - a dict of values of many types, or UNREADABLE
    if isinstance(tree, Unreadable):
        return UNREADABLE
    if not isinstance(tree, dict):
        flaws.append(Flaw(path, found(tree), "a mapping with " + ", ".join(readers)))
        return UNREADABLE
    values = {}
    for key, node in tree.items():
        if key not in readers:
            flaws.append(Flaw((*path, key), f"unknown key {found(key)}", "one of " + ", ".join(readers)))
            continue
        values[key] = readers[key][0](node, (*path, key), flaws)
    flaws.extend(Flaw((*path, key), "nothing", readers[key][1]) for key in readers if key in required - tree.keys())
    return values


def _read_scalar(kind: Kind) -> _Read:
    def read(node: object, path: Path, flaws: list[Flaw]) -> object:
        if isinstance(node, str):
            try:
                return kind.read(node)
            except ValueError:
                pass
        if not isinstance(node, Unreadable):
            flaws.append(Flaw(path, found(node), kind.allowed))
        return UNREADABLE

    return read


def _read_list(kind: Listed) -> _Read:
    read_item = _read_scalar(kind.item)

    def read(node: object, path: Path, flaws: list[Flaw]) -> object:
        if isinstance(node, Unreadable):
            return UNREADABLE
        if not isinstance(node, list) or not kind.low <= len(node) <= kind.high:
            flaws.append(Flaw(path, found(node), kind.allowed))
            return UNREADABLE
        values = [read_item(item, (*path, str(index)), flaws) for index, item in enumerate(node)]
        if UNREADABLE in values:
            return UNREADABLE
        if len(set(values)) < len(values):
            flaws.append(Flaw(path, "an entry twice", kind.allowed))
        return tuple(sorted(values))

    return read


def _read_class(cls: type) -> _Read:
    readers = {one.name: (_read_field(one), one.allowed) for one in declared(cls)}
    required = frozenset(one.name for one in declared(cls) if one.required)

    def read(node: object, path: Path, flaws: list[Flaw]) -> object:
        before = len(flaws)
        values = _read_mapping(node, path, readers, required, flaws)
        if len(flaws) > before or isinstance(values, Unreadable) or UNREADABLE in values.values():
            return UNREADABLE
        try:
            return cls(**values)
        except ValueError as error:
            flaws.append(Flaw(path, _pairs(node), str(error)))
            return UNREADABLE

    return read


def _read_field(one: Declared) -> _Read:
    if isinstance(one.kind, Listed):
        return _read_list(one.kind)
    return _read_class(one.nested or object) if one.kind is None else _read_scalar(one.kind)


def _read_rule(name: str, cls: type[Rule]) -> _Read:
    read_limits = _read_class(cls)
    can_be_disabled = name in CORE_NAMES and name not in NEVER_DISABLED

    def read(node: object, path: Path, flaws: list[Flaw]) -> object:
        if not (can_be_disabled and isinstance(node, dict) and "disabled" in node):
            return read_limits(node, path, flaws)
        values = _read_mapping(node, path, _DISABLED, frozenset({"disabled"}), flaws)
        return Disabled(name, values["disabled"])

    return read


def _read_users(node: object, path: Path, flaws: list[Flaw]) -> object:
    if node in (EVERYBODY, [EVERYBODY]):
        return (EVERYBODY,)
    return _USERS(node, path, flaws)


def _read_applies_to(node: object, path: Path, flaws: list[Flaw]) -> object:
    readers: Mapping[str, tuple[_Read, str]] = {"users": (_read_users, _USER_LIST.allowed)}
    return _read_mapping(node, path, readers, frozenset({"users"}), flaws)


def _read_rules(node: object, path: Path, flaws: list[Flaw]) -> object:
    return _read_mapping(node, path, _RULES, frozenset(CORE_NAMES), flaws)


def _check_currency(values: dict[str, Any], flaws: list[Flaw]) -> None:
    """Refuse markets that another currency is paid in: their values could not be compared with the limits."""
    allowlist: AllowlistRule = values["rules"][AllowlistRule.name]
    currency = values["quote_currency"]
    flaws.extend(
        Flaw(("rules", AllowlistRule.name, "markets"), market, f"markets that end in -{currency}, the quote_currency")
        for market in allowlist.markets
        if not market.endswith(f"-{currency}")
    )


def found(node: object) -> str:
    """Return what stands there, for people: at most `MAX_FOUND_CHARACTERS` of it."""
    if isinstance(node, dict):
        return f"a mapping with {len(node)} keys"
    if isinstance(node, list):
        return f"a list of {len(node)} entries"
    return repr(node)[:MAX_FOUND_CHARACTERS] if node != "" else "nothing"


def _pairs(node: object) -> str:
    pairs = node.items() if isinstance(node, dict) else ()
    return (", ".join(f"{key} {found(part)}" for key, part in pairs) or "nothing")[:MAX_FOUND_CHARACTERS]


def _constant(word: str) -> tuple[_Read, str]:
    return _read_scalar(Text(word, word)), word


def _scalar(kind: Kind) -> tuple[_Read, str]:
    return _read_scalar(kind), kind.allowed


_USER_LIST: Final = Listed(USER, 1, MAX_USERS)
_USERS: Final = _read_list(_USER_LIST)
_DISABLED: Final = {"disabled": _scalar(REASON)}
_RULES: Final = {
    name: (_read_rule(name, cls), "a mapping with " + ", ".join(one.name for one in declared(cls)))
    for name, cls in BY_NAME.items()
}
_TOP: Final[Mapping[str, tuple[_Read, str]]] = {
    "apiVersion": _constant(API_VERSION),
    "kind": _constant(KIND),
    "name": _scalar(NAME),
    "applies_to": (_read_applies_to, "a mapping with users"),
    "quote_currency": _scalar(CURRENCY),
    "approval": (_read_class(ApprovalRule), "a mapping with required or required_above"),
    "proposal_ttl": _scalar(PROPOSAL_TTL),
    "exits": (_read_class(Exits), "a mapping with " + ", ".join(one.name for one in declared(Exits))),
    "rules": (_read_rules, "a mapping with " + ", ".join(CORE_NAMES)),
}
_REQUIRED: Final = frozenset(_TOP.keys() - {"approval"})
