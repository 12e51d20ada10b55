"""A program on a leash: `python leash.py SIGNAL USER GROUP COMMAND …` becomes COMMAND, which ends with its starter.

Run as a program of its own between our process and the one it starts. With a `preexec_fn`, a `user` or a `group`
subprocess forks where it else takes vfork: Python, and what gRPC does at a fork, would run in the child of a process
full of threads, and that child crashes now and then.
USER and GROUP are numeric ids to become, or "-". Imports nothing that is not there without site-packages.
"""

import ctypes
import os
import sys
from collections.abc import Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1
"""https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html; a change of identity clears it."""
UNCHANGED = "-"


def leashed(command: Sequence[str | Path], signal: int, user: int | None = None, group: int | None = None) -> list[str]:
    """Return the words that start `command` so that the kernel sends it `signal` when the starting thread ends."""
    identity = [UNCHANGED if number is None else str(number) for number in (user, group)]
    return [sys.executable, "-I", "-S", __file__, str(int(signal)), *identity, *map(str, command)]


def main() -> None:
    """Become the command."""
    signal, user, group, *command = sys.argv[1:]
    starter = os.getppid()
    if group != UNCHANGED:
        os.setgroups([])
        os.setgid(int(group))
    if user != UNCHANGED:
        os.setuid(int(user))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal))
    if os.getppid() != starter:
        sys.exit("the starter ended first")
    os.execv(command[0], command)  # noqa: S606  # this is what it is for


if __name__ == "__main__":
    main()
