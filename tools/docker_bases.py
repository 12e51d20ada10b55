"""The two public images that ours stand on: pulled where a registry answers, else made here of Debian's packages.

A stand-in carries the public image's name, on an engine of our own only, and the label `interlock.standin`. It has the
public image's contract as far as our files use it; Python's is of the version that this machine's Debian has (≥ 3.11),
PostgreSQL's is Debian's own 18. Packages come from the mirror that this machine's apt uses, signatures checked.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PULL_SECONDS: Final = 120
MAKE_SECONDS: Final = 400
LABEL: Final = "interlock.standin"
ENTRYPOINT: Final = Path(__file__).parent / "standins" / "postgres-entrypoint.sh"
AUTHORITIES: Final = Path("/etc/ssl/certs/ca-certificates.crt")
PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SUITE_WITH_POSTGRES_18: Final = "forky"

LEAN: Final = (
    "--variant=minbase",
    *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale", "info")),
    # A mirror that stands still, as on a machine without the internet, outlives its date; its signature still counts.
    '--aptopt=Acquire::Check-Valid-Until "false"',
    "--quiet",
)


@dataclass(frozen=True, slots=True)
class Base:
    """A public image, and how its stand-in is made: the words for mmdebstrap, the changes for `docker import`."""

    tag: str
    make: Sequence[str]
    changes: Sequence[str]
    stop_signal: str


PYTHON: Final = Base(
    "python:3.12-slim",
    (
        "--include=ca-certificates,python3,python3-venv",
        # Whoever builds here may have an authority of its own; it is of this machine, so it is read when this runs.
        f"--customize-hook=copy-in {AUTHORITIES} /etc/ssl/certs",
        f"--customize-hook=printf '[global]\\ncert = {AUTHORITIES}\\n' > \"$1/etc/pip.conf\"",
        '--customize-hook=for name in python python3; do ln -s /usr/bin/python3 "$1/usr/local/bin/$name"; done',
    ),
    (f"ENV PATH={PATH}", 'CMD ["python3"]'),
    "SIGTERM",
)
POSTGRES: Final = Base(
    "postgres:18",
    (
        "--include=ca-certificates,postgresql-18",
        # The public image's uid, before Debian's package would take another.
        '--essential-hook=echo "postgres:x:999:" >> "$1/etc/group"',
        '--essential-hook=echo "postgres:x:999:999::/var/lib/postgresql:/bin/bash" >> "$1/etc/passwd"',
        '--essential-hook=mkdir -p "$1/etc/postgresql-common"',
        '--essential-hook=echo "create_main_cluster = false" > "$1/etc/postgresql-common/createcluster.conf"',
        f"--customize-hook=copy-in {ENTRYPOINT} /usr/local/bin",
        '--customize-hook=cd "$1"/var; mkdir -p lib/postgresql run/postgresql',
        '--customize-hook=cd "$1"/var; chown 999:999 lib/postgresql run/postgresql; chmod 1777 lib/postgresql',
    ),
    (
        f"ENV PATH=/usr/lib/postgresql/18/bin:{PATH}",
        "ENV PGDATA=/var/lib/postgresql/18/docker LANG=C.UTF-8",
        "VOLUME /var/lib/postgresql",
        "EXPOSE 5432",
        f'ENTRYPOINT ["/usr/local/bin/{ENTRYPOINT.name}"]',
        'CMD ["postgres"]',
    ),
    "SIGINT",
)


class BaseImageError(RuntimeError):
    """An image is not there, no registry gives it, and it cannot be made here; the text says why."""


def ensure_bases(environment: Mapping[str, str]) -> None:
    """Have both images on the engine that `environment` names.

    Raises:
        BaseImageError: one of them cannot be had.
    """
    missing = [base for base in (PYTHON, POSTGRES) if not _succeeds(environment, "image", "inspect", base.tag)]
    with ThreadPoolExecutor(max_workers=2) as threads:
        for _ in threads.map(lambda base: _obtain(base, environment), missing):
            pass


def _obtain(base: Base, environment: Mapping[str, str]) -> None:
    if _succeeds(environment, "pull", "--quiet", base.tag):
        return
    print(f"no registry gives {base.tag}: made here of Debian's packages", file=sys.stderr, flush=True)
    suite = SUITE_WITH_POSTGRES_18 if base is POSTGRES else _own_suite()
    changes = [word for change in (*base.changes, f"LABEL {LABEL}={suite}") for word in ("--change", change)]
    with subprocess.Popen(
        ["mmdebstrap", *LEAN, *base.make, suite, "-", mirror()],  # noqa: S607 - installed by the engine's tool
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as maker:
        imported = subprocess.run(
            ["docker", "import", *changes, "-", base.tag],  # noqa: S607 - whichever the machine has
            stdin=maker.stdout,
            env=dict(environment),
            capture_output=True,
            timeout=MAKE_SECONDS,
            check=False,
        )
        said = maker.stderr.read() if maker.stderr else b""
    if maker.returncode or imported.returncode:
        _discard(base, environment)
        raise BaseImageError(f"{base.tag}: {(said + imported.stderr).decode(errors='replace')[-1500:]}")
    _set_stop_signal(base, environment)


def _set_stop_signal(base: Base, environment: Mapping[str, str]) -> None:
    subprocess.run(
        ["docker", "build", "--quiet", "--tag", base.tag, "-"],  # noqa: S607
        input=f"FROM {base.tag}\nSTOPSIGNAL {base.stop_signal}\n".encode(),
        env=dict(environment),
        capture_output=True,
        timeout=MAKE_SECONDS,
        check=True,
    )


def _discard(base: Base, environment: Mapping[str, str]) -> None:
    # What an unfinished maker wrote would otherwise be taken for the image by the next run.
    _succeeds(environment, "image", "rm", "--force", base.tag)


def _succeeds(environment: Mapping[str, str], *words: str) -> bool:
    try:
        ran = subprocess.run(
            ["docker", *words],  # noqa: S607
            env=dict(environment),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=PULL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return ran.returncode == 0


def _own_suite() -> str:
    lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)["VERSION_CODENAME"].strip('"')


def mirror() -> str:
    """Return the mirror this machine's apt takes Debian's own packages from."""
    asked = ["apt-get", "indextargets", "--format", "$(SITE) $(CODENAME) $(COMPONENT)", "Created-By: Packages"]
    listed = subprocess.run(asked, capture_output=True, text=True, env=dict(os.environ), check=True).stdout
    for line in listed.splitlines():
        site, codename, component = line.split(" ")
        if (codename, component) == (_own_suite(), "main"):
            return site
    raise BaseImageError(f"apt knows no mirror of {_own_suite()}; run: apt-get update")
