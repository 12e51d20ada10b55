"""An operator at a terminal of his own: sets the global switch as told on standard input, and says how long it took.

A process apart, so that what is measured is the call and not the turn-taking inside a busy load generator.
One line in, `<state> <replica> <expected_generation>`; one JSON line out.
"""

import json
import sys
import time

import grpc

from protos.trade.v1 import trade_pb2 as pb
from protos.trade.v1.trade_pb2_grpc import AdminServiceStub

CALL_SECONDS = 10.0


def main() -> None:
    """Serve until standard input ends."""
    channels = [grpc.insecure_channel(address) for address in sys.argv[1:]]
    stubs = [AdminServiceStub(channel) for channel in channels]
    for channel in channels:
        grpc.channel_ready_future(channel).result(CALL_SECONDS)
    for line in sys.stdin:
        state, replica, expected = line.split()
        request = pb.SetTradingStateRequest(
            scope=pb.TRADING_SCOPE_GLOBAL,
            state=pb.TradingState.Value(f"TRADING_STATE_{state}"),
            expected_generation=int(expected),
            reason="a test",
        )
        before = time.perf_counter()
        switch = stubs[int(replica)].SetTradingState(request, timeout=CALL_SECONDS).switch
        took = time.perf_counter() - before
        sys.stdout.write(json.dumps({"seconds": took, "generation": switch.generation}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
