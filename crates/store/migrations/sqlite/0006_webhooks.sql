-- Where clients are told what became of their mail.
CREATE TABLE webhooks (
    n INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    client INTEGER NOT NULL,
    -- Set by the configuration, which writes it anew at each start; not to be changed by its client.
    is_configured INTEGER NOT NULL,
    url TEXT NOT NULL,
    -- Names with commas between them, or `*`.
    events TEXT NOT NULL,
    is_active INTEGER NOT NULL,
    -- Sealed by the vault; empty: its calls are not signed.
    sealed_secret BLOB NOT NULL,
    -- The secret before the last rotation signs too, until then.
    sealed_previous BLOB,
    previous_until INTEGER,
    -- The event (`events.id`) up to which deliveries were made.
    cursor INTEGER NOT NULL,
    -- Since when no call has succeeded although some were made.
    failing_since INTEGER,
    disabled_reason TEXT,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX webhooks_of_client ON webhooks (client, n);
CREATE UNIQUE INDEX webhooks_configured ON webhooks (client) WHERE is_configured = 1;

-- What is told to a webhook, one row an event. state: 0 waiting 1 delivered 2 given up
CREATE TABLE webhook_deliveries (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE,
    webhook INTEGER NOT NULL,
    -- NULL: a test call.
    event INTEGER,
    email_id BLOB,
    seq INTEGER NOT NULL,
    kind TEXT NOT NULL,
    -- The exact bytes of every call.
    body BLOB NOT NULL,
    state INTEGER NOT NULL,
    -- When to call; under a lease its end. NULL: it has ended.
    due_at INTEGER,
    fence INTEGER NOT NULL,
    -- Calls since `started_at`: since it was made, or replayed.
    tries INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    -- JSON list of the last calls: [at, status, fault, milliseconds].
    attempts TEXT NOT NULL,
    attempt_count INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    ended_at INTEGER
) STRICT;
CREATE UNIQUE INDEX webhook_deliveries_event ON webhook_deliveries (webhook, event) WHERE event IS NOT NULL;
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (due_at, webhook) WHERE state = 0;
CREATE INDEX webhook_deliveries_order ON webhook_deliveries (webhook, email_id, n) WHERE state = 0;
CREATE INDEX webhook_deliveries_log ON webhook_deliveries (webhook, n);
CREATE INDEX webhook_deliveries_email ON webhook_deliveries (email_id);
CREATE INDEX webhook_deliveries_ended ON webhook_deliveries (ended_at) WHERE ended_at IS NOT NULL;
