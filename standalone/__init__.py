"""The whole system on one machine: embedded PostgreSQL, the simulator and both services."""
