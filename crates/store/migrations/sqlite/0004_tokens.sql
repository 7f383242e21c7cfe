-- Credentials of three kinds: `key`, `token` (Mail Proxy API) and `oauth_client`.
ALTER TABLE credentials ADD COLUMN kind TEXT NOT NULL DEFAULT 'key';
-- Of an OAuth2 client: its `client_id`, argon2id of its secret, its scopes.
ALTER TABLE credentials ADD COLUMN public_id TEXT;
ALTER TABLE credentials ADD COLUMN secret_hash TEXT;
ALTER TABLE credentials ADD COLUMN scopes TEXT;

-- Keys that sign access tokens: the newest signs, older ones go on verifying until their last token has ended.
CREATE TABLE signing_keys (
    kid TEXT PRIMARY KEY,
    sealed_key BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    -- When another took over; NULL: it signs.
    retired_at INTEGER
) STRICT, WITHOUT ROWID;

-- Access tokens revoked one by one, until they would have ended anyway.
CREATE TABLE revoked_tokens (
    jti BLOB PRIMARY KEY,
    ends_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
