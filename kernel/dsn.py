"""Where a database URL leads, and whether the way there is safe; read when settings are, and when a URL is rotated."""

import ipaddress
from collections.abc import Mapping
from typing import Final

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from kernel.secret import Secret

LOCAL_NAME: Final = "localhost"
"""Always this machine (RFC 6761, section 6.3)."""
WHO: Final = frozenset({"user", "password"})


class DsnError(ValueError):
    """A text is no URL of a database; nothing of it is repeated."""


def dsn_problem(url: Secret, *, plaintext: bool) -> str | None:
    """Say what is expected of a database URL instead, None when it is well; nothing of it is repeated.

    Off this machine the server must prove who it is: `sslmode=verify-full`, unless the operator said that the network
    between is his own (`plaintext`).
    """
    try:
        parts = _parts(url)
    except DsnError:
        return "a URL such as postgresql://role:password@127.0.0.1:5432/database"
    if not (parts.get("host") and parts.get("dbname") and parts.get("user")):
        return "a URL that names role, host and database: postgresql://role:password@host:5432/database"
    if plaintext or _is_local(parts) or parts.get("sslmode") == "verify-full":
        return None
    return "sslmode=verify-full&sslrootcert=… for a host that is not this machine, so that it proves who it is"


def password_of(url: Secret) -> Secret | None:
    """Return the password inside a URL, which leaks by itself as easily as the URL; None without one."""
    try:
        found = _parts(url).get("password")
    except DsnError:
        return None
    return Secret(found) if found else None


def leads_to(url: Secret) -> dict[str, str]:
    """Return everything of a valid URL but who connects with what password.

    Raises:
        DsnError: it is no URL of a database.
    """
    return {name: value for name, value in _parts(url).items() if name not in WHO}


def _parts(url: Secret) -> dict[str, str]:
    try:
        return {name: str(value) for name, value in conninfo_to_dict(url.reveal()).items() if value is not None}
    except ProgrammingError:
        raise DsnError("no URL of a database") from None


def _is_local(parts: Mapping[str, str]) -> bool:
    hosts = [*parts["host"].split(","), *filter(None, parts.get("hostaddr", "").split(","))]
    return all(_is_this_machine(host) for host in hosts)


def _is_this_machine(host: str) -> bool:
    if host == LOCAL_NAME or host.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
