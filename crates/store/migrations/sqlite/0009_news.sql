-- What providers, bounce messages and complaints said, as it came.
CREATE TABLE news (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    source TEXT NOT NULL,
    -- What makes it the same when it comes again.
    key TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    at INTEGER NOT NULL,
    -- NULL: kept, of no consequence.
    kind TEXT,
    -- NULL: no email of ours is meant.
    client INTEGER,
    email_id BLOB,
    -- SHA-256 of the recipient's canonical address.
    address_key BLOB,
    -- NULL: erased.
    raw TEXT,
    UNIQUE (source, key)
) STRICT;
CREATE INDEX news_received ON news (received_at);
CREATE INDEX news_of_email ON news (email_id) WHERE email_id IS NOT NULL;
CREATE INDEX news_heard ON news (source, received_at);
CREATE INDEX news_of_address ON news (address_key) WHERE address_key IS NOT NULL;

-- Tokens of webhooks that are good once, each with the body it came with.
CREATE TABLE webhook_tokens (
    token TEXT PRIMARY KEY,
    body BLOB NOT NULL,
    keep_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX webhook_tokens_end ON webhook_tokens (keep_until);

CREATE INDEX emails_provider ON emails (provider_message_id) WHERE provider_message_id IS NOT NULL;
