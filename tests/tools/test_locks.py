"""Every program has a group of packages and a lock of its own, and all locks agree."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
EXTRAS: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
PROGRAMS = sorted(path.stem for path in (ROOT / "locks").glob("*.lock"))


def pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", lock.read_text(), re.MULTILINE))


def asked(extra: str) -> list[Requirement]:
    """Return what an extra asks for, extras of our own replaced by what they ask for."""
    found = []
    for text in EXTRAS[extra]:
        one = Requirement(text)
        found += [each for name in one.extras for each in asked(name)] if one.name == "interlock" else [one]
    return found


def test_the_makefile_locks_every_program_and_the_dockerfile_installs_every_lock() -> None:
    written = re.search(r"^PROGRAMS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    installed = re.findall(r"^COPY locks/(\w+)\.lock", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert written
    assert sorted(written[1].split()) == PROGRAMS == sorted(installed)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_runs_in_the_versions_that_the_tests_run_with(program: str) -> None:
    own, tested = pins(ROOT / "locks" / f"{program}.lock"), pins(ROOT / "requirements.lock")
    assert own
    assert {name: version for name, version in own.items() if tested.get(name) != version} == {}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_lock_answers_what_its_group_asks(program: str) -> None:
    own = pins(ROOT / "locks" / f"{program}.lock")
    lacking = [str(one) for one in asked(program) if one.name not in own or own[one.name] not in one.specifier]
    assert lacking == []


def test_nothing_is_installed_for_everybody() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"] == []


@pytest.mark.parametrize(
    "lock", sorted([*ROOT.glob("*.lock"), *(ROOT / "locks").glob("*.lock")]), ids=lambda path: path.name
)
def test_every_package_of_a_lock_has_a_hash_and_no_other_source_than_the_public_index(lock: Path) -> None:
    text = lock.read_text()
    heads = re.findall(r"^[a-z0-9.-]+==.*$", text, re.MULTILINE)
    assert heads
    assert all(line.endswith("\\") for line in heads)
    assert not re.search(r"^\s*(-i|--index-url|--extra-index-url|--find-links)|https?://", text, re.MULTILINE)
