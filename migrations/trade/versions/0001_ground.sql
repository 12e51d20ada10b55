-- The ground of the trade database: run as its owner, after migrations/roles.py made the roles.
--
-- Three habits hold everywhere. Every key of a user's row starts with user_id, so that a foreign key cannot point at
-- another user's row. What was promised is never updated: column grants leave only the columns that may move. Whoever
-- changes a user's rows locks his row in users first.

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO trade_service, trade_reconciler, auditor;
GRANT SELECT ON alembic_version TO trade_service, trade_reconciler; -- a service refuses a schema older than itself

-- Kinds of values -------------------------------------------------------------------------------------------------------
--
-- A domain is checked where a value is written. A CHECK of a column is read and run again at every update of its row,
-- whatever changes: they were a tenth of what an execution costs the server (docs/performance.md).

CREATE DOMAIN principal AS text CHECK (VALUE ~ '^[a-z0-9][a-z0-9._-]{0,62}$');
CREATE DOMAIN sha256_hex AS text CHECK (VALUE ~ '^[0-9a-f]{64}$');
CREATE DOMAIN order_side AS text CHECK (VALUE IN ('BUY', 'SELL'));
CREATE DOMAIN order_type AS text CHECK (VALUE IN ('LIMIT', 'MARKET'));
CREATE DOMAIN time_in_force AS text CHECK (VALUE IN ('GTC', 'IOC', 'FOK'));
CREATE DOMAIN decision_outcome AS text CHECK (VALUE IN ('ALLOW', 'DENY'));
CREATE DOMAIN confidence AS smallint CHECK (VALUE BETWEEN 0 AND 100);
CREATE DOMAIN positive_decimal AS numeric CHECK (VALUE > 0);
CREATE DOMAIN decimal_from_zero AS numeric CHECK (VALUE >= 0);
CREATE DOMAIN positive_integer AS bigint CHECK (VALUE > 0);
CREATE DOMAIN integer_from_zero AS bigint CHECK (VALUE >= 0);
CREATE DOMAIN positive_interval AS interval CHECK (VALUE > interval '0');
CREATE DOMAIN window_ms AS integer CHECK (VALUE BETWEEN 100 AND 60000);

-- Which replicas may serve, and who this deployment is -------------------------------------------------------------

CREATE TABLE protocol (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    min integer NOT NULL,
    max integer NOT NULL CHECK (max >= min)
);
COMMENT ON TABLE protocol IS 'The protocol versions that may claim; read by every claim.';
INSERT INTO protocol (min, max) VALUES (1, 1);

CREATE TABLE deployment (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    deployment_id uuid NOT NULL DEFAULT gen_random_uuid(),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE deployment IS 'The namespace of every client order id; made once, never derived from a key.';
INSERT INTO deployment DEFAULT VALUES;

-- Users --------------------------------------------------------------------------------------------------------------

CREATE TABLE users (
    user_id principal PRIMARY KEY,
    event_number integer_from_zero NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by text NOT NULL
);
COMMENT ON TABLE users IS 'One row a principal: the lock of everything that is his, and his last event number.';

-- The kill switch ------------------------------------------------------------------------------------------------------

CREATE TABLE trading_state (
    scope text NOT NULL CHECK (scope IN ('GLOBAL', 'MARKET', 'USER')),
    subject text NOT NULL CHECK ((scope = 'GLOBAL') = (subject = '')),
    state text NOT NULL CHECK (state IN ('ACTIVE', 'REDUCE_ONLY', 'HALTED')),
    cancel_open_orders boolean NOT NULL DEFAULT false,
    generation positive_integer NOT NULL,
    reason text NOT NULL,
    actor text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (scope, subject)
);
COMMENT ON TABLE trading_state IS 'The most restrictive of GLOBAL, the market and the user holds.';
INSERT INTO trading_state (scope, subject, state, generation, reason, actor)
VALUES ('GLOBAL', '', 'ACTIVE', 1, 'first migration', 'migration');

-- Policies -------------------------------------------------------------------------------------------------------------

CREATE TABLE policies (
    sha256 sha256_hex PRIMARY KEY,
    name text NOT NULL,
    users text[] NOT NULL,
    canonical_json text NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE policies IS 'Every policy ever in force, in canonical form, by its SHA-256.';

CREATE TABLE policy_sets (
    generation positive_integer PRIMARY KEY,
    sha256s text[] NOT NULL,
    actor text NOT NULL,
    in_force_since timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE policy_sets IS 'What is in force is the set with the highest generation.';

-- Proposals ------------------------------------------------------------------------------------------------------------

CREATE TABLE trade_proposals (
    user_id text NOT NULL REFERENCES users,
    proposal_id uuid NOT NULL,
    market text NOT NULL,
    side order_side NOT NULL,
    order_type order_type NOT NULL,
    amount positive_decimal,
    price positive_decimal,
    quote_amount positive_decimal,
    time_in_force time_in_force,
    post_only boolean NOT NULL,
    confidence confidence NOT NULL,
    rationale text NOT NULL,
    valid_for interval,
    cancel_after positive_interval,
    content_hash sha256_hex NOT NULL,
    placed boolean NOT NULL,
    submitted_by text NOT NULL,
    submitted_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL CHECK (expires_at > submitted_at),
    status text NOT NULL,
    approver text,
    approved_hash text,
    approved_at timestamptz,
    overrides jsonb NOT NULL DEFAULT '[]',
    closed_by text,
    closed_reason text,
    PRIMARY KEY (user_id, proposal_id),
    CONSTRAINT terms_have_one_shape CHECK (
        CASE
            WHEN order_type = 'LIMIT' THEN
                amount IS NOT NULL AND price IS NOT NULL AND quote_amount IS NULL AND time_in_force IS NOT NULL
            WHEN side = 'BUY' THEN
                quote_amount IS NOT NULL AND amount IS NULL AND price IS NULL AND time_in_force IS NULL AND NOT post_only
            ELSE
                amount IS NOT NULL AND quote_amount IS NULL AND price IS NULL AND time_in_force IS NULL AND NOT post_only
        END
    ),
    CONSTRAINT approval_is_whole CHECK (num_nonnulls(approver, approved_hash, approved_at) IN (0, 3))
);
COMMENT ON TABLE trade_proposals IS 'What a caller wants traded. Content never changes; status and approval move.';
COMMENT ON COLUMN trade_proposals.placed IS 'Made by PlaceOrder: a denial closes it.';
CREATE INDEX trade_proposals_newest ON trade_proposals (user_id, submitted_at DESC, proposal_id DESC);
CREATE INDEX trade_proposals_waiting ON trade_proposals (expires_at) WHERE status IN ('PROPOSED', 'APPROVED');

-- Decisions ------------------------------------------------------------------------------------------------------------

CREATE TABLE decisions (
    user_id text NOT NULL,
    decision_id uuid NOT NULL,
    proposal_id uuid NOT NULL,
    outcome decision_outcome NOT NULL,
    verdicts jsonb NOT NULL,
    facts jsonb NOT NULL,
    policy_name text NOT NULL,
    policy_sha256 text NOT NULL,
    policy_generation bigint NOT NULL,
    decided_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, decision_id),
    FOREIGN KEY (user_id, proposal_id) REFERENCES trade_proposals
);
COMMENT ON TABLE decisions IS 'Every verdict on one proposal at one moment, with the facts seen; written once.';
CREATE INDEX decisions_newest ON decisions (user_id, decided_at DESC, decision_id DESC);
CREATE INDEX decisions_of_proposal ON decisions (user_id, proposal_id, decided_at DESC);
CREATE UNIQUE INDEX decisions_one_allow ON decisions (user_id, proposal_id) WHERE outcome = 'ALLOW';

-- Executions -----------------------------------------------------------------------------------------------------------

CREATE TABLE trade_executions (
    user_id text NOT NULL,
    execution_id uuid NOT NULL,
    proposal_id uuid NOT NULL,
    decision_id uuid NOT NULL,
    market text NOT NULL,
    side text NOT NULL,
    order_type text NOT NULL,
    amount numeric,
    price numeric,
    quote_amount numeric,
    time_in_force text,
    post_only boolean NOT NULL,
    worst_value positive_decimal NOT NULL,
    client_order_id uuid NOT NULL,
    operator_id positive_integer NOT NULL,
    signed_timestamp_ms positive_integer NOT NULL,
    window_ms window_ms NOT NULL,
    body bytea NOT NULL,
    body_sha256 text NOT NULL GENERATED ALWAYS AS (encode(sha256(body), 'hex')) STORED,
    claimed_at timestamptz NOT NULL,
    claimed_by text NOT NULL,
    cancel_due_at timestamptz,
    status text NOT NULL,
    order_id text,
    exchange_status text NOT NULL DEFAULT '',
    filled_amount decimal_from_zero NOT NULL DEFAULT 0,
    filled_quote decimal_from_zero NOT NULL DEFAULT 0,
    fee_paid numeric NOT NULL DEFAULT 0,
    fee_currency text NOT NULL DEFAULT '',
    last_fill_at timestamptz,
    reject_code integer,
    cancel_requested_at timestamptz,
    cancel_requested_by text,
    settled_at timestamptz,
    PRIMARY KEY (user_id, execution_id),
    CONSTRAINT trade_executions_one_per_proposal UNIQUE (user_id, proposal_id),
    CONSTRAINT trade_executions_client_order_id UNIQUE (client_order_id),
    FOREIGN KEY (user_id, proposal_id) REFERENCES trade_proposals,
    FOREIGN KEY (user_id, decision_id) REFERENCES decisions
);
COMMENT ON TABLE trade_executions IS 'The one attempt at the exchange for a proposal. Never deleted.';
COMMENT ON COLUMN trade_executions.worst_value IS 'What the order may cost or bring at most, in the quote asset.';
CREATE UNIQUE INDEX trade_executions_order ON trade_executions (market, order_id) WHERE order_id IS NOT NULL;
CREATE INDEX trade_executions_recent ON trade_executions (user_id, claimed_at DESC, execution_id DESC);
CREATE INDEX trade_executions_open ON trade_executions (user_id)
    WHERE status IN ('SUBMITTING', 'UNKNOWN', 'SUBMITTED');
CREATE INDEX trade_executions_filled ON trade_executions (user_id, last_fill_at) WHERE last_fill_at IS NOT NULL;

CREATE TABLE execution_events (
    user_id text NOT NULL,
    number bigint NOT NULL,
    execution_id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    type text NOT NULL,
    from_status text,
    to_status text NOT NULL,
    evidence jsonb NOT NULL,
    PRIMARY KEY (user_id, number),
    FOREIGN KEY (user_id, execution_id) REFERENCES trade_executions
);
COMMENT ON TABLE execution_events IS 'What happened to executions; numbered per user without gaps, in commit order.';
CREATE INDEX execution_events_of_execution ON execution_events (user_id, execution_id, number);

CREATE TABLE trade_history (
    user_id text NOT NULL,
    market text NOT NULL,
    fill_id text NOT NULL,
    execution_id uuid NOT NULL,
    order_id text NOT NULL,
    side order_side NOT NULL,
    amount positive_decimal NOT NULL,
    price positive_decimal NOT NULL,
    fee numeric,
    fee_currency text,
    taker boolean NOT NULL,
    filled_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (user_id, market, fill_id),
    CONSTRAINT trade_history_fill UNIQUE (market, fill_id),
    FOREIGN KEY (user_id, execution_id) REFERENCES trade_executions
);
COMMENT ON TABLE trade_history IS 'Fills as the exchange reported them; a fee may follow the fill.';
CREATE INDEX trade_history_of_execution ON trade_history (user_id, execution_id, filled_at);

-- Budget ---------------------------------------------------------------------------------------------------------------

CREATE TABLE gpt_usage_log (
    user_id text NOT NULL REFERENCES users,
    reservation_id uuid NOT NULL,
    purpose text NOT NULL,
    status text NOT NULL CHECK (status IN ('RESERVED', 'SUCCEEDED', 'FAILED', 'NOT_SENT', 'LAPSED')),
    reserved_at timestamptz NOT NULL,
    reserved_by text NOT NULL,
    call_before timestamptz NOT NULL,
    model text NOT NULL DEFAULT '',
    input_tokens integer_from_zero NOT NULL DEFAULT 0,
    output_tokens integer_from_zero NOT NULL DEFAULT 0,
    cost decimal_from_zero,
    cost_currency text NOT NULL DEFAULT '',
    settled_at timestamptz,
    PRIMARY KEY (user_id, reservation_id)
);
COMMENT ON TABLE gpt_usage_log IS 'Language-model calls, reserved before they are made; every status but NOT_SENT counts.';
CREATE INDEX gpt_usage_log_reserved ON gpt_usage_log (call_before) WHERE status = 'RESERVED';
CREATE INDEX gpt_usage_log_counted ON gpt_usage_log (user_id, reserved_at) WHERE status <> 'NOT_SENT';

-- Alarms ---------------------------------------------------------------------------------------------------------------

CREATE TABLE alarms (
    alarm_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code text NOT NULL,
    subject text NOT NULL,
    message text NOT NULL,
    raised_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE alarms IS 'What a person has to look at; the same as the log line event=alarm.';
CREATE INDEX alarms_newest ON alarms (raised_at DESC);

-- Status moves ---------------------------------------------------------------------------------------------------------

CREATE FUNCTION enforce_status_move() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF OLD.status OPERATOR(pg_catalog.=) NEW.status
        OR pg_catalog.concat(OLD.status, '>', NEW.status) OPERATOR(pg_catalog.=) ANY (TG_ARGV) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '% cannot move from "%" to "%"', TG_TABLE_NAME, OLD.status, NEW.status
        USING ERRCODE = 'check_violation', CONSTRAINT = 'status_moves';
END
$$;
COMMENT ON FUNCTION enforce_status_move IS 'Lets a status make exactly the moves named; one from nothing is the insert.';

CREATE TRIGGER trade_proposals_status BEFORE INSERT OR UPDATE OF status ON trade_proposals
    FOR EACH ROW EXECUTE FUNCTION enforce_status_move(
        '>PROPOSED',
        'PROPOSED>APPROVED', 'PROPOSED>DECLINED', 'PROPOSED>EXPIRED', 'PROPOSED>EXECUTING',
        'APPROVED>DECLINED', 'APPROVED>EXPIRED', 'APPROVED>EXECUTING',
        'EXECUTING>EXECUTED', 'EXECUTING>FAILED',
        'FAILED>EXECUTING', 'FAILED>EXECUTED'
    );
CREATE TRIGGER trade_executions_status BEFORE INSERT OR UPDATE OF status ON trade_executions
    FOR EACH ROW EXECUTE FUNCTION enforce_status_move(
        '>SUBMITTING',
        'SUBMITTING>SUBMITTED', 'SUBMITTING>FILLED', 'SUBMITTING>CANCELED', 'SUBMITTING>REJECTED',
        'SUBMITTING>UNKNOWN', 'SUBMITTING>NOT_PLACED',
        'UNKNOWN>SUBMITTED', 'UNKNOWN>FILLED', 'UNKNOWN>CANCELED', 'UNKNOWN>REJECTED', 'UNKNOWN>NOT_PLACED',
        'SUBMITTED>FILLED', 'SUBMITTED>CANCELED',
        'NOT_PLACED>SUBMITTED', 'NOT_PLACED>FILLED', 'NOT_PLACED>CANCELED',
        'REJECTED>SUBMITTED', 'REJECTED>FILLED', 'REJECTED>CANCELED'
    );

CREATE FUNCTION keep_order_id() RETURNS trigger
    LANGUAGE plpgsql SET search_path = public
    AS $$
BEGIN
    RAISE EXCEPTION 'execution % has order id % and cannot take %', OLD.execution_id, OLD.order_id, NEW.order_id
        USING ERRCODE = 'check_violation', CONSTRAINT = 'order_id_is_kept';
END
$$;

CREATE TRIGGER trade_executions_order_id BEFORE UPDATE OF order_id ON trade_executions
    FOR EACH ROW WHEN (OLD.order_id IS NOT NULL AND NEW.order_id IS DISTINCT FROM OLD.order_id)
    EXECUTE FUNCTION keep_order_id();

-- Rights: columns that may move, and nothing else; no DELETE, no TRUNCATE, for anyone who serves -----------------------

GRANT SELECT ON protocol, deployment, trading_state, policies, policy_sets TO trade_service;
GRANT INSERT ON policies, policy_sets, alarms TO trade_service;
GRANT INSERT ON trading_state TO trade_service;
GRANT UPDATE (state, cancel_open_orders, generation, reason, actor, changed_at) ON trading_state TO trade_service;

GRANT SELECT, INSERT ON users, trade_proposals, decisions, trade_executions, execution_events, trade_history,
    gpt_usage_log TO trade_service;
GRANT UPDATE (event_number) ON users TO trade_service;
GRANT UPDATE (status, approver, approved_hash, approved_at, overrides, closed_by, closed_reason)
    ON trade_proposals TO trade_service;
GRANT UPDATE (status, order_id, exchange_status, filled_amount, filled_quote, fee_paid, fee_currency, last_fill_at,
    reject_code, cancel_requested_at, cancel_requested_by, settled_at) ON trade_executions TO trade_service;
GRANT UPDATE (fee, fee_currency) ON trade_history TO trade_service;
GRANT UPDATE (status, model, input_tokens, output_tokens, cost, cost_currency, settled_at)
    ON gpt_usage_log TO trade_service;

GRANT SELECT (user_id, execution_id, proposal_id, market, side, order_type, amount, price, quote_amount, time_in_force,
    post_only, status, claimed_at, signed_timestamp_ms, window_ms, client_order_id, order_id, operator_id,
    cancel_requested_at, cancel_due_at) ON trade_executions TO trade_reconciler;
GRANT SELECT (user_id, proposal_id, status, expires_at) ON trade_proposals TO trade_reconciler;
GRANT SELECT (user_id, reservation_id, status, call_before) ON gpt_usage_log TO trade_reconciler;
GRANT SELECT ON trading_state TO trade_reconciler;
GRANT SELECT (user_id) ON users TO trade_reconciler;
GRANT SELECT (canonical_json) ON policies TO trade_reconciler;

GRANT SELECT ON ALL TABLES IN SCHEMA public TO auditor;

-- Row security: a seat belt against our own mistakes. It is forced, so the owner wears it too --------------------------

DO $$
DECLARE
    owned text;
BEGIN
    FOREACH owned IN ARRAY ARRAY['users', 'trade_proposals', 'decisions', 'trade_executions', 'execution_events',
        'trade_history', 'gpt_usage_log'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', owned);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', owned);
        EXECUTE format($policy$CREATE POLICY own_rows ON %I TO trade_service
            USING (user_id = nullif(current_setting('app.user_id', true), ''))
            WITH CHECK (user_id = nullif(current_setting('app.user_id', true), ''))$policy$, owned);
        EXECUTE format('CREATE POLICY every_row_read ON %I FOR SELECT TO trade_reconciler, auditor USING (true)', owned);
    END LOOP;
END
$$;
