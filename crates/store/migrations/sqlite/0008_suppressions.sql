-- Addresses that a client does not write to.
CREATE TABLE suppressions (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    client INTEGER NOT NULL,
    -- SHA-256 of the canonical address: an erased one stays suppressed.
    address_key BLOB NOT NULL,
    -- Empty: all mail.
    stream TEXT NOT NULL,
    -- NULL: erased.
    email TEXT,
    reason TEXT NOT NULL,
    evidence TEXT,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    UNIQUE (client, address_key, stream)
) STRICT;
CREATE INDEX suppressions_of_client ON suppressions (client, n);
CREATE INDEX suppressions_end ON suppressions (expires_at) WHERE expires_at IS NOT NULL;
