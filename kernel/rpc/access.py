"""Who may call, with which rights, for which users: `access.yaml`, looked up at every call, reloaded when it changes.

The name is the one URI name of the client's certificate, `spiffe://interlock/<name>`; a common name, a DNS name, a
header or a field of a request names nobody. A file that does not read changes nothing and is alarmed.
"""

import asyncio
import hashlib
import re
import ssl
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

from kernel import logs
from kernel.alarms import raise_alarm
from kernel.rpc.access_file import AccessRefusal, Grant, load_access
from kernel.rpc.actor import NOBODY, Actor
from kernel.rpc.call import Context
from kernel.rpc.tls import IDENTITY_PREFIX

POLL_SECONDS: Final = 1.0
ACCESS_FILE_BAD: Final = "ACCESS_FILE_BAD"
NOTHING: Final[frozenset[str]] = frozenset()
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}", re.ASCII)


class Access:
    """The file in force, and the actor behind each call."""

    def __init__(self, path: Path) -> None:
        """Read the file now.

        Raises:
            AccessRefusal: it does not read; every problem is named by line and key.
        """
        self._path = path
        self._seen = _signature(path)
        self._grants: Mapping[str, Grant] = load_access(path)
        self._number = 0

    def number(self) -> int:
        """Return which reading of the file is in force; it grows with each one taken."""
        return self._number

    def identify(self, context: Context) -> Actor:
        """Derive the actor from the certificate the connection was made with. A name without a grant has no rights."""
        proved = context.auth_context()
        certificate = _fingerprint(next(iter(proved.get("x509_pem_cert", ())), b""))
        name = _name_of(list(proved.get("peer_uri", ())))
        if name is None or list(proved.get("transport_security_type", ())) != [b"ssl"]:
            return Actor(NOBODY.name, authenticated=False, rights=NOTHING, certificate=certificate)
        grant = self._grants.get(name)
        return Actor(
            name,
            authenticated=True,
            rights=grant.rights if grant else NOTHING,
            users=grant.users if grant else NOTHING,
            certificate=certificate,
        )

    async def keep_fresh(self) -> None:
        """Look at the file every second, for ever."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            await asyncio.to_thread(self.refresh)

    def refresh(self) -> None:
        """Take what the file says now, if it changed and reads."""
        seen = _signature(self._path)
        if seen == self._seen:
            return
        try:
            self._grants = load_access(self._path)
        except AccessRefusal as refusal:
            first, *more = refusal.problems
            message = f"{first}{f' and {len(more)} more problems' if more else ''}; what was in force stays"
            raise_alarm(ACCESS_FILE_BAD, message, subject=str(self._path))
        else:
            self._number += 1
            logs.log("access_taken", clients=len(self._grants))
        self._seen = seen


def _name_of(uris: list[bytes]) -> str | None:
    """Return the client's name when the certificate carries exactly one URI name, and that is one of ours."""
    if len(uris) != 1:
        return None
    uri = uris[0].decode("latin-1")
    name = uri.removeprefix(IDENTITY_PREFIX)
    return name if uri.startswith(IDENTITY_PREFIX) and _NAME.fullmatch(name) else None


@lru_cache(maxsize=1_024)
def _fingerprint(pem: bytes) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.decode("ascii"))).hexdigest() if pem else ""


def _signature(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0, 0
    return status.st_ino, status.st_mtime_ns, status.st_size
