-- Scan jobs, what became of their slots, and the snapshots they judged by: run as the owner of the market database.
--
-- A job's row is the lock of everything that is written for it. Whoever claims it raises its fence; every later write
-- holds the row and checks the fence, so a holder that slept past its lease changes nothing any more.

-- What a caller asked for has domains: they are checked when a job is made, while a CHECK of the table would be checked
-- by every claim again (a quarter of its cost).

CREATE DOMAIN scan_user AS text CHECK (VALUE ~ '^[a-z0-9][a-z0-9._-]{0,62}$');
CREATE DOMAIN scan_market AS text CHECK (VALUE ~ '^[A-Z0-9]{1,20}-[A-Z0-9]{1,10}$');
CREATE DOMAIN scan_analyst AS text CHECK (VALUE IN ('RULES', 'MODEL'));
CREATE DOMAIN scan_missed_policy AS text CHECK (VALUE IN ('SKIP', 'LATEST_ONCE', 'BACKFILL'));
CREATE DOMAIN scan_length AS interval CHECK (VALUE >= interval '1 second');
CREATE DOMAIN scan_day_cap AS integer CHECK (VALUE BETWEEN 1 AND 86400);
CREATE DOMAIN scan_share AS numeric CHECK (VALUE >= 0);
CREATE DOMAIN scan_amount AS numeric CHECK (VALUE > 0);
CREATE DOMAIN scan_hash AS text CHECK (VALUE ~ '^[0-9a-f]{64}$');

CREATE TABLE scan_jobs (
    job_id uuid PRIMARY KEY,
    user_id scan_user NOT NULL,
    market scan_market NOT NULL,
    analyst scan_analyst NOT NULL,
    every scan_length NOT NULL,
    least_every scan_length NOT NULL,
    most_every scan_length NOT NULL,
    reference_volatility scan_amount,
    missed_policy scan_missed_policy NOT NULL,
    backfill_max integer NOT NULL,
    scans_per_day scan_day_cap NOT NULL,
    min_volatility scan_share,
    min_move_1h scan_share,
    min_volume_z numeric,
    buy_quote_amount scan_amount,
    sell_amount scan_amount,
    valid_for scan_length,
    content_hash scan_hash NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    status text NOT NULL DEFAULT 'ACTIVE' CHECK (status IN ('ACTIVE', 'PAUSED')),
    pace interval NOT NULL,
    next_slot timestamptz NOT NULL,
    requested_slot timestamptz,
    fence bigint NOT NULL DEFAULT 0 CHECK (fence >= 0),
    owner uuid,
    owner_name text NOT NULL DEFAULT '',
    claimed_at timestamptz,
    lease_until timestamptz,
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    failures integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
    counted_on date NOT NULL DEFAULT '1970-01-01',
    counted integer NOT NULL DEFAULT 0 CHECK (counted >= 0),
    missed bigint NOT NULL DEFAULT 0 CHECK (missed >= 0),
    due_at timestamptz GENERATED ALWAYS AS (coalesce(lease_until, least(next_slot, requested_slot))) STORED,
    CONSTRAINT pace_has_bounds CHECK (
        least_every <= every AND every <= most_every AND pace BETWEEN least_every AND most_every
    ),
    CONSTRAINT backfill_is_bounded CHECK (
        CASE WHEN missed_policy = 'BACKFILL' THEN backfill_max BETWEEN 1 AND 100 ELSE backfill_max = 0 END
    ),
    CONSTRAINT something_can_be_proposed CHECK (num_nonnulls(buy_quote_amount, sell_amount) > 0),
    CONSTRAINT owner_has_a_lease CHECK (owner IS NULL OR (lease_until IS NOT NULL AND claimed_at IS NOT NULL))
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
COMMENT ON TABLE scan_jobs IS 'What is scanned, how often, and who holds it. The content never changes; the rest moves.';
COMMENT ON COLUMN scan_jobs.pace IS 'The interval in force, between least_every and most_every.';
COMMENT ON COLUMN scan_jobs.fence IS 'Raised by every claim; a write under a lower one changes nothing.';
COMMENT ON COLUMN scan_jobs.owner IS 'The boot of the process that holds the job: a new id each time one starts.';
COMMENT ON COLUMN scan_jobs.counted IS 'Scans ended on the UTC day counted_on.';
COMMENT ON COLUMN scan_jobs.due_at IS 'From when on the job can be claimed: its slot, or the end of a lease.';
CREATE INDEX scan_jobs_due ON scan_jobs (due_at) WHERE status = 'ACTIVE';

CREATE TABLE scan_runs (
    job_id uuid NOT NULL REFERENCES scan_jobs,
    slot timestamptz NOT NULL,
    status text NOT NULL
        CHECK (status IN ('DECIDED', 'GATED', 'BUDGET_DENIED', 'HELD', 'PROPOSED', 'FAILED')),
    requested boolean NOT NULL,
    missed_before integer NOT NULL DEFAULT 0 CHECK (missed_before >= 0),
    fence bigint NOT NULL CHECK (fence > 0),
    owner uuid NOT NULL,
    owner_name text NOT NULL,
    claimed_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    opinion jsonb,
    proposal_id uuid,
    failure text NOT NULL DEFAULT '',
    PRIMARY KEY (job_id, slot),
    CONSTRAINT failed_says_why CHECK ((status = 'FAILED') = (failure <> '')),
    CONSTRAINT proposed_names_it CHECK (status <> 'PROPOSED' OR proposal_id IS NOT NULL),
    CONSTRAINT decided_says_what CHECK (status <> 'DECIDED' OR opinion IS NOT NULL)
);
COMMENT ON TABLE scan_runs IS 'What became of a slot; a slot has one row for ever.';
COMMENT ON COLUMN scan_runs.opinion IS 'What the analyst said; kept before it is proposed, so that a crash does not lose it.';
COMMENT ON COLUMN scan_runs.missed_before IS 'How many slots were dropped on the way to this one.';

CREATE TABLE market_snapshots (
    job_id uuid NOT NULL REFERENCES scan_jobs,
    slot timestamptz NOT NULL,
    market text NOT NULL,
    fence bigint NOT NULL CHECK (fence > 0),
    taken_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    as_of timestamptz NOT NULL,
    price numeric NOT NULL CHECK (price > 0),
    volatility numeric CHECK (volatility >= 0),
    move_1h numeric,
    move_4h numeric,
    volume_z numeric,
    PRIMARY KEY (job_id, slot)
);
COMMENT ON TABLE market_snapshots IS 'What the market looked like when a slot was judged. A measure without enough candles is NULL.';

-- Moves -----------------------------------------------------------------------------------------------------------------

-- A run may begin in any status: most slots end as they are first written.
CREATE FUNCTION enforce_status_move() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF pg_catalog.concat(OLD.status, '>', NEW.status) OPERATOR(pg_catalog.=) ANY (TG_ARGV) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '% cannot move from "%" to "%"', TG_TABLE_NAME, OLD.status, NEW.status
        USING ERRCODE = 'check_violation', CONSTRAINT = 'status_moves';
END
$$;
COMMENT ON FUNCTION enforce_status_move IS 'Lets a status make exactly the moves named.';
CREATE TRIGGER scan_runs_status BEFORE UPDATE OF status ON scan_runs
    FOR EACH ROW EXECUTE FUNCTION enforce_status_move('DECIDED>PROPOSED', 'DECIDED>FAILED');

CREATE FUNCTION refuse_lower_fence() RETURNS trigger
    LANGUAGE plpgsql SET search_path = public
    AS $$
BEGIN
    RAISE EXCEPTION 'fence % of % cannot follow %', NEW.fence, TG_TABLE_NAME, OLD.fence
        USING ERRCODE = 'check_violation', CONSTRAINT = 'fence_never_falls';
END
$$;
CREATE TRIGGER scan_jobs_fence BEFORE UPDATE OF fence ON scan_jobs
    FOR EACH ROW WHEN (NEW.fence < OLD.fence) EXECUTE FUNCTION refuse_lower_fence();
CREATE TRIGGER scan_runs_fence BEFORE UPDATE OF fence ON scan_runs
    FOR EACH ROW WHEN (NEW.fence < OLD.fence) EXECUTE FUNCTION refuse_lower_fence();
CREATE TRIGGER market_snapshots_fence BEFORE UPDATE OF fence ON market_snapshots
    FOR EACH ROW WHEN (NEW.fence < OLD.fence) EXECUTE FUNCTION refuse_lower_fence();

-- Rights: columns that may move, and nothing else; no DELETE, no TRUNCATE ------------------------------------------------

GRANT SELECT ON scan_jobs, scan_runs, market_snapshots TO market_service;
GRANT INSERT (job_id, user_id, market, analyst, every, least_every, most_every, reference_volatility, missed_policy,
    backfill_max, scans_per_day, min_volatility, min_move_1h, min_volume_z, buy_quote_amount, sell_amount, valid_for,
    content_hash, created_by, pace, next_slot) ON scan_jobs TO market_service;
GRANT UPDATE (status, pace, next_slot, requested_slot, fence, owner, owner_name, claimed_at, lease_until, attempts,
    failures, counted_on, counted, missed) ON scan_jobs TO market_service;
GRANT INSERT ON scan_runs, market_snapshots TO market_service;
GRANT UPDATE (status, fence, owner, owner_name, claimed_at, recorded_at, proposal_id, failure)
    ON scan_runs TO market_service;
GRANT UPDATE (fence, taken_at, as_of, price, volatility, move_1h, move_4h, volume_z)
    ON market_snapshots TO market_service;
