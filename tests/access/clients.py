"""Everyone who tries to call: who they are, by which certificate, and what `access.yaml` gives them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf.message import Message

from cli.authority import Authority, Leaf
from standalone.system import System
from tests.contract.methods import Method
from tests.contract.refusal import Refusal, read

TIMEOUT_SECONDS: Final = 20.0
USER: Final = "mallory"
"""Whom every right request is about (`tests/contract/methods.py`)."""
STRANGER: Final = "somebody-else"

GRANTS: Final = {
    "reader": "read",
    "proposer": "propose",
    "spender": "budget",
    "approver": "approve",
    "overrider": "approve, override",
    "executor": "execute",
    "placer": "place",
    "halter": "halt",
    "administrator": "admin",
    "market_service": "propose, budget",
}
"""Rights of clients that serve the user of every request, by name."""
GRANTS_FOR_ALL: Final = {
    "auditor": "read",
    "operator": "read, halt, admin",
    "brakeman": "halt",
    "trade_service": "read",
}
"""Rights of clients that serve everyone."""

ACCESS: Final = "\n".join(
    [
        "apiVersion: interlock/v1",
        "kind: Access",
        "clients:",
        *(
            f"  - {{identity: spiffe://interlock/{name}, rights: [{each}], users: [{USER}]}}"
            for name, each in GRANTS.items()
        ),
        *(
            f'  - {{identity: spiffe://interlock/{name}, rights: [{each}], users: ["*"]}}'
            for name, each in GRANTS_FOR_ALL.items()
        ),
        f"  - {{identity: spiffe://interlock/foreign-admin, rights: [read, admin], users: [{STRANGER}]}}",
        "",
    ]
)


@dataclass
class Callers:
    """Both services over TLS, and a channel to each for every certificate; opened once and shared."""

    system: System
    authority: Authority
    other_authority: Authority

    def __post_init__(self) -> None:
        yesterday = datetime.now(UTC) - timedelta(days=1)
        self.leaves: dict[str, Leaf | None] = {name: self.authority.leaf(name) for name in (*GRANTS, *GRANTS_FOR_ALL)}
        self.leaves |= {
            "foreign-admin": self.authority.leaf("foreign-admin"),
            "no certificate": None,
            "another CA": self.other_authority.leaf("operator"),
            "expired": self.authority.leaf("operator", valid_until=yesterday),
            "unknown name": self.authority.leaf("unknown"),
            "common name only": self.authority.leaf("operator", uris=()),
            "DNS name only": self.authority.leaf("x", uris=(), hosts=("operator", "spiffe://interlock/operator")),
            "two names": self.authority.leaf(
                "x", uris=[f"spiffe://interlock/{name}" for name in ("operator", "reader")]
            ),
            "another trust domain": self.authority.leaf("x", uris=["spiffe://elsewhere/operator"]),
        }
        self._channels: dict[tuple[str, str], grpc.Channel] = {}

    def call(self, client: str, method: Method, request: Message | None = None) -> "Refusal | None":
        """Call a method as that client and return how it was refused; None for an answer, or the first of a stream."""
        kind = "unary_stream" if method.descriptor.server_streaming else "unary_unary"
        call: Any = getattr(self._channel(client, method), kind)(method.path)
        raw = (method.good() if request is None else request).SerializeToString()
        try:
            answer = call(raw, timeout=TIMEOUT_SECONDS)
            if method.descriptor.server_streaming:
                next(answer)
                answer.cancel()
        except grpc.RpcError as error:
            return read(error)
        return None

    def close(self) -> None:
        for channel in self._channels.values():
            channel.close()

    def channel(self, client: str, address: str) -> grpc.Channel:
        """Return the channel of that client to that address."""
        if (client, address) not in self._channels:
            leaf = self.leaves[client]
            pair = (None, None) if leaf is None else (leaf.key, leaf.certificate)
            credentials = grpc.ssl_channel_credentials(self.authority.certificate, *pair)
            self._channels[client, address] = grpc.secure_channel(address, credentials)
        return self._channels[client, address]

    def _channel(self, client: str, method: Method) -> grpc.Channel:
        return self.channel(client, (self.system.trade[0] if method.is_trade else self.system.market).address)


def authority_of(folder: Path) -> Authority:
    """Return the CA that the running system made for itself."""
    return Authority.read((folder / "certs" / "ca.pem").read_bytes(), (folder / "certs" / "ca.key").read_bytes())
