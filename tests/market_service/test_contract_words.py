"""The words of the proto and those of the code are the same."""

import re
from collections import Counter
from pathlib import Path

from google.protobuf.duration_pb2 import Duration

import kernel.rpc.reasons
from market_service import kinds, reasons
from market_service.answers import INTERVALS
from market_service.kept import Kind
from market_service.rpc import RIGHTS
from protos.market.v1 import market_pb2 as pb


def test_every_reason_the_service_gives_is_in_the_proto_and_the_other_way_round() -> None:
    given = {
        value for module in (reasons, kernel.rpc.reasons) for name, value in vars(module).items() if name.isupper()
    }
    promised = {
        name.removeprefix("ERROR_REASON_") for name in pb.DESCRIPTOR.enum_types_by_name["ErrorReason"].values_by_name
    }
    assert given == promised - {"UNSPECIFIED"}


def test_every_method_needs_the_right_to_read() -> None:
    methods = pb.DESCRIPTOR.services_by_name["MarketService"].methods_by_name
    assert {f"/market.v1.MarketService/{name}": "read" for name in methods} == RIGHTS


def test_every_interval_of_the_proto_is_one_of_the_exchange() -> None:
    assert set(INTERVALS) == set(pb.CandleInterval.values()) - {pb.CANDLE_INTERVAL_UNSPECIFIED}
    for number, interval in INTERVALS.items():
        name = pb.DESCRIPTOR.enum_types_by_name["CandleInterval"].values_by_number[number].name
        assert name == f"CANDLE_INTERVAL_{interval.upper()}"


def test_every_method_that_answers_once_takes_a_max_age_and_all_say_how_old_the_answer_is() -> None:
    for method in pb.DESCRIPTOR.services_by_name["MarketService"].methods:
        if not method.server_streaming:
            assert method.input_type.fields_by_name["max_age"].message_type is Duration.DESCRIPTOR
        assert method.output_type.fields_by_name["freshness"].message_type is pb.Freshness.DESCRIPTOR


def test_the_guide_says_how_long_each_kind_is_kept() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "market.md").read_text()
    told = Counter(re.findall(r"\| ([0-9.]+) s \| ([0-9.]+) s \|", guide))
    kept = [each for each in vars(kinds).values() if isinstance(each, Kind)]
    assert told == Counter((f"{each.fresh_seconds:g}", f"{each.pause_seconds:g}") for each in kept)
