-- Every unfinished email: scheduled, queued, held, leased, or sent with recipients left over. Small and not
-- partitioned, so that a claim costs the same however many days of emails are kept. Claims, leases and fences are
-- decided here: whoever changes an unfinished email locks its row here first, then the one in `emails`.
CREATE TABLE queue (
    email_id uuid NOT NULL,
    client_id uuid NOT NULL,
    -- When somebody must act; under a lease its end, so that a lease that ran out is due without a sweep. NULL: held.
    due_at bigint,
    lease_owner uuid,
    fence integer NOT NULL,
    -- Size of what a claim reads.
    bytes integer NOT NULL,
    priority smallint NOT NULL,
    status smallint NOT NULL,
    PRIMARY KEY (email_id, client_id)
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX queue_due ON queue (priority, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX queue_leases ON queue (lease_owner) WHERE lease_owner IS NOT NULL;

-- Claims do not look here any more.
DROP INDEX emails_due;
