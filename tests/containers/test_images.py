"""What is in an image, and what is not: asked inside it."""

import json
import re
from collections.abc import Mapping
from functools import cache

import pytest

from tests.containers.docker import ROOT, attempt, docker, inspect

PACKAGES: Mapping[str, set[str]] = {
    "market_service": {"buf", "protos", "kernel", "bitvavo", "market_service"},
    "trade_service": {"buf", "protos", "kernel", "bitvavo", "policy", "trade_service"},
    "attest": {"kernel", "bitvavo", "attest"},
    "simulator": {"exchange_sim"},
    "migrate": {"kernel", "migrations"},
}
"""Ours, by image. What is not named is not there: the market's image cannot trade, and no image but one simulates."""

LOCKS = {
    "market_service": "market",
    "trade_service": "trade",
    "attest": "attest",
    "simulator": "sim",
    "migrate": "migrate",
}
OWN = {
    "market_service": "market_service",
    "trade_service": "trade_service",
    "attest": "attest",
    "simulator": "exchange_sim",
}
USERS = {"market_service": 10001, "trade_service": 10002, "attest": 10003, "simulator": 10004, "migrate": 10005}

OURS = sorted(set().union(*PACKAGES.values(), {"attest", "cli", "standalone", "tests", "benchmarks", "tools"}))
QUESTION = f"""
import importlib, importlib.metadata, importlib.util, json, os, pkgutil, stat
def has_code(folder):
    return any(each.endswith(".py") for _, _, files in os.walk(folder) for each in files)
found = {{"files": [], "setuid": [], "writable": []}}
for folder, folders, files in os.walk("/"):
    # What lies at the top of site-packages is asked by name below; what lies deeper is another package's own.
    skipped = ("/proc", "/sys", "/dev", "/tmp", "/run")
    folders[:] = [] if folder in skipped or folder.endswith("/site-packages") else folders
    found["files"] += [folder + "/" + each for each in folders if has_code(folder + "/" + each) and each in {OURS!r}]
    for each in files:
        mode = os.lstat(os.path.join(folder, each)).st_mode
        if stat.S_ISREG(mode) and mode & 0o6000:
            found["setuid"].append(os.path.join(folder, each))
        if folder.startswith(("/app", "/opt")) and os.access(os.path.join(folder, each), os.W_OK):
            found["writable"].append(os.path.join(folder, each))
found["importable"] = [name for name in {OURS!r} if importlib.util.find_spec(name)]
found["installed"] = {{one.metadata["Name"].lower().replace("_", "-"): one.version
                      for one in importlib.metadata.distributions(path=[importlib.util.find_spec("orjson" if "orjson" in
                      [m.name for m in pkgutil.iter_modules()] else "alembic").origin.rsplit("/", 2)[0]])}}
found["user"] = os.getuid()
print(json.dumps(found))
"""
IMPORT_ALL = """
import importlib, pkgutil, sys
package = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""

by_image = pytest.mark.parametrize("image", sorted(PACKAGES))


@cache
def answer(tag: str) -> Mapping[str, list[str] | dict[str, str] | int]:
    told: Mapping[str, list[str] | dict[str, str] | int] = json.loads(
        docker("run", "--rm", "--network=none", "--entrypoint=python", tag, "-c", QUESTION)
    )
    return told


@by_image
def test_an_image_holds_its_own_packages_of_ours_and_no_other(image: str, images: Mapping[str, str]) -> None:
    told = answer(images[image])
    assert told["importable"] == sorted(PACKAGES[image])
    assert sorted(told["files"]) == sorted(f"/app/{name}" for name in PACKAGES[image])  # type: ignore[arg-type]


@by_image
def test_an_image_holds_its_own_group_of_other_peoples_packages(image: str, images: Mapping[str, str]) -> None:
    lock = (ROOT / "locks" / f"{LOCKS[image]}.lock").read_text()
    locked = dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", lock, re.MULTILINE))
    conditional = set(re.findall(r"^([a-z0-9.-]+)==\S+ ;", lock, re.MULTILINE))
    installed = answer(images[image])["installed"]
    assert isinstance(installed, dict)
    assert {name: version for name, version in installed.items() if locked.get(name) != version} == {}
    assert set(locked) - conditional <= set(installed)


@pytest.mark.parametrize(("image", "package"), sorted(OWN.items()))
def test_every_module_of_a_program_finds_what_it_imports(image: str, package: str, images: Mapping[str, str]) -> None:
    docker("run", "--rm", "--network=none", "--entrypoint=python", images[image], "-c", IMPORT_ALL, package)


@by_image
def test_nothing_lends_root_and_the_program_can_change_none_of_its_code(image: str, images: Mapping[str, str]) -> None:
    told = answer(images[image])
    assert (told["user"], told["setuid"], told["writable"]) == (USERS[image], [], [])


@by_image
def test_a_program_is_started_without_a_shell_and_ended_by_sigterm(image: str, images: Mapping[str, str]) -> None:
    config = inspect(images[image])["Config"]
    assert [*(config["Entrypoint"] or []), *(config["Cmd"] or [])][:2] == ["python", "-m"]
    assert config["StopSignal"] == "SIGTERM"
    assert config["User"] == f"{USERS[image]}:{USERS[image]}"


@by_image
def test_no_step_that_made_an_image_names_this_machine(image: str, images: Mapping[str, str]) -> None:
    steps = docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", images[image])
    assert "python" in steps
    assert not re.search(r"(?i)index-url|proxy|password|token|secret=|/root/|https?://", steps)


def test_there_is_no_package_installer_in_what_programs_use(images: Mapping[str, str]) -> None:
    ran = attempt("run", "--rm", "--network=none", "--entrypoint=python", images["market_service"], "-m", "pip", "list")
    assert ran.returncode == 1
