-- The ground of the market database: closed to the public, open to market_service. Its tables come with the scheduler.

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO market_service;
