"""What a service off loopback is surrounded by: its certificate, and the file that says who may call.

perimeter = open_perimeter(settings.tls, "trade_service")     # None on plaintext loopback
server = RpcServer(…, perimeter=perimeter)
channel = open_channel(address, certificates_of(perimeter))
keep_perimeter(perimeter, loops)
"""

import ssl
from collections.abc import Callable
from dataclasses import dataclass

from kernel.environment import SettingsError
from kernel.lifecycle import Loops
from kernel.rpc.access import Access
from kernel.rpc.access_file import AccessRefusal
from kernel.rpc.tls import Certificates, TlsFiles, TlsRefusal


@dataclass(frozen=True, slots=True)
class Perimeter:
    """Both parts, as one service has them."""

    certificates: Certificates
    access: Access


def open_perimeter(files: TlsFiles | None, name: str) -> Perimeter | None:
    """Read the files of the service of that name; None when there are none.

    Raises:
        SettingsError: a certificate that cannot be served, or an access file that does not read.
    """
    if files is None:
        return None
    try:
        return Perimeter(Certificates(files, name), Access(files.access))
    except (TlsRefusal, AccessRefusal) as refusal:
        raise SettingsError("settings refused:\n  " + str(refusal).replace("\n", "\n  ")) from None


def keep_perimeter(perimeter: Perimeter | None, loops: Loops) -> None:
    """Follow the files while the service runs."""
    if perimeter is not None:
        loops.start("certificates", perimeter.certificates.keep_fresh)
        loops.start("access", perimeter.access.keep_fresh)


def certificates_of(perimeter: Perimeter | None) -> Certificates | None:
    """Return what a channel to the other service identifies itself with."""
    return None if perimeter is None else perimeter.certificates


def metrics_context(perimeter: Perimeter | None) -> Callable[[], ssl.SSLContext] | None:
    """Return what the metrics are served with: the certificate in use, and client certificates required."""
    if perimeter is None:
        return None
    certificates = perimeter.certificates
    return lambda: certificates.pair.server_context
