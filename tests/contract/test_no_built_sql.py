"""SQL is written, never put together from values: every statement of the stores is a literal or a named constant."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.refusal import __file__ as _here

ROOT = Path(_here).resolve().parents[2]
FILES = sorted(
    path
    for package in ("trade_service", "market_service", "kernel")
    for path in (ROOT / package).rglob("*.py")
    if "Statement(" in path.read_text() or ".execute(" in path.read_text()
)
BUILT_BY_THE_LIBRARY = {"built"}
"""`kernel.db.built` takes a SQLAlchemy Core query, whose values are parameters."""


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Statement" and node.args:
            yield node


def written(node: ast.expr, known: set[str]) -> bool:
    """Say whether an expression is made of string literals and of names that stand for written text."""
    match node:
        case ast.Constant(value=str()):
            return True
        case ast.Name(id=name):
            return name in known
        case ast.BinOp(op=ast.Add(), left=left, right=right) | ast.IfExp(body=left, orelse=right):
            return written(left, known) and written(right, known)
        case ast.JoinedStr(values=values):
            return all(written(each.value if isinstance(each, ast.FormattedValue) else each, known) for each in values)
        case _:
            return False


def constants(tree: ast.Module) -> dict[str, ast.expr]:
    """Return the module's constants that are typed as written text."""
    return {
        node.target.id: node.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None
        if "LiteralString" in ast.unparse(node.annotation)
        or (isinstance(node.value, ast.Constant) and isinstance(node.value.value, str))
    }


def imported_constants(tree: ast.Module) -> set[str]:
    """Return constants of other files of ours, judged there."""
    return {
        alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("trade_service.store", "kernel"))
        for alias in node.names
        if alias.name.isupper()
    }


def literal_parameters(tree: ast.AST) -> set[str]:
    """Return parameters typed LiteralString: mypy proves that callers hand in written text only."""
    return {
        argument.arg
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for argument in (*node.args.args, *node.args.kwonlyargs)
        if argument.annotation is not None and "LiteralString" in ast.unparse(argument.annotation)
    }


def flaws(source: str, name: str) -> list[str]:
    """Name the statements of a file whose text is not written in it."""
    tree = ast.parse(source)
    functions = {
        inner: node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(node)
    }
    own = constants(tree)
    known = {*own, *imported_constants(tree), *literal_parameters(tree)}
    texts = [(call.lineno, call.args[0]) for call in calls(tree) if functions.get(call) not in BUILT_BY_THE_LIBRARY]
    texts += [(value.lineno, value) for value in own.values()]
    return [f"{name}:{line}: {ast.unparse(text)}" for line, text in texts if not written(text, known)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_statement_is_written_and_not_built(path: Path) -> None:
    assert flaws(path.read_text(), path.name) == []


@pytest.mark.parametrize(
    "line",
    [
        'Statement(f"SELECT {user_id}")',
        'Statement("SELECT %s" % user_id)',
        'Statement("SELECT " + user_id)',
        'Statement("SELECT {}".format(user_id))',
        "Statement(text)",
    ],
)
def test_a_built_statement_would_be_found(line: str) -> None:
    assert flaws(f"def f(user_id, text):\n    return {line}\n", "x.py")


def test_all_stores_are_looked_at() -> None:
    assert {path.parent.name for path in FILES} >= {"store", "kernel"}
    assert len([path for path in FILES if path.parent.name == "store"]) >= 8
