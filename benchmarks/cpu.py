"""How much processor time each process took, from Linux's /proc; nothing elsewhere."""

import os
from collections.abc import Mapping
from pathlib import Path

CLIENT = "client"
POSTGRES = "postgres"


def seconds_by_process(pids: Mapping[str, int]) -> dict[str, float]:
    """Return the processor seconds used so far: by each of `pids`, by PostgreSQL's backends, by this process."""
    if not Path("/proc/self/stat").exists():
        return {}
    used = {name: seconds_of(pid) for name, pid in pids.items() if name != POSTGRES}
    if POSTGRES in pids:
        used[POSTGRES] = sum(map(seconds_of, (pids[POSTGRES], *_children(pids[POSTGRES]))))
    return used | {CLIENT: seconds_of(os.getpid())}


def seconds_of(pid: int) -> float:
    """Return the processor seconds, user and system, a process has used so far; 0 for one that is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):  # a backend that ended before, or while it was read
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(each) for each in listed.read_text().split()] if listed.exists() else []
