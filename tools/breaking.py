"""Compare the protos with those of the main branch by `buf breaking`; `make buf-breaking` runs it.

A caller's stored JSON and compiled stubs outlive our commits, so a name or a number never changes its meaning.
A checkout without that branch, without git, or from before the first proto has nothing to be compared with.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUF = Path(sys.executable).parent / "buf"
BASES = ("origin/main", "main", "HEAD")
"""Looked for in this order; HEAD is what a detached, shallow checkout has, and still finds an uncommitted break."""
NEEDED = ("buf.yaml", "protos", "third_party")
TIMEOUT_SECONDS = 120


def main() -> None:
    """Exit with buf's status, or 0 with a line that says why there was nothing to compare."""
    wanted = os.environ.get("BREAKING_AGAINST")
    base = next((name for name in ([wanted] if wanted else BASES) if has_protos(name)), None)
    if base is None:
        if wanted:
            sys.exit(f"{wanted} has no protos to compare with")
        print("buf breaking: no earlier protos to compare with")
        return
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "base.tar"
        git("archive", f"--output={archive}", base, *NEEDED).check_returncode()
        command = [str(BUF), "breaking", "--against", str(archive)]
        sys.exit(subprocess.run(command, cwd=ROOT, timeout=TIMEOUT_SECONDS, check=False).returncode)


def has_protos(base: str) -> bool:
    """Return whether that commit is here and holds at least one .proto of ours."""
    listed = git("ls-tree", "-r", "--name-only", base, *NEEDED)
    names = listed.stdout.splitlines()
    return "buf.yaml" in names and any(name.startswith("protos/") and name.endswith(".proto") for name in names)


def git(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run git in the repository; a missing git counts as a failed call."""
    command = ["git", *arguments]
    try:
        return subprocess.run(command, cwd=ROOT, text=True, capture_output=True, timeout=TIMEOUT_SECONDS, check=False)
    except FileNotFoundError as missing:
        return subprocess.CompletedProcess(command, 127, "", str(missing))


if __name__ == "__main__":
    main()
