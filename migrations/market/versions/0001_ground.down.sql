-- Gives back what the ground took.

REVOKE USAGE ON SCHEMA public FROM market_service;
