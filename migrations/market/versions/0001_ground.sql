-- The ground of the market database: closed to the public, open to market_service. Its tables come with the scheduler.

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO market_service;
GRANT SELECT ON alembic_version TO market_service; -- a service refuses a schema older than itself
