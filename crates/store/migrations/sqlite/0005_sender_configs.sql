-- Microsoft credentials with which a client sends as one address of an organization domain.
CREATE TABLE sender_configs (
    n INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    client INTEGER NOT NULL,
    -- As it is shown.
    sender_email TEXT NOT NULL,
    -- By which it is compared: lower case.
    sender_key TEXT NOT NULL,
    ms_tenant_id TEXT NOT NULL,
    ms_client_id TEXT NOT NULL,
    sealed_secret BLOB NOT NULL,
    is_active INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (client, sender_key)
) STRICT;
