"""Everything a run of the containers leaves or shows, as bytes by name: logs, databases, `/proc`, image layers."""

import subprocess
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile

from tests.containers.docker import docker

DUMP = """
import os, sys
import psycopg
from psycopg import sql
for tree in ("market", "trade"):
    url = open(f"/run/secrets/{tree}_superuser.url").read().strip()
    with psycopg.connect(url, dbname=f"interlock_{tree}") as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (table,) in tables:
            for row in connection.execute(sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(table))):
                sys.stdout.write(row[0] + "\\n")
        settings = "SELECT query FROM pg_stat_activity UNION ALL SELECT setconfig::text FROM pg_db_role_setting"
        for row in connection.execute(settings):
            sys.stdout.write(str(row[0]) + "\\n")
"""


def containers() -> list[str]:
    """Return the names of all containers, running or ended."""
    return docker("ps", "--all", "--format", "{{.Names}}").split()


def logs() -> Iterator[tuple[str, bytes]]:
    """Yield what each container wrote."""
    for name in containers():
        ran = subprocess.run(["docker", "logs", name], capture_output=True, check=True)  # noqa: S607 - as tests.containers.docker
        yield f"log of {name}", ran.stdout + ran.stderr


def processes() -> Iterator[tuple[str, bytes]]:
    """Yield environment and command line of every process in a container, as the machine's root sees them."""
    for name in docker("ps", "--format", "{{.Names}}").split():
        for line in docker("top", name, "-o", "pid").split()[1:]:
            folder = Path("/proc") / line
            try:
                shown = (folder / "environ").read_bytes() + b"\0" + (folder / "cmdline").read_bytes()
            except OSError:
                continue  # it ended meanwhile
            yield f"process of {name}", shown


def databases() -> Iterator[tuple[str, bytes]]:
    """Yield every row of both databases."""
    words = ("compose", "run", "--rm", "-T", "--entrypoint", "python", "migrate", "-c", DUMP)
    yield "databases", docker(*words).encode()


def held_by_images(images: Iterable[str], needles: Collection[bytes]) -> set[bytes]:
    """Return the needles that a layer or the history of any of the images holds; a gigabyte is grep's work."""
    with NamedTemporaryFile() as listed:
        listed.write(b"\n".join(needles) + b"\n")
        listed.flush()
        words = ["grep", "--text", "--only-matching", "--fixed-strings", "--file", listed.name]
        with subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE) as saving:  # noqa: S607 - as above
            ran = subprocess.run(words, stdin=saving.stdout, capture_output=True, check=False)
    assert (saving.returncode, ran.returncode in {0, 1}) == (0, True), ran.stderr
    return set(ran.stdout.splitlines())
