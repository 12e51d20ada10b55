"""What both services need and no business word in it: errors, ids, secrets, database, RPC, logs, metrics."""

import kernel.tls_floor as _  # noqa: F401 - before anything of ours can load grpc
