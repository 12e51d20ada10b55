"""Owns the read-only key and answers every question about the market."""
