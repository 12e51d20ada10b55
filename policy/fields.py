"""How a frozen class declares its limits, and its plain form: nested dicts, lists and strings, no numbers.

A field is ``Annotated[type, kind]`` with a kind of `policy/limits.py`, or another such class. A field with a default
may be absent from a file. Called by the reader and by the canonical form.
"""

from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import lru_cache
from typing import Annotated, Any, TypeAlias, get_args, get_origin, get_type_hints

from policy.limits import Kind, Listed

Tree: TypeAlias = "str | list[Tree] | dict[str, Tree]"


@dataclass(frozen=True, slots=True)
class Declared:
    """One declared field: a scalar or list kind, or a nested class; exactly one of the two is set."""

    name: str
    kind: Kind | Listed | None
    nested: type | None
    required: bool

    @property
    def allowed(self) -> str:
        """What may be written, for people."""
        if self.kind is not None:
            return self.kind.allowed
        return "a mapping with " + ", ".join(one.name for one in declared(self.nested or object))


@lru_cache(maxsize=64)
def declared(cls: type) -> tuple[Declared, ...]:
    """Return the declared fields of a class, in their order.

    Raises:
        TypeError: a field declares neither a kind nor a nested class; a mistake in the rule, found by any load.
    """
    if not is_dataclass(cls):
        return ()
    hints = get_type_hints(cls, include_extras=True)
    return tuple(_declare(one.name, hints[one.name], one.default is MISSING) for one in fields(cls) if one.init)


def plain(value: Any) -> dict[str, Tree]:  # noqa: ANN401 - any class with declared fields
    """Return the plain form of an instance: one spelling for each value, absent fields left out."""
    tree: dict[str, Tree] = {}
    for one in declared(value.__class__):
        part = getattr(value, one.name)
        if part is not None:
            tree[one.name] = _plain_part(one, part)
    return tree


def _plain_part(one: Declared, part: Any) -> Tree:  # noqa: ANN401
    if isinstance(one.kind, Listed):
        return [one.kind.item.show(entry) for entry in part]
    return plain(part) if one.kind is None else one.kind.show(part)


def _declare(name: str, hint: Any, required: bool) -> Declared:  # noqa: ANN401, FBT001
    if get_origin(hint) is Annotated:
        return Declared(name, get_args(hint)[1], None, required)
    classes = [part for part in (hint, *get_args(hint)) if is_dataclass(part)]
    if len(classes) != 1 or not isinstance(classes[0], type):
        message = f"{name}: declare Annotated[type, kind] or one class with declared fields"
        raise TypeError(message)
    return Declared(name, None, classes[0], required)
