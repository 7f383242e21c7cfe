-- People who log in.
CREATE TABLE users (
    n INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    -- Lower case.
    email TEXT NOT NULL UNIQUE,
    name TEXT,
    role TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    language TEXT,
    sealed_totp BLOB,
    -- The last 30 seconds whose code was used: no code is good twice.
    totp_step INTEGER NOT NULL DEFAULT 0,
    is_active INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE sessions (
    hash BLOB PRIMARY KEY,
    user_id BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    address TEXT NOT NULL,
    agent TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_of_user ON sessions (user_id);
CREATE INDEX sessions_seen ON sessions (last_seen);

-- Organizers' events.
CREATE TABLE eo_events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    client_id BLOB NOT NULL,
    owner_id BLOB NOT NULL,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX eo_events_of_owner ON eo_events (owner_id);

-- Reports that were asked for; what became of them stands with their emails.
CREATE TABLE eo_deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id INTEGER NOT NULL,
    client_id BLOB NOT NULL,
    user_id BLOB NOT NULL,
    email_id BLOB NOT NULL,
    to_email TEXT NOT NULL,
    subject TEXT NOT NULL,
    filter TEXT NOT NULL,
    language TEXT NOT NULL,
    resent_from INTEGER,
    created_at INTEGER NOT NULL,
    noticed_at INTEGER,
    seen_at INTEGER
) STRICT;
CREATE INDEX eo_deliveries_of_event ON eo_deliveries (event_id, id);
CREATE INDEX eo_deliveries_made ON eo_deliveries (created_at);
