-- Gives back what the ground took.

REVOKE SELECT ON alembic_version FROM market_service;
REVOKE USAGE ON SCHEMA public FROM market_service;
