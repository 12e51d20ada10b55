"""The two schemas and their roles: one Alembic tree per database. Run by `make migrate` and before every start."""
