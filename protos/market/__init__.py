"""Package market, by version."""
