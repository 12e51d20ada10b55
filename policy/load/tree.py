"""From the text of a YAML file to a tree of dicts, lists and strings, and the line of every path.

YAML as far as a policy needs it: one document; no aliases, anchors, tags, merges or directives; every scalar stays the
string that was written (`ON` is a market's letters, not a truth value; `0100` is refused later, not 64); a key
twice is refused, and so is depth over `MAX_DEPTH`. Called by `policy/load/files.py` only.
"""

from collections.abc import Iterator
from typing import Final

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from policy.reading import UNREADABLE, Flaw, Path, found

MAX_DEPTH: Final = 8
_START: Final = (MappingStartEvent, SequenceStartEvent)


class TreeError(Exception):
    """The text cannot be read further; `flaw` says why, `line` where."""

    def __init__(self, flaw: Flaw, line: int) -> None:
        """Keep both."""
        super().__init__(flaw.found)
        self.flaw, self.line = flaw, line


class TreeReader:
    """Reads one text. Afterwards `flaws` holds what was refused without stopping, `lines` the line of each path."""

    def __init__(self, text: str) -> None:
        """Take the text; nothing is parsed yet."""
        self.flaws: list[Flaw] = []
        self.lines: dict[Path, int] = {(): 1}
        self._events: Iterator[Event] = yaml.parse(text, Loader=yaml.SafeLoader)

    def read(self) -> object:
        """Return the tree.

        Raises:
            TreeError: not YAML, too deep, empty, or more than one document.
        """
        try:
            return self._read_document()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark is not None else 1
            raise TreeError(Flaw((), f"no YAML: {error.problem}", "one YAML document"), line) from None
        except yaml.YAMLError:
            raise TreeError(Flaw((), "a character YAML does not allow", "printable text in UTF-8"), 1) from None

    def _read_document(self) -> object:
        next(self._events)
        start = next(self._events)
        if not isinstance(start, DocumentStartEvent):
            raise TreeError(Flaw((), "nothing", "one YAML document"), 1)
        if start.version or start.tags:
            self.flaws.append(Flaw((), "a % directive", "no directives"))
        tree = self._read_node(next(self._events), ())
        next(self._events)
        after = next(self._events)
        if isinstance(after, DocumentStartEvent):
            raise TreeError(Flaw((), "a second document", "one YAML document"), _line(after))
        return tree

    def _read_node(self, event: Event, path: Path) -> object:
        self.lines.setdefault(path, _line(event))
        if isinstance(event, AliasEvent):
            return self._refuse(path, "an alias (*)", 'the value itself; a star is written "*"')
        if isinstance(event, _START) and len(path) >= MAX_DEPTH:
            raise TreeError(Flaw(path[:MAX_DEPTH], "deeper nesting", f"at most {MAX_DEPTH} levels"), _line(event))
        node = self._read_content(event, path)
        if getattr(event, "anchor", None) is not None:
            return self._refuse(path, "an anchor (&)", "the value itself")
        if getattr(event, "tag", None) is not None:
            return self._refuse(path, f"a tag {found(getattr(event, 'tag', ''))}", "no tags")
        return node

    def _read_content(self, event: Event, path: Path) -> object:
        if isinstance(event, MappingStartEvent):
            return self._read_mapping(path)
        if isinstance(event, SequenceStartEvent):
            return self._read_sequence(path)
        return event.value if isinstance(event, ScalarEvent) else UNREADABLE

    def _read_sequence(self, path: Path) -> list[object]:
        items: list[object] = []
        while not isinstance(event := next(self._events), SequenceEndEvent):
            items.append(self._read_node(event, (*path, str(len(items)))))
        return items

    def _read_mapping(self, path: Path) -> dict[str, object]:
        tree: dict[str, object] = {}
        while not isinstance(event := next(self._events), MappingEndEvent):
            key = self._read_key(event, path)
            line = _line(event)
            self.lines.setdefault((*path, key), line)
            node = self._read_node(next(self._events), (*path, key))
            if key in tree:
                self.flaws.append(Flaw((*path, key), f"the key {found(key)} twice", "each key once"))
                self.lines[(*path, key)] = line
            tree[key] = node
        return tree

    def _read_key(self, event: Event, path: Path) -> str:
        """Return the key. A key that is no plain word cannot be named, so nothing below it can be reported."""
        if isinstance(event, ScalarEvent) and event.anchor is None and event.tag is None and event.value != "<<":
            return str(event.value)
        merge = isinstance(event, ScalarEvent) and event.value == "<<"
        what = "a merge (<<)" if merge else "a key that is no word"
        raise TreeError(Flaw(path, what, "keys that are words"), _line(event))

    def _refuse(self, path: Path, what: str, allowed: str) -> object:
        self.flaws.append(Flaw(path, what, allowed))
        return UNREADABLE


def _line(event: Event) -> int:
    return event.start_mark.line + 1 if event.start_mark is not None else 1
