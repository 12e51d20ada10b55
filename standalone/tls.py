"""The one-machine system over TLS: a development CA of its own, and who may call by `access.yaml` beside this file.

Both services read the same access file; each client's entry says what he may ask of either.
"""

from dataclasses import dataclass
from pathlib import Path

import grpc

from cli.certs import make_development_certificates

ACCESS = Path(__file__).parent / "access.yaml"
CALLER = "alice-bot"
CLIENTS = (CALLER, "approver", "operator")
"""Those of `access.yaml` that are people and programs; the two services have certificates anyway."""


@dataclass(frozen=True, slots=True)
class Tls:
    """A folder as `interlock certs dev` makes it, and the access file of both services."""

    certificates: Path
    access: Path

    def variables(self, prefix: str, name: str) -> dict[str, str]:
        """Return the settings of the service of that name, whose variables begin with `prefix`."""
        own = self.certificates / name
        return {
            f"{prefix}_TLS_CERT_FILE": str(own / "cert.pem"),
            f"{prefix}_TLS_KEY_FILE": str(own / "key.pem"),
            f"{prefix}_TLS_CA_FILE": str(own / "ca.pem"),
            f"{prefix}_ACCESS_FILE": str(self.access),
        }

    def addresses(self) -> dict[str, str]:
        """Return what a caller needs, by the names `interlock.json` has for them."""
        own = self.certificates / CALLER
        return {"ca": str(own / "ca.pem"), "cert": str(own / "cert.pem"), "key": str(own / "key.pem")}

    def channel(self, address: str) -> grpc.Channel:
        """Open a channel as `alice-bot`."""
        files = {name: Path(path).read_bytes() for name, path in self.addresses().items()}
        credentials = grpc.ssl_channel_credentials(files["ca"], files["key"], files["cert"])
        return grpc.secure_channel(address, credentials)


def make_tls(folder: Path, access: Path = ACCESS) -> Tls:
    """Make or renew the certificates in that folder.

    Raises:
        CertsRefusal: what is there is half a CA, or one that ends soon.
    """
    make_development_certificates(folder, CLIENTS)
    return Tls(folder, access)
