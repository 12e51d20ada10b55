"""Owns the trade key; the only place from which an order leaves."""
