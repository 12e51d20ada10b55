-- Takes the ground away again, with every row on it.

DROP TABLE trade_history, execution_events, trade_executions, decisions, trade_proposals, gpt_usage_log, users,
    trading_state, policy_sets, policies, alarms, deployment, protocol;
DROP FUNCTION enforce_status_move();
DROP FUNCTION keep_order_id();
DROP DOMAIN principal, sha256_hex, order_side, order_type, time_in_force, decision_outcome, confidence, positive_decimal,
    decimal_from_zero, positive_integer, integer_from_zero, positive_interval, window_ms;
REVOKE SELECT ON alembic_version FROM trade_service, trade_reconciler;
REVOKE USAGE ON SCHEMA public FROM trade_service, trade_reconciler, auditor;
