"""Package market.v1: market_pb2 has the messages, market_pb2_grpc the stubs and servicers."""
