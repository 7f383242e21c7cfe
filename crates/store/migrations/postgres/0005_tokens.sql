-- Credentials of three kinds: `key`, `token` (Mail Proxy API) and `oauth_client`.
ALTER TABLE credentials ADD COLUMN kind text NOT NULL DEFAULT 'key';
-- Of an OAuth2 client: its `client_id`, argon2id of its secret, its scopes.
ALTER TABLE credentials ADD COLUMN public_id text;
ALTER TABLE credentials ADD COLUMN secret_hash text;
ALTER TABLE credentials ADD COLUMN scopes text;

-- Keys that sign access tokens: the newest signs, older ones go on verifying until their last token has ended.
CREATE TABLE signing_keys (
    kid text PRIMARY KEY,
    sealed_key bytea NOT NULL,
    created_at bigint NOT NULL,
    -- When another took over; NULL: it signs.
    retired_at bigint
);

-- Access tokens revoked one by one, until they would have ended anyway.
CREATE TABLE revoked_tokens (
    jti uuid PRIMARY KEY,
    ends_at bigint NOT NULL
);
