"""Requests nobody wrote: random messages, and right ones with their bytes spoiled. INTERLOCK_FUZZ_EXAMPLES: how many.

In the gate the examples are the same on every run; a longer run, by the variable, takes new ones.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Final

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protos.trade.v1 import trade_pb2 as pb
from protos.trade.v1.trade_pb2_grpc import AdminServiceStub
from tests.contract.harm import OURS, SENT, Watch
from tests.contract.methods import MARKET, METHODS, USER, Method
from tests.contract.refusal import Refusal
from tests.contract.test_bad_values import BAD_DECIMALS, BAD_IDS, BAD_MARKETS, BAD_USERS, ID

GATE_EXAMPLES: Final = 400
SPOILED_PER_EXAMPLE: Final = 10
EXAMPLES: Final = int(os.environ.get("INTERLOCK_FUZZ_EXAMPLES", GATE_EXAMPLES))
GATE: Final = "INTERLOCK_FUZZ_EXAMPLES" not in os.environ
WRITES: Final = ("users", "trade_proposals", "decisions", "gpt_usage_log", "trading_state")
"""What a request that came out right may write into; never an execution."""

campaign = settings(
    max_examples=EXAMPLES,
    derandomize=GATE,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(autouse=True)
def _switched_back(watch: Watch, admin: AdminServiceStub) -> Iterator[None]:
    """Set the kill switch back, should chance have found it."""
    yield
    for each in admin.GetTradingState(pb.GetTradingStateRequest()).switches:
        active = pb.SetTradingStateRequest(state=pb.TRADING_STATE_ACTIVE, reason="fuzzed")
        active.scope, active.subject, active.expected_generation = each.scope, each.subject, each.generation
        admin.SetTradingState(active)


class Seen:
    """What was answered, and which proposals were accepted."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self.codes: Counter[str] = Counter()
        self.proposals: set[tuple[str, str]] = set()

    def send(self, method: Method, raw: bytes) -> None:
        """Send; fail the test when the answer is a failure of ours."""
        told = self._watch.raw.send(method, raw)
        if isinstance(told, Refusal):
            assert told.code not in OURS, (method.name, raw, told)
            assert len(told.message) <= 300
            self.codes[told.code.name] += 1
            return
        self.codes["OK"] += 1
        if method.name in {"SubmitProposal", "PlaceOrder"}:
            proposal = method.answer(told).proposal
            self.proposals.add((proposal.user_id, proposal.proposal_id))


@pytest.fixture
def seen(watch: Watch, request: pytest.FixtureRequest) -> Iterator[Seen]:
    """Yield the counts; afterwards every stored proposal was accepted by an answer. Prints what was sent."""
    counts = Seen(watch)
    before = watch.stored.counts()["trade_proposals"]
    with watch.nothing_happens(but=WRITES):
        yield counts
    assert watch.stored.counts()["trade_proposals"] - before == len(counts.proposals)
    told = ", ".join(f"{code} {count}" for code, count in counts.codes.most_common())
    request.config.stash[SENT].append(f"{request.node.name}: {counts.codes.total()} requests: {told}")


# --- structured ---

_STRINGS: Final = st.one_of(
    st.sampled_from([USER, MARKET, ID, "0.5", "100", "0" * 64, "cooldown", "drill", "EUR", ""]),
    st.sampled_from([each for each in (*BAD_DECIMALS, *BAD_MARKETS, *BAD_IDS, *BAD_USERS) if len(each) < 2_000]),
    st.text(max_size=80),
)
_KINDS: Final = {
    FieldDescriptor.TYPE_STRING: _STRINGS,
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_ENUM: st.one_of(st.integers(0, 12), st.sampled_from([-1, 99, 2**31 - 1, -(2**31)])),
    FieldDescriptor.TYPE_UINT32: st.one_of(st.integers(0, 300), st.just(2**32 - 1)),
    FieldDescriptor.TYPE_INT32: st.one_of(st.integers(-1, 1_500), st.sampled_from([2**31 - 1, -(2**31)])),
    FieldDescriptor.TYPE_INT64: st.one_of(st.integers(-1, 2**40), st.sampled_from([2**63 - 1, -(2**63), 2**62])),
}


def messages(kind: Descriptor) -> st.SearchStrategy[Any]:
    """Draw messages of a type: each field absent or of any value its wire type can hold."""
    drawn = {field.name: _field(field) for field in kind.fields}
    return st.fixed_dictionaries({}, optional=drawn).map(lambda values: GetMessageClass(kind)(**values))


def _field(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    one = messages(field.message_type) if field.message_type is not None else _KINDS[field.type]
    return st.lists(one, max_size=3) if field.is_repeated else one


_CALLS: Final = st.sampled_from([(method, messages(method.descriptor.input_type)) for method in METHODS])


def test_a_message_of_any_content_is_never_a_failure_of_ours(seen: Seen) -> None:
    @campaign
    @given(_CALLS.flatmap(lambda call: st.tuples(st.just(call[0]), call[1])))
    def run(call: tuple[Method, Any]) -> None:
        method, message = call
        seen.send(method, message.SerializeToString())

    run()


# --- bytes ---

Spoil = Callable[[bytes, Random], bytes]


def flip(raw: bytes, chance: Random) -> bytes:
    spoiled = bytearray(raw)
    for _ in range(chance.randint(1, 8) if raw else 0):
        at = chance.randrange(len(raw) * 8)
        spoiled[at // 8] ^= 1 << at % 8
    return bytes(spoiled)


def truncate(raw: bytes, chance: Random) -> bytes:
    return raw[: chance.randint(0, len(raw))]


def splice(raw: bytes, chance: Random) -> bytes:
    other: bytes = chance.choice(METHODS).good().SerializeToString()
    return raw[: chance.randint(0, len(raw))] + other[chance.randint(0, len(other)) :]


def repeat(raw: bytes, chance: Random) -> bytes:
    return raw * chance.randint(2, 20)


def overwrite(raw: bytes, chance: Random) -> bytes:
    start = chance.randint(0, len(raw))
    return raw[:start] + chance.randbytes(chance.randint(0, 40)) + raw[chance.randint(start, len(raw)) :]


def unknown_fields(raw: bytes, chance: Random) -> bytes:
    extra = chance.randbytes(chance.randint(0, 60))
    return raw + varint(chance.randint(100, 2**29 - 1) << 3 | 2) + varint(len(extra)) + extra


def wrong_wire_type(raw: bytes, chance: Random) -> bytes:
    first = raw[0] if raw else chance.randrange(256)
    return bytes([first & ~7 | chance.randrange(8)]) + raw[1:]


def nested(raw: bytes, chance: Random) -> bytes:
    number, depth = chance.randint(1, 20), chance.choice([90, 100, 101, 2_000])
    return raw + varint(number << 3 | 3) * depth + varint(number << 3 | 4) * depth


def invalid_utf8(raw: bytes, chance: Random) -> bytes:
    bad = chance.choice([b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"])
    return raw + varint(chance.randint(1, 6) << 3 | 2) + varint(len(bad)) + bad


def varint(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*written, value])


SPOILS: Final[tuple[Spoil, ...]] = (
    *(flip, truncate, splice, repeat, overwrite, unknown_fields, wrong_wire_type, nested, invalid_utf8),
)


def test_spoiled_bytes_are_never_a_failure_of_ours(seen: Seen) -> None:
    @campaign
    @given(st.sampled_from(METHODS), st.integers(0, 2**32))
    def run(method: Method, number: int) -> None:
        chance = Random(number)
        raw = method.good().SerializeToString()
        for _ in range(SPOILED_PER_EXAMPLE):
            seen.send(method, chance.choice(SPOILS)(raw, chance))

    run()


def test_what_is_no_message_is_named_so(watch: Watch) -> None:
    for raw in (b"\xff", b"\x0a\xff", b"\x0b" * 200, b"\x0a\x01\xff", b"\x0a\x02\xc0\x80"):
        for method in METHODS:
            if not method.descriptor.input_type.fields and raw.startswith(b"\x0a"):
                continue  # without fields every well-formed field is an unknown one
            told = watch.raw.send(method, raw)
            assert isinstance(told, Refusal), (method.name, raw)
            assert (told.code.name, told.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST"), (method.name, raw)
