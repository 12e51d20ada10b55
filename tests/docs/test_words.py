"""What the pages name exists: files, targets, variables, metrics, alarms, health names, tests."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import httpx
import pytest

from standalone.system import System
from tests.docs.conftest import exported
from tests.docs.pages import PAGES, README, ROOT, blocks, rows, words

OPERATIONS = ROOT / "docs" / "operations.md"
PACKAGES = ("kernel", "bitvavo", "market_service", "trade_service")
FOLDERS = [path for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")]
ELSEWHERE = {".local/", ".local/interlock.json", "google/protobuf/*.proto"}
"""Made by running, or of another project."""
EVERYWHERE = {"grpc_server_handled_total", "grpc_server_handling_seconds", "grpc_server_in_flight"}
"""Metrics that any program of ours has, ours by their purpose and not by their name."""
by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@by_page
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


@by_page
def test_every_file_named_exists(page: Path) -> None:
    named = [
        word
        for word in words(page)
        if re.fullmatch(r"[\w.*-][\w./*-]*(/|\.(py|md|sql|proto|yaml|json|toml|lock))", word)
    ]
    missing = [word for word in named if word not in ELSEWHERE and not exists(word)]
    assert missing == []


def exists(word: str) -> bool:
    """Say whether a file, a directory or a pattern of files exists: from the root, or by the end of its path."""
    return any(any(folder.rglob(word.rstrip("/"))) for folder in FOLDERS) or any(ROOT.glob(word))


@by_page
def test_every_target_named_is_in_the_makefile(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = page.read_text()
    named = {target for word in words(page) for target in re.findall(r"^make ([a-z][a-z-]*)", word)}
    named |= {target for block in blocks(page, "") for target in re.findall(r"\bmake ([a-z][a-z-]*)", block)}
    assert named <= targets, text[:40]


def test_every_variable_of_the_guide_is_read_and_every_variable_read_is_in_the_guide() -> None:
    assert told_about("attest") >= set(read_by([ROOT / "attest" / "settings.py"])) != set()
    for service in ("trade_service", "market_service"):
        assert told_about(service) == set(read_by((ROOT / service).rglob("settings.py")))
    assert told_about("both services") == set(read_by([ROOT / "kernel" / "attestation_watch.py"]))


TLS_VARIABLES = {
    prefix: tuple(f"{prefix}_{end}_FILE" for end in ("TLS_CERT", "TLS_KEY", "TLS_CA", "ACCESS"))
    for prefix in ("TRADE", "MARKET")
}
"""What `read_tls_files(env, prefix, …)` reads."""


def told_about(program: str) -> set[str]:
    """Name the variables in a program's table of the guide."""
    return {name for cells in rows(OPERATIONS, f"{program} |") for name in re.findall(r"`([A-Z_]+)`", cells[0])}


def read_by(files: Iterable[Path]) -> Iterator[str]:
    """Yield the variables that settings read, secrets by the name of their file's variable."""
    for path in files:
        tree = ast.parse(path.read_text())
        constants = {
            node.target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and isinstance(node.value, ast.Constant)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (name := variable_read(node, constants)):
                yield from TLS_VARIABLES.get(name, (name,))


def variable_read(call: ast.Call, constants: Mapping[str, object]) -> str:
    """Return the variable that `env.text("NAME")`, `env.secret(NAME)` or `_price(env, NAME)` reads, else nothing."""
    match call:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="env"), attr=kind), args=[first, *_]):
            pass
        case ast.Call(func=ast.Name(), args=[ast.Name(id="env"), first, *_]):
            kind = "text"
        case _:
            return ""
    found = first.value if isinstance(first, ast.Constant) else constants.get(getattr(first, "id", ""), "")
    if kind in {"forbid", "problem"} or not isinstance(found, str):
        return ""
    return f"{found}_FILE" if found and kind in {"secret", "database_url"} else found


def test_every_other_variable_named_is_read_somewhere() -> None:
    sources = "".join(
        path.read_text() for folder in ("standalone", "migrations", "cli") for path in (ROOT / folder).rglob("*.py")
    )
    sources += (ROOT / "docker-compose.yml").read_text()
    named = {name for page in PAGES for name in re.findall(r"\bINTERLOCK_[A-Z_]+\b", page.read_text())}
    assert {name for name in named if name not in sources} == set()


def test_the_table_of_alarms_has_every_code_raised_and_no_other() -> None:
    told = {re.sub("`", "", cells[0]) for cells in rows(OPERATIONS, "code")}
    assert told == set(alarm_codes())


def alarm_codes() -> Iterator[str]:
    """Yield the codes with which the services raise alarms, by the value of the constant they name."""
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    text = "\n".join(path.read_text() for path in files)
    constants = dict(re.findall(r'^([A-Z_]+): Final = "([A-Z_]+)"', text, re.MULTILINE))
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "raise_alarm":
                code = node.args[0]
                name = code.id if isinstance(code, ast.Name) else code.attr if isinstance(code, ast.Attribute) else ""
                yield constants[name]


def test_every_metric_of_the_guide_is_shown_and_every_metric_of_ours_is_in_the_guide(system: System) -> None:
    shown: set[str] = set()
    for service in (system.market, *system.trade):
        answer = httpx.get(service.metrics_url, trust_env=False, timeout=5)
        assert answer.status_code == 200
        shown |= exported(answer.text)
    told = {word for word in words(OPERATIONS) if re.fullmatch(r"(interlock|grpc)_[a-z_]+", word)}
    ours = {name for name in shown if name.startswith("interlock_")} | EVERYWHERE
    assert told == ours
    assert ours <= shown


@pytest.mark.parametrize("selection", sorted(set(re.findall(r"`tests -k \"?([^`\"]+)\"?`", README.read_text()))))
def test_a_promise_is_shown_by_tests_of_its_name(selection: str) -> None:
    for word in selection.split(" or "):
        assert [name for name in known_tests() if f"_{word}_" in name], word


@by_page
def test_every_test_named_exists(page: Path) -> None:
    named = {word for word in words(page) if re.fullmatch(r"test_\w+", word)}
    assert named - known_tests() == set()


def known_tests() -> set[str]:
    """Name every test of the project."""
    texts = [path.read_text() for path in (ROOT / "tests").rglob("test_*.py")]
    return {name for text in texts for name in re.findall(r"^(?:async )?def (test_\w+)", text, re.MULTILINE)}
