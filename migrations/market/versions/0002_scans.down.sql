-- Takes the scheduler's tables away again, with every row in them.

DROP TABLE market_snapshots, scan_runs, scan_jobs;
DROP DOMAIN scan_user, scan_market, scan_analyst, scan_missed_policy, scan_length, scan_day_cap, scan_share, scan_amount,
    scan_hash;
DROP FUNCTION enforce_status_move();
DROP FUNCTION refuse_lower_fence();
