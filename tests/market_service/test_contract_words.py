"""The words of the proto and those of the code are the same."""

import kernel.rpc.reasons
from market_service import reasons
from market_service.rpc import _INTERVALS, RIGHTS
from protos.market.v1 import market_pb2 as pb


def test_every_reason_the_service_gives_is_in_the_proto_and_the_other_way_round():
    given = {
        value for module in (reasons, kernel.rpc.reasons) for name, value in vars(module).items() if name.isupper()
    }
    promised = {name.removeprefix("ERROR_REASON_") for name in pb.ErrorReason.keys()}
    assert given == promised - {"UNSPECIFIED"}


def test_every_method_needs_the_right_to_read():
    methods = pb.DESCRIPTOR.services_by_name["MarketService"].methods_by_name
    assert {f"/market.v1.MarketService/{name}": "read" for name in methods} == RIGHTS


def test_every_interval_of_the_proto_is_one_of_the_exchange():
    assert set(_INTERVALS) == set(pb.CandleInterval.values()) - {pb.CANDLE_INTERVAL_UNSPECIFIED}
    for number, interval in _INTERVALS.items():
        assert pb.CandleInterval.Name(number) == f"CANDLE_INTERVAL_{interval.upper()}"


def test_every_method_takes_a_max_age():
    for method in pb.DESCRIPTOR.services_by_name["MarketService"].methods:
        assert method.input_type.fields_by_name["max_age"].message_type.full_name == "google.protobuf.Duration"
        assert method.output_type.fields_by_name["freshness"].message_type.full_name == "market.v1.Freshness"
