"""Proves what an API key of the exchange may do, and writes it down for the service that uses the key."""
