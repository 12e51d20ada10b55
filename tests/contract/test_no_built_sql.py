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


def written(node: ast.expr, constants: dict[str, ast.expr], parameters: set[str], depth: int = 8) -> bool:
    """Say whether an expression is made of string literals only, through constants of the module if need be."""
    if depth == 0:
        return False
    match node:
        case ast.Constant(value=str()):
            return True
        case ast.Name(id=name):
            return name in parameters or (
                name in constants and written(constants[name], constants, parameters, depth - 1)
            )
        case ast.Attribute(attr=name):
            return name.isupper()  # a constant of another module, judged there
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            return all(written(side, constants, parameters, depth - 1) for side in (left, right))
        case ast.JoinedStr(values=values):
            return all(
                written(each.value if isinstance(each, ast.FormattedValue) else each, constants, parameters, depth - 1)
                for each in values
            )
        case ast.IfExp(body=body, orelse=other):
            return all(written(side, constants, parameters, depth - 1) for side in (body, other))
    return False


def module_constants(tree: ast.Module) -> dict[str, ast.expr]:
    """Return what is assigned at the top of a module, under names that say so."""
    found: dict[str, ast.expr] = {}
    for node in tree.body:
        targets = (
            [node.target] if isinstance(node, ast.AnnAssign) else node.targets if isinstance(node, ast.Assign) else []
        )
        for target in targets:
            if isinstance(target, ast.Name) and target.id.isupper() and getattr(node, "value", None) is not None:
                found[target.id] = node.value  # type: ignore[union-attr,assignment]  # both kinds of assignment have one
    return found


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
    constants, parameters = module_constants(tree), literal_parameters(tree)
    return [
        f"{name}:{call.lineno}: {ast.unparse(call.args[0])}"
        for call in calls(tree)
        if functions.get(call) not in BUILT_BY_THE_LIBRARY and not written(call.args[0], constants, parameters)
    ]


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
