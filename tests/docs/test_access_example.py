"""The access files printed and shipped are ones a service would take, and the words of both lists agree."""

import re

from kernel.rpc.access_file import load_access, parse_access
from kernel.rpc.rights import ALL
from standalone.tls import ACCESS, CLIENTS
from tests.docs.pages import ROOT, blocks, rows

SECURITY = ROOT / "docs" / "security.md"


def test_the_printed_access_file_loads() -> None:
    (example,) = [block for block in blocks(SECURITY, "yaml") if "kind: Access" in block]
    assert set(parse_access(example, "security.md")) >= {"alice-bot", "market_service", "trade_service"}


def test_the_access_file_of_the_one_machine_system_loads_and_names_its_clients() -> None:
    assert set(load_access(ACCESS)) == {*CLIENTS, "market_service", "trade_service"}


def test_the_table_of_rights_has_every_right_once() -> None:
    told = [name for cells in rows(SECURITY, "right") for name in re.findall(r"`(\w+)`", cells[0])]
    assert sorted(told) == sorted(ALL)
