"""The exchange's wire format for both services: signing, guarded transport, error table, rate budget. Owns no key."""
