"""Text with NUL, moments and spans that do not exist, and rules that cannot be computed are the caller's error."""

from typing import Any

import pytest
from buf.validate import validate_pb2
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

from kernel.errors import Invalid
from kernel.rpc.validation import MAX_VIOLATIONS, validate
from kernel.rpc.wellformed import malformed
from protos.market.v1 import market_pb2
from protos.trade.v1 import trade_pb2 as pb

INNERMOST = "values[0].list_value.values[0].string_value"


def wrong(message: Message) -> list[str]:
    return [each.path for each in malformed(message)]


@pytest.mark.parametrize(
    ("message", "paths"),
    [
        (pb.SubmitProposalRequest(rationale="a\0b", terms=pb.OrderTerms(market="\0")), ["terms.market", "rationale"]),
        (market_pb2.ListTickersRequest(markets=["A-B", "\0"]), ["markets[1]"]),
        (Struct(fields={"k" * 100: Value(string_value="\0")}), [f"fields[{'k' * 32}].string_value"]),
        (ListValue(values=[Value(list_value=ListValue(values=[Value(string_value="\0")]))]), [INNERMOST]),
        (pb.SubmitProposalRequest(rationale="a\x01\x7f\u2028", terms=pb.OrderTerms()), []),
    ],
)
def test_nul_is_found_wherever_it_is(message: Message, paths: list[str]) -> None:
    assert wrong(message) == paths


@pytest.mark.parametrize(
    ("seconds", "nanos", "exists"),
    [
        (-62_135_596_800, 0, True),
        (-62_135_596_801, 0, False),
        (253_402_300_799, 999_999_999, True),
        (253_402_300_800, 0, False),
        (2**62, 0, False),
        (0, -1, False),
        (0, 10**9, False),
    ],
)
def test_a_moment_is_of_the_years_1_to_9999(seconds: int, nanos: int, exists: bool) -> None:  # noqa: FBT001 - a column of a table
    moment = Timestamp(seconds=seconds, nanos=nanos)
    assert wrong(pb.ApproveProposalRequest(overrides=[pb.Override(until=moment)])) == (
        [] if exists else ["overrides[0].until"]
    )


@pytest.mark.parametrize(
    ("seconds", "nanos", "exists"),
    [
        (315_576_000_000, 0, True),
        (315_576_000_001, 0, False),
        (-315_576_000_000, -999_999_999, True),
        (1, -1, False),
        (-1, 1, False),
        (0, -1, True),
        (0, 10**9, False),
        (-(2**63), 0, False),
    ],
)
def test_a_span_has_one_sign_and_at_most_10000_years(seconds: int, nanos: int, exists: bool) -> None:  # noqa: FBT001 - a column of a table
    span = Duration(seconds=seconds, nanos=nanos)
    assert wrong(pb.SubmitProposalRequest(valid_for=span)) == ([] if exists else ["valid_for"])


def test_what_is_malformed_and_what_breaks_a_rule_is_told_at_once_each_field_once() -> None:
    request = pb.SubmitProposalRequest(user_id="\0", proposal_id="x", valid_for=Duration(seconds=5, nanos=-5))
    with pytest.raises(Invalid) as told:
        validate(request)
    assert [each.path for each in told.value.violations] == ["user_id", "valid_for", "proposal_id", "terms"]


def test_no_more_than_so_many_fields_are_named() -> None:
    with pytest.raises(Invalid) as told:
        validate(market_pb2.ListTickersRequest(markets=["\0"] * 5_000))
    assert len(told.value.violations) <= 2 * MAX_VIOLATIONS


def test_a_rule_that_cannot_be_computed_is_not_obeyed() -> None:
    message = divided()
    validate(message(over=1, under=1))
    with pytest.raises(Invalid) as told:
        validate(message(over=1))
    assert [each.path for each in told.value.violations] == [""]
    assert "1" not in told.value.violations[0].description


def divided() -> Any:  # noqa: ANN401 - a message type made here
    """Return a message type with a rule that divides one field by another."""
    file = FileDescriptorProto(name="divided.proto", package="scratch.divided", syntax="proto3")
    file.dependency.append("buf/validate/validate.proto")
    message = file.message_type.add(name="Divided")
    for number, name in enumerate(("over", "under"), 1):
        message.field.add(
            name=name,
            number=number,
            type=FieldDescriptorProto.TYPE_INT64,
            label=FieldDescriptorProto.LABEL_OPTIONAL,
        )
    rules = validate_pb2.MessageRules()
    rules.cel.add(id="divided", message="too small", expression="this.over / this.under > 0")
    message.options.Extensions[validate_pb2.message].CopyFrom(rules)
    pool = DescriptorPool()
    for each in dependencies(validate_pb2.DESCRIPTOR):
        pool.AddSerializedFile(each.serialized_pb)
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("scratch.divided.Divided"))


def dependencies(file: Any) -> list[Any]:  # noqa: ANN401 - a file's descriptor
    """Return a file with all it imports, the imported first."""
    found: list[Any] = []
    for each in (*(one for need in file.dependencies for one in dependencies(need)), file):
        if each.name not in {one.name for one in found}:
            found.append(each)
    return found
