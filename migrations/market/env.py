"""What Alembic runs for every command on this tree; `migrations.apply` hands over the connection."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
