"""Every RPC of both services with a request that is right, and its fields, read from the descriptors.

No right request here can trade: the market is one that no policy allows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp

from protos.market.v1 import market_pb2
from protos.trade.v1 import trade_pb2 as pb
from tests.contract.refusal import Refusal, read
from tests.contract.wishes import buy, new_id, rest

USER: Final = "mallory"
MARKET: Final = "QQQ-EUR"
TIMEOUT_SECONDS: Final = 10.0
BUY: Final = buy("50", MARKET)
LIMIT: Final = rest("100", "0.5", MARKET)
SCAN: Final = market_pb2.ScanTerms(
    user_id=USER,
    market=MARKET,
    analyst=market_pb2.SCAN_ANALYST_RULES,
    pace=market_pb2.ScanPace(every=Duration(seconds=3600)),
    missed=market_pb2.MISSED_SLOT_POLICY_SKIP,
    scans_per_day=1,
    buy_quote_amount="50",
)
NEVER: Final = Timestamp(seconds=4_000_000_000)
"""The first slot of a job: none of these is ever due."""


@dataclass(frozen=True)
class Method:
    """One RPC: "/package.Service/Method", and the type of its request."""

    descriptor: MethodDescriptor

    @property
    def path(self) -> str:
        return f"/{self.descriptor.containing_service.full_name}/{self.descriptor.name}"

    @property
    def name(self) -> str:
        return self.descriptor.name

    @property
    def is_trade(self) -> bool:
        return self.path.startswith("/trade.")

    def request(self, **fields: Any) -> Any:  # noqa: ANN401 - a message of a type known at run time
        return GetMessageClass(self.descriptor.input_type)(**fields)

    def answer(self, raw: bytes) -> Any:  # noqa: ANN401 - a message of a type known at run time
        return GetMessageClass(self.descriptor.output_type).FromString(raw)

    def good(self) -> Any:  # noqa: ANN401 - a message of a type known at run time
        """Return a request that obeys every rule of the .proto, with ids nobody has used."""
        names = self.descriptor.input_type.fields_by_name
        plain = {name: value for name, value in _good(self.name).items() if name in names}
        ids = {name: new_id() for name in names if name.endswith("_id") and name != "user_id"}
        return self.request(**{**ids, **plain})


def _good(method: str) -> dict[str, Any]:
    terms: Message = {"SubmitProposal": LIMIT, "CreateScanJob": SCAN}.get(method, BUY)
    state = {"scope": pb.TRADING_SCOPE_MARKET, "subject": MARKET, "state": pb.TRADING_STATE_HALTED}
    only = {"SetTradingState": state, "SettleBudget": {"outcome": pb.RESERVATION_STATUS_FAILED, "cost": "1"}}
    override = pb.Override(rule="cooldown", reason="drill", until=NEVER)
    return {
        "user_id": USER,
        "terms": terms,
        "confidence": 75,
        "reason": "drill",
        "market": MARKET,
        "content_hash": "0" * 64,
        "overrides": [override],
        "interval": market_pb2.CANDLE_INTERVAL_1H,
        "valid_for": Duration(seconds=60),
        "cancel_after": Duration(seconds=60),
        "max_age": Duration(seconds=60),
        "first_slot": NEVER,
        "start_time": Timestamp(seconds=1_700_000_000),
        "end_time": Timestamp(seconds=1_700_003_600),
        **only.get(method, {}),
    }


METHODS: Final = [
    Method(method)
    for file in (pb.DESCRIPTOR, market_pb2.DESCRIPTOR)
    for service in file.services_by_name.values()
    for method in service.methods
    if not method.server_streaming
]
BY_NAME: Final = {method.name: method for method in METHODS}


def fields(message: Message, kind: int, prefix: str = "") -> Iterator[str]:
    """Yield the path of every field of a kind, also inside messages; lists by their first item."""
    for field in message.DESCRIPTOR.fields:
        path = f"{prefix}{field.name}"
        if field.type == kind:
            yield path + ("[0]" if field.is_repeated else "")
        elif field.message_type is not None and not field.message_type.full_name.startswith("google.protobuf."):
            inner: Any = field.message_type
            yield from fields(GetMessageClass(inner)(), kind, path + ("[0]." if field.is_repeated else "."))


def put(message: Any, path: str, value: object) -> None:  # noqa: ANN401 - containers of many types
    """Set the field at a path such as "terms.market" or "overrides[0].rule"."""
    name, _, rest = path.partition(".")
    plain, indexed = name.removesuffix("[0]"), name.endswith("[0]")
    if not rest:
        if indexed:
            getattr(message, plain)[:] = [value]
        else:
            setattr(message, plain, value)
        return
    inner = getattr(message, plain)
    if indexed and not inner:
        inner.add()
    put(inner[0] if indexed else inner, rest, value)


class Raw:
    """Sends bytes to any method of either service."""

    def __init__(self, trade: grpc.Channel, market: grpc.Channel) -> None:
        self._channels = {True: trade, False: market}
        self._calls: dict[str, Any] = {}

    def send(self, method: Method, raw: bytes) -> bytes | Refusal:
        """Return the answer's bytes, or how it was refused."""
        call = self._calls.get(method.path)
        if call is None:
            call = self._calls[method.path] = self._channels[method.is_trade].unary_unary(method.path)
        try:
            answer: bytes = call(raw, timeout=TIMEOUT_SECONDS)
        except grpc.RpcError as error:
            return read(error)
        return answer
