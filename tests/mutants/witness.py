"""A plugin for the test run of a mutant: writes down what each failing test said, as lines of JSON."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FILE_VARIABLE = "INTERLOCK_MUTANT_WITNESS"
LINES_MAX = 8


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Iterator[None]:
    report = yield
    if call.excinfo is not None:
        said = {
            "test": item.nodeid,
            "when": call.when,
            "assertion": call.excinfo.errisinstance((AssertionError, pytest.fail.Exception)),
            "kind": call.excinfo.typename,
            "lines": _lines(call.excinfo),
        }
        with Path(os.environ[FILE_VARIABLE]).open("a", encoding="utf-8") as file:
            file.write(json.dumps(said) + "\n")
    return report


def _lines(excinfo: pytest.ExceptionInfo[BaseException]) -> list[str]:
    """The failing place, and what pytest made of the assertion there."""
    place = next(entry for entry in reversed(excinfo.traceback) if "/tests/" in str(entry.path))
    found = str(excinfo.value).splitlines() or [excinfo.typename]
    source = str(place.statement).strip().splitlines()
    return [f"{Path(place.path).name}:{place.lineno + 1}: {source[0]}", *found[:LINES_MAX]]
