#!/bin/bash
# What compose uses of the official image's contract: PGDATA, POSTGRES_PASSWORD_FILE, a password asked of every address.
set -eu
[ "$(id -u)" != 0 ] || { echo 'this stand-in starts as postgres only (uid 999)' >&2; exit 1; }
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    mkdir -p "$PGDATA"
    initdb -D "$PGDATA" -U postgres --pwfile="$POSTGRES_PASSWORD_FILE" --auth-local=trust --auth-host=scram-sha-256
    echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
    echo "listen_addresses = '*'" >> "$PGDATA/postgresql.conf"
fi
exec "$@"
