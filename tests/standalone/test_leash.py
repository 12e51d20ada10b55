"""Programs are started without a fork of this process: gRPC's fork handlers would poll closed sockets in the child."""

import os
import subprocess
import sys

import pytest

from standalone.server_account import ServerAccount

PROGRAM = """
import ctypes, os, tempfile
from standalone.server_account import ServerAccount

forks = []
prepare = ctypes.CFUNCTYPE(None)(lambda: forks.append(1))
getattr(ctypes.CDLL(None), "__register_atfork")(prepare, None, None, None)  # the body of pthread_atfork

account = ServerAccount.for_this_process()
account.run(["/bin/true"], timeout_seconds=20)
with tempfile.TemporaryFile() as log:
    account.popen(["/bin/true"], log).wait()
by_starting = len(forks)
if os.fork() == 0:
    os._exit(0)
os.wait()
print(by_starting, len(forks))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the handler is registered with glibc")
def test_a_program_of_the_server_starts_without_a_fork_of_this_process() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True)
    by_starting, in_all = done.stdout.split()
    assert by_starting == "0"
    assert in_all == "1", "the handler does not hear of a fork: this test shows nothing"


def test_a_program_of_the_server_runs_as_the_account_and_in_no_group_of_ours() -> None:
    account = ServerAccount.for_this_process()
    done = account.run(["/bin/sh", "-c", "id -u; id -G"], timeout_seconds=20)
    user, *groups = done.stdout.split()
    if os.geteuid() != 0:
        assert int(user) == os.geteuid()
    else:
        assert (int(user), [int(group) for group in groups]) == (account.user, [account.group])
