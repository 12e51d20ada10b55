"""What is installed is pinned, known, listed and under a licence that somebody agreed to."""

from datetime import UTC, date, datetime, timedelta
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from tools import audit, licences, sbom
from tools.locks import Locked, LockError, lock_files, read_lock
from tools.waivers import LONGEST, WAIVERS, Waiver, Weakness, bad_waivers, read_waivers, unwaived

TODAY = date(2026, 11, 24)
HASH = "a" * 64
REASON = "only its command line is concerned, which nothing here runs"
LOCKED = Locked("example", "1.0", frozenset({HASH}), "")


@pytest.mark.parametrize("path", lock_files(), ids=lambda path: path.name)
def test_every_line_of_a_lock_pins_a_version_and_its_hashes(path: Path) -> None:
    locked = read_lock(path.read_text())
    assert locked
    assert len({(each.name, each.marker) for each in locked}) == len(locked)


@pytest.mark.parametrize(
    "line",
    [
        "example==1.0",
        f"example>=1.0 \\\n    --hash=sha256:{HASH}",
        f"example @ https://example.org/example.whl \\\n    --hash=sha256:{HASH}",
        f"example==1.0 \\\n    --hash=md5:{'a' * 32}",
        f"example==1.0 --no-binary \\\n    --hash=sha256:{HASH}",
        f"example==1.0 \\\n    --hash=sha256:{HASH} https://example.org",
        "--index-url https://example.org/simple",
        "-e .",
        "./example.whl",
    ],
)
def test_a_line_that_pins_less_is_refused(line: str) -> None:
    with pytest.raises(LockError, match="make lock"):
        read_lock(f"# a comment\n{line}\n")


def test_a_line_is_read_whole() -> None:
    [found] = read_lock(f"example==1.0 ; sys_platform == 'win32' \\\n    --hash=sha256:{HASH}\n    # via other\n")
    assert found == Locked("example", "1.0", frozenset({HASH}), "sys_platform == 'win32'")


# --- known weaknesses ---


def test_no_waiver_is_over_or_without_a_reason() -> None:
    assert list(bad_waivers(read_waivers(WAIVERS.read_text()), datetime.now(UTC).date())) == []


@pytest.mark.parametrize(
    ("until", "reason", "wrong"),
    [
        (TODAY, REASON, ""),
        (TODAY + LONGEST, REASON, ""),
        (TODAY - timedelta(days=1), REASON, "is over"),
        (TODAY + LONGEST + timedelta(days=1), REASON, "at most 90 days"),
        (TODAY, "later", "without a reason"),
    ],
)
def test_a_waiver_ends_within_a_quarter_and_says_why(until: date, reason: str, wrong: str) -> None:
    found = list(bad_waivers([Waiver("X-1", "example", until, reason)], TODAY))
    assert len(found) == bool(wrong)
    assert all(wrong in each for each in found)


def test_a_weakness_is_waived_by_any_of_its_names_for_its_own_package_and_time_only() -> None:
    weakness = Weakness("example", "1.0", frozenset({"X-1", "CVE-1"}))

    def left(waiver: Waiver) -> list[str]:
        return list(unwaived([weakness], [waiver], TODAY))

    assert left(Waiver("CVE-1", "example", TODAY, REASON)) == []
    told = ["example 1.0: CVE-1, X-1"]
    assert left(Waiver("CVE-1", "other", TODAY, REASON)) == told
    assert left(Waiver("CVE-2", "example", TODAY, REASON)) == told
    assert left(Waiver("CVE-1", "example", TODAY - timedelta(days=1), REASON)) == told


def test_a_waiver_is_read_from_its_file() -> None:
    text = f'[[waiver]]\nid = "X-1"\npackage = "example"\nuntil = 2026-11-24\nreason = "{REASON}"\n'
    assert read_waivers(text) == [Waiver("X-1", "example", TODAY, REASON)]
    with pytest.raises(TypeError, match="reason"):
        read_waivers('[[waiver]]\nid = "X-1"\npackage = "example"\nuntil = 2026-11-24\n')


@pytest.mark.parametrize(
    "dependency",
    [
        [],
        [{"name": "example", "skip_reason": "not found"}],
        [{"name": "other", "version": "1.0", "vulns": []}],
        [{"name": "example", "version": "1.1", "vulns": []}],
    ],
)
def test_a_package_without_an_answer_of_its_own_was_not_looked_up(dependency: list[dict[str, Any]]) -> None:
    looked = audit.judge([LOCKED], {"dependencies": dependency})
    assert (looked.missed, looked.weaknesses) == (["example 1.0"], [])


def test_a_package_with_an_answer_was_looked_up() -> None:
    known = {"id": "X-1", "aliases": ["CVE-1"], "fix_versions": [], "description": ""}
    looked = audit.judge([LOCKED], {"dependencies": [{"name": "example", "version": "1.0", "vulns": [known]}]})
    assert looked == audit.Looked([Weakness("example", "1.0", frozenset({"X-1", "CVE-1"}))], [])


# --- bills of materials ---


def bill(name: str = "example", version: str = "1.0", *hashes: str) -> dict[str, Any]:
    told = [{"alg": "SHA-256", "content": each} for each in hashes]
    return {"components": [{"name": name, "version": version, "externalReferences": [{"hashes": told}]}]}


@pytest.mark.parametrize(
    ("told", "whole"),
    [
        (bill("example", "1.0", HASH), True),
        (bill("example", "1.0"), False),
        (bill("example", "1.1", HASH), False),
        (bill("other", "1.0", HASH), False),
        (bill("example", "1.0", "b" * 64), False),
        ({"components": []}, False),
    ],
)
def test_a_bill_that_lacks_a_package_its_version_or_a_hash_is_noticed(told: dict[str, Any], *, whole: bool) -> None:
    assert (list(sbom.missing(told, [LOCKED])) == []) is whole


# --- licences ---


def test_the_page_of_licences_is_what_the_installed_packages_say() -> None:
    assert licences.PAGE.read_text() == licences.page(licences.every()), "run `make licences`"


def test_every_licence_is_agreed_to() -> None:
    assert list(licences.refused(licences.every())) == []


@pytest.mark.parametrize(
    ("name", "licence", "agreed"),
    [
        ("example", "MIT", True),
        ("example", "Apache-2.0 AND (MIT OR MPL-2.0)", True),
        ("example", "MIT AND GPL-3.0-or-later", False),
        ("example", "AGPL-3.0-only", False),
        ("example", "LGPL-3.0-only", False),
        ("psycopg", "LGPL-3.0-only", True),
        ("psycopg", "GPL-3.0-only", False),
        ("example", licences.UNKNOWN, False),
    ],
)
def test_a_licence_nobody_agreed_to_is_refused(name: str, licence: str, *, agreed: bool) -> None:
    assert (list(licences.refused([licences.Listed(name, licence, ())])) == []) is agreed


@pytest.mark.parametrize(
    ("fields", "licence"),
    [
        ({"License-Expression": "MIT"}, "MIT"),
        ({"License": "BSD 2-Clause License"}, "BSD-2-Clause"),
        ({"License": "Copyright (c) somebody", "Classifier": "License :: OSI Approved :: MIT License"}, "MIT"),
        ({"License": "GPLv3"}, licences.UNKNOWN),
        ({}, licences.UNKNOWN),
    ],
)
def test_a_licence_is_read_from_what_a_package_says(fields: dict[str, str], licence: str) -> None:
    metadata = Message()
    for name, value in fields.items():
        metadata[name] = value
    assert licences.licence_of(metadata) == licence
