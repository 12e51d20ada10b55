"""The pure policy engine: proposal and facts in, decision out. Knows no clock, no randomness, no network."""
