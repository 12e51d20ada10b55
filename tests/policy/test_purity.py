"""The same policy, proposal and facts decide the same for ever: nothing of the outside may be looked at."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "policy"
FORBIDDEN = {"asyncio", "grpc", "httpx", "logging", "os", "random", "secrets", "sqlalchemy", "time", "uuid1", "socket"}
READS_FILES = {"yaml", "pathlib", "io", "importlib"}
MAY_READ_FILES = {"load", "presets"}


def imported(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    plain = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    chosen = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return {name.split(".")[0] for name in plain | chosen}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_no_clock_no_chance_no_network(path: Path) -> None:
    assert imported(path) & FORBIDDEN == set()
    if path.parent.name not in MAY_READ_FILES:
        assert imported(path) & READS_FILES == set()


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_no_float_and_no_ambient_now(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    numbers = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    assert not [number for number in numbers if isinstance(number, float)]
    calls = [
        node.func.attr for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert not {"now", "utcnow", "today", "total_seconds", "open_code"} & set(calls)
    assert "float" not in names
