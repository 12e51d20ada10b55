"""The operator's statement that a key cannot withdraw: read strictly, believed for a bounded time. Pure.

Trying a withdrawal is what we never do, so nobody but the person who made the key can say this.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

import yaml

from kernel.attestation import Conclusion, Probe

MAX_BYTES: Final = 4096
MAX_NAME_CHARACTERS: Final = 80
LONGEST: Final = timedelta(days=90)
API_VERSION: Final = "interlock/v1"
KIND: Final = "KeyDeclaration"
FIELDS: Final = ("apiVersion", "kind", "key_fingerprint", "cannot", "declared_by", "declared_on", "valid_until")
RIGHT: Final = "withdraw"


@dataclass(frozen=True, slots=True)
class Declaration:
    """Who says since when and until when, both days included, that the key of this fingerprint cannot withdraw."""

    fingerprint: str
    declared_by: str
    declared_on: date
    valid_until: date


class DeclarationError(ValueError):
    """The text is no declaration; the message says what was found and what is expected."""


def parse(text: str) -> Declaration:
    """Read a declaration; every field is required, none is unknown, every value is what was written.

    Raises:
        DeclarationError: anything else.
    """
    fields = _fields(text)
    for name, expected in (("apiVersion", API_VERSION), ("kind", KIND), ("cannot", RIGHT)):
        if fields[name] != expected:
            raise DeclarationError(f"{name}: found {fields[name][:40]!r}; expected {expected}")
    declared_by = fields["declared_by"].strip()
    if not declared_by.isprintable() or not 0 < len(declared_by) <= MAX_NAME_CHARACTERS:
        raise DeclarationError(f"declared_by: expected a person's name of at most {MAX_NAME_CHARACTERS} characters")
    declared_on, valid_until = _day(fields, "declared_on"), _day(fields, "valid_until")
    if not timedelta(0) <= valid_until - declared_on <= LONGEST:
        raise DeclarationError(
            f"valid_until: expected at most {LONGEST.days} days after declared_on, and not before it"
        )
    return Declaration(fields["key_fingerprint"], declared_by, declared_on, valid_until)


def weigh(declaration: Declaration | str, fingerprint: str, today: date) -> Probe:
    """Say what a declaration, or the reason why there is none, says about the key of this fingerprint.

    A day that has begun anywhere on earth counts as begun: the one who declares may be ahead of UTC.
    """
    if isinstance(declaration, str):
        return _probe("none", Conclusion.INCONCLUSIVE, f"{declaration}; declare that {fingerprint} cannot withdraw")
    answered = f"{declaration.declared_by}, until {declaration.valid_until}"
    if declaration.fingerprint != fingerprint:
        why = f"the declaration is about key {declaration.fingerprint[:16]!r}; declare it of {fingerprint}"
        return _probe("about another key", Conclusion.INCONCLUSIVE, why)
    if declaration.declared_on > today + timedelta(days=1):
        return _probe(answered, Conclusion.INCONCLUSIVE, f"declared on {declaration.declared_on}, which is ahead")
    if declaration.valid_until < today:
        why = f"the declaration ended on {declaration.valid_until}; look at the key's rights and declare again"
        return _probe(answered, Conclusion.INCONCLUSIVE, why)
    return _probe(answered, Conclusion.PROVED, "")


def _probe(answered: str, conclusion: Conclusion, why: str) -> Probe:
    return Probe(RIGHT, "absent", "the operator's declaration", answered, conclusion, why)


class _TextLoader(yaml.BaseLoader):
    """Leaves every scalar as it was written (12345678 is a fingerprint, not a number), and takes no key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        """Refuse a key that occurs twice."""
        keys = [key.value if isinstance(key, yaml.ScalarNode) else "" for key, _ in node.value]
        if len(set(keys)) != len(keys):
            raise DeclarationError(f"found a key twice; expected each of {', '.join(FIELDS)} once")
        return super().construct_mapping(node, deep)


def _fields(text: str) -> dict[str, str]:
    if len(text.encode()) > MAX_BYTES:
        raise DeclarationError(f"found more than {MAX_BYTES} bytes")
    try:
        tree = yaml.load(text, Loader=_TextLoader)  # noqa: S506 - a loader that makes texts, lists and mappings only
    except (yaml.YAMLError, RecursionError):
        raise DeclarationError("found no YAML; expected one document") from None
    if not isinstance(tree, dict) or set(tree) != set(FIELDS) or not all(isinstance(one, str) for one in tree.values()):
        raise DeclarationError(f"expected exactly the fields {', '.join(FIELDS)}, each a text")
    return tree


def _day(fields: dict[str, str], name: str) -> date:
    try:
        return date.fromisoformat(fields[name])
    except ValueError:
        raise DeclarationError(f"{name}: found {fields[name][:40]!r}; expected a day such as 2026-01-31") from None
