"""The gRPC contract. Generated code stands beside each .proto and is never edited."""
