"""The simulated exchange with its own ledger: the oracle of every test about money."""
