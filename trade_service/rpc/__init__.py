"""The gRPC edge: requests become values, values become answers. Nothing is decided here."""
