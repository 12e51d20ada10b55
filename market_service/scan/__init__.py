"""Scans markets on a schedule and proposes trades; holds no key that can trade (docs/scans.md)."""
