-- Takes the ground away again, with every row on it.

DROP TABLE trade_history, execution_events, trade_executions, decisions, trade_proposals, gpt_usage_log, users,
    trading_state, policy_sets, policies, alarms, status_moves, deployment, protocol;
DROP FUNCTION enforce_status_move();
DROP FUNCTION keep_order_id();
REVOKE SELECT ON alembic_version FROM trade_service, trade_reconciler;
REVOKE USAGE ON SCHEMA public FROM trade_service, trade_reconciler, auditor;
