"""Reads `access.yaml` strictly: every problem is named by line and key, and one problem refuses the whole file.

    apiVersion: interlock/v1
    kind: Access
    clients:
      - identity: spiffe://interlock/alice-bot
        rights: [read, propose]
        users: [alice]

Only `kernel.rpc.access` calls it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from kernel.rpc.rights import ALL, EVERYONE, MEANT_FOR_EVERYONE

MAX_FILE_BYTES: Final = 64 * 1024
MAX_DEPTH: Final = 5
MAX_SHOWN_CHARS: Final = 64
API_VERSION: Final = "interlock/v1"
KIND: Final = "Access"
RESERVED: Final = frozenset({"local", "nobody"})
"""Names that records give to callers without a certificate."""
_IDENTITY: Final = re.compile(r"spiffe://interlock/([a-z0-9][a-z0-9._-]{0,62})", re.ASCII)
_USER: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Grant:
    """What one client may do, and the users it may do it for; "*" is all of them, to read and to administer."""

    rights: frozenset[str]
    users: frozenset[str]


class AccessRefusal(Exception):  # noqa: N818 - it refuses the file
    """The file does not say who may call; `problems` has one line for each reason."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        """Keep the problems."""
        super().__init__("\n".join(problems))
        self.problems = problems


def load_access(path: Path) -> Mapping[str, Grant]:
    """Return the grant of each client by its name, without "spiffe://interlock/".

    Raises:
        AccessRefusal: the file cannot be read, or any part of it is not as the module's text shows.
    """
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_FILE_BYTES + 1)
        if len(raw) > MAX_FILE_BYTES:
            raise AccessRefusal((f"{path}: more than {MAX_FILE_BYTES} bytes",))
        return parse_access(raw.decode("utf-8"), str(path))
    except OSError as error:
        raise AccessRefusal((f"{path}: {error.strerror}; expected a readable file",)) from None
    except UnicodeDecodeError:
        raise AccessRefusal((f"{path}: bytes that are no UTF-8",)) from None


def parse_access(text: str, file: str) -> Mapping[str, Grant]:
    """Return the grants a text states; `file` is only named in problems.

    Raises:
        AccessRefusal: every problem of the text.
    """
    reader = _Reader(file)
    try:
        root = yaml.compose(text, Loader=_PlainLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise AccessRefusal((f"{file}:{line}: no YAML as needed here: {error.problem}",)) from None
    except yaml.YAMLError:
        raise AccessRefusal((f"{file}: a character YAML does not allow",)) from None
    if root is None:
        raise AccessRefusal((f"{file}: found nothing; allowed: one YAML document",))
    grants = reader.read(root)
    if reader.problems:
        raise AccessRefusal(tuple(reader.problems))
    return MappingProxyType(grants)


class _PlainLoader(yaml.SafeLoader):
    """Composes what is written, and nothing that stands for something else."""

    depth = 0

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # nor does the library annotate it
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) or getattr(event, "tag", None):
            problem = "an alias, an anchor or a tag; allowed: the value itself"
            raise yaml.composer.ComposerError(None, None, problem, event.start_mark)
        if self.depth >= MAX_DEPTH:
            raise yaml.composer.ComposerError(None, None, f"deeper than {MAX_DEPTH} levels", event.start_mark)
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


class _Reader:
    """Walks the nodes of one file and notes what is wrong."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[str] = []

    def read(self, root: Node) -> dict[str, Grant]:
        keys = self._mapping(root, "", ("apiVersion", "kind", "clients"))
        self._one_of(keys.get("apiVersion"), "apiVersion", API_VERSION)
        self._one_of(keys.get("kind"), "kind", KIND)
        grants: dict[str, Grant] = {}
        for index, node in enumerate(self._sequence(keys.get("clients"), "clients")):
            self._client(node, f"clients.{index}", grants)
        return grants

    def _client(self, node: Node, key: str, grants: dict[str, Grant]) -> None:
        keys = self._mapping(node, key, ("identity", "rights", "users"))
        name = self._identity(keys.get("identity"), f"{key}.identity", grants)
        rights = self._words(keys.get("rights"), f"{key}.rights", lambda word: word in ALL, ", ".join(ALL))
        allowed = 'names of users (a-z, 0-9, ".", "_", "-"), or "*" alone'
        users = self._words(keys.get("users"), f"{key}.users", _is_user, allowed)
        if EVERYONE in users and (len(users) > 1 or not rights <= MEANT_FOR_EVERYONE):
            served = ", ".join(sorted(MEANT_FOR_EVERYONE))
            self._wrong(keys["users"], f"{key}.users", '"*"', f'"*" alone, and only beside the rights {served}')
        if name is not None:
            grants[name] = Grant(rights, users)

    def _identity(self, node: Node | None, key: str, grants: Mapping[str, Grant]) -> str | None:
        if node is None:
            return None
        match = _IDENTITY.fullmatch(_text(node))
        if match is None or match[1] in RESERVED:
            self._wrong(node, key, _text(node), "spiffe://interlock/<name>, a name of a-z, 0-9, '.', '_', '-'")
            return None
        if match[1] in grants:
            self._wrong(node, key, f"{_text(node)} twice", "each client once")
        return match[1]

    def _words(self, node: Node | None, key: str, fits: Callable[[str], bool], allowed: str) -> frozenset[str]:
        words: list[str] = []
        for each in self._sequence(node, key):
            if _text(each) in words or not fits(_text(each)):
                self._wrong(each, key, _text(each), f"{allowed}, each once")
            words.append(_text(each))
        return frozenset(words)

    def _mapping(self, node: Node, key: str, names: tuple[str, ...]) -> dict[str, Node]:
        """Return the values by key; all of `names` have to be there, once, and nothing else."""
        if not isinstance(node, MappingNode):
            self._wrong(node, key, _text(node), f"a mapping with {', '.join(names)}")
            return {}
        found: dict[str, Node] = {}
        for at, value in node.value:
            if _text(at) not in names or _text(at) in found:
                self._wrong(at, key, f"the key {_text(at)}", f"{', '.join(names)}, each once")
            found[_text(at)] = value
        for name in names:
            if name not in found:
                self._wrong(node, key, f"no {name}", f"{', '.join(names)}, each once")
        return found

    def _sequence(self, node: Node | None, key: str) -> list[Node]:
        if node is None:
            return []
        if not isinstance(node, SequenceNode) or not node.value:
            self._wrong(
                node, key, _text(node) if isinstance(node, ScalarNode) else "nothing in it", "a list, not empty"
            )
            return []
        return list(node.value)

    def _one_of(self, node: Node | None, key: str, allowed: str) -> None:
        if node is not None and _text(node) != allowed:
            self._wrong(node, key, _text(node), allowed)

    def _wrong(self, node: Node, key: str, found: str, allowed: str) -> None:
        where = f"{self.file}:{node.start_mark.line + 1}"
        shown = found if len(found) <= MAX_SHOWN_CHARS else found[:MAX_SHOWN_CHARS] + "…"
        self.problems.append(f"{where}: {key + ': ' if key else ''}found {shown!r}; allowed: {allowed}")


def _is_user(word: str) -> bool:
    return word == EVERYONE or _USER.fullmatch(word) is not None


def _text(node: Node) -> str:
    """Return a scalar as it is written; another node as a word that fits nowhere."""
    return node.value if isinstance(node, ScalarNode) else "no plain word"
