"""A simulated Bitvavo exchange in a process of its own: `python -m exchange_sim`.

It is the second opinion of every test: it shares no code with the services, checks signatures in its own words,
and keeps a ledger of every request and every order that nobody can edit.
"""
