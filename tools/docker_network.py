"""What a Docker engine changes of a machine's network and leaves behind when it stops: kept before, put back after."""

import json
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Final

SWITCHES: Final = tuple(
    Path("/proc/sys/net") / name
    for name in (
        "ipv4/ip_forward",
        "ipv6/conf/all/forwarding",
        "bridge/bridge-nf-call-iptables",
        "bridge/bridge-nf-call-ip6tables",
    )
)
TABLES: Final = (("iptables-save", "iptables-restore"), ("ip6tables-save", "ip6tables-restore"))
OURS: Final = ("docker0", "br-", "veth")


def keep(file: Path) -> None:
    """Write the present state to `file`; one already there is of a run that was cut short, older, and stays."""
    if not file.exists():
        state = {
            "switches": {str(path): path.read_text().strip() for path in SWITCHES if path.exists()},
            "tables": [_output(save) for save, _ in TABLES],
            "links": _links(),
        }
        unfinished = file.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(state))
        unfinished.replace(file)


def put_back(file: Path) -> None:
    """Return to the state that `keep` wrote, and forget it; call it when the engine has stopped."""
    state = json.loads(file.read_text())
    for link in _links():
        if link.startswith(OURS) and link not in state["links"]:
            subprocess.run(["ip", "link", "delete", link], check=False, capture_output=True)  # noqa: S607
    for (_, restore), rules in zip(TABLES, state["tables"], strict=True):
        # Chains that were not there before only go when the table is emptied, so an empty table is stated whole.
        subprocess.run([restore], input=_whole(rules), text=True, check=False, capture_output=True)
    for name, value in state["switches"].items():
        with suppress(OSError):
            Path(name).write_text(value)
    _close_new_switches(state["switches"])
    file.unlink()


def _close_new_switches(known: dict[str, str]) -> None:
    # The bridge module was loaded by the engine: without it nothing was filtered, which is what 0 means.
    for path in SWITCHES:
        if "bridge" in str(path) and str(path) not in known and path.exists():
            path.write_text("0")


def _whole(rules: str) -> str:
    for table, chains in (("filter", "INPUT FORWARD OUTPUT"), ("nat", "PREROUTING INPUT OUTPUT POSTROUTING")):
        if f"*{table}\n" not in rules:
            rules += f"*{table}\n" + "".join(f":{chain} ACCEPT [0:0]\n" for chain in chains.split()) + "COMMIT\n"
    return rules


def _links() -> list[str]:
    return sorted(each.name for each in Path("/sys/class/net").iterdir())


def _output(program: str) -> str:
    try:
        return subprocess.run([program], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""
