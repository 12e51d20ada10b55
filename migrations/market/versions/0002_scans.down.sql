-- Takes the scheduler's tables away again, with every row in them.

DROP TABLE market_snapshots, scan_runs, scan_jobs, status_moves;
DROP FUNCTION enforce_status_move();
DROP FUNCTION refuse_lower_fence();
