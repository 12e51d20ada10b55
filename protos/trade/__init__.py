"""Package trade, by version."""
