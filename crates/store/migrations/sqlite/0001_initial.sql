-- One row: what holds for the installation as a whole.
CREATE TABLE installation (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    -- Rises with every change of clients, credentials, domains and templates.
    revision INTEGER NOT NULL,
    -- Emails up to this one stand in `finders`; younger ones are looked through one by one.
    indexed_up_to INTEGER NOT NULL,
    -- Retention has dropped the bodies of emails up to this one.
    bodies_dropped_up_to INTEGER NOT NULL,
    pings INTEGER NOT NULL
) STRICT;
INSERT INTO installation VALUES (1, 1, 0, 0, 0);

CREATE TABLE clients (
    n INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL UNIQUE,
    department TEXT,
    is_active INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE credentials (
    n INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    client INTEGER NOT NULL,
    name TEXT,
    prefix TEXT NOT NULL,
    key_hash BLOB NOT NULL UNIQUE,
    mode TEXT NOT NULL,
    permissions TEXT NOT NULL,
    domain TEXT,
    rate_limit TEXT,
    is_active INTEGER NOT NULL,
    expires_at INTEGER,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;
CREATE INDEX credentials_of_client ON credentials (client, n);

CREATE TABLE domains (
    n INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    client INTEGER,
    name TEXT NOT NULL UNIQUE,
    default_from TEXT,
    bounce_webhook_enabled INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE dkim_keys (
    domain TEXT NOT NULL,
    selector TEXT NOT NULL,
    sealed_key BLOB NOT NULL,
    algorithm TEXT NOT NULL,
    is_active INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (domain, selector)
) STRICT, WITHOUT ROWID;

-- The newest version of each template that stands; its versions stay when it goes.
CREATE TABLE templates (
    client INTEGER NOT NULL,
    code TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (client, code)
) STRICT, WITHOUT ROWID;

CREATE TABLE template_versions (
    client INTEGER NOT NULL,
    code TEXT NOT NULL,
    version INTEGER NOT NULL,
    id BLOB NOT NULL,
    name TEXT NOT NULL,
    subject TEXT,
    html TEXT,
    text TEXT,
    variables_schema TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (client, code, version)
) STRICT;

CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id TEXT,
    actor_address TEXT,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    detail TEXT
) STRICT;

-- State of each email, narrow, because it is rewritten; what never changes lies in `bodies`.
-- status: 0 scheduled 1 queued 2 processing 3 sent 4 delivered 5 bounced 6 complained 7 failed 8 cancelled
CREATE TABLE emails (
    n INTEGER PRIMARY KEY,
    id BLOB NOT NULL,
    client INTEGER NOT NULL,
    domain INTEGER NOT NULL,
    status INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    recipient_count INTEGER NOT NULL,
    requested_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    -- When somebody must act again; under a lease its end, so that a lease that ran out is due without a sweep.
    due_at INTEGER,
    lease_owner INTEGER,
    fence INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    uncertain_ends INTEGER NOT NULL,
    -- How many events it has, and the last one: the head of a chain through `events.previous`.
    events INTEGER NOT NULL,
    last_event INTEGER NOT NULL,
    sent_at INTEGER,
    failure_code INTEGER,
    failure_message TEXT,
    error TEXT,
    provider TEXT,
    provider_message_id TEXT,
    -- JSON states of the recipients by index; NULL: all queued since `requested_at`.
    recipients TEXT
) STRICT;
CREATE UNIQUE INDEX emails_id ON emails (id);
CREATE INDEX emails_due ON emails (priority, due_at, status, client, lease_owner) WHERE due_at IS NOT NULL;
CREATE INDEX emails_ended ON emails (client, status) WHERE status > 2;
CREATE INDEX emails_held ON emails (client) WHERE status = 1 AND due_at IS NULL;

CREATE TABLE bodies (
    n INTEGER PRIMARY KEY,
    head BLOB NOT NULL,
    -- NULL: dropped by retention or erased.
    content BLOB
) STRICT;

CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    n INTEGER NOT NULL,
    previous INTEGER,
    seq INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    at INTEGER NOT NULL,
    recipient INTEGER,
    attempt INTEGER NOT NULL,
    detail TEXT
) STRICT;

-- Inverted index behind the lists. kind: 0 every email 1 recipient 2 domain 3 tag 4 template 5 EO event 6 word
CREATE TABLE finders (
    client INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    value TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (client, kind, value, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE domain_names (
    n INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- Counts are kept, not counted: emails by hour of request.
CREATE TABLE counts (
    client INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    domain INTEGER NOT NULL,
    status INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    PRIMARY KEY (client, hour, domain, status)
) STRICT, WITHOUT ROWID;

CREATE TABLE tag_counts (
    client INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    tag TEXT NOT NULL,
    amount INTEGER NOT NULL,
    PRIMARY KEY (client, hour, tag)
) STRICT, WITHOUT ROWID;

-- Which emails were requested in an hour: turns dates into ranges of `n`, whatever the clock did.
CREATE TABLE hours (
    client INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    first_n INTEGER NOT NULL,
    last_n INTEGER NOT NULL,
    PRIMARY KEY (client, hour)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency (
    n INTEGER PRIMARY KEY,
    client INTEGER NOT NULL,
    endpoint TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    answer BLOB NOT NULL,
    keep_until INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX idempotency_key ON idempotency (client, endpoint, key);

CREATE TABLE blob_references (
    sha256 BLOB NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (sha256, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE workers (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE,
    node TEXT NOT NULL,
    pid INTEGER NOT NULL,
    roles TEXT NOT NULL,
    host TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    -- Its leases were taken from it; hearing from it again clears this.
    is_dead INTEGER NOT NULL
) STRICT;

CREATE TABLE inbox (
    n INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    client INTEGER NOT NULL,
    email_id BLOB NOT NULL,
    mail_from TEXT NOT NULL,
    recipients TEXT NOT NULL,
    subject TEXT NOT NULL,
    sender TEXT NOT NULL,
    size INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    received_at INTEGER NOT NULL
) STRICT;
CREATE INDEX inbox_of_client ON inbox (client, n);
CREATE INDEX inbox_blob ON inbox (sha256);
