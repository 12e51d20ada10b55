"""What both services need and no business word in it: errors, ids, secrets, database, RPC, logs, metrics."""
