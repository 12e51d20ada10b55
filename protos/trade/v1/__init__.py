"""Package trade.v1: trade_pb2 has the messages, trade_pb2_grpc the stubs and servicers."""
