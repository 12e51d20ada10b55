"""The trade database, one port a file: SQL by hand where a transaction is timed, by Core where it is composed."""
