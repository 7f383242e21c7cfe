-- The idempotency key under which a report was asked for: a retry finds the delivery that a process left without its
-- email, and goes on with it.
ALTER TABLE eo_deliveries ADD COLUMN idempotency_key text;
-- SHA-256 of the request.
ALTER TABLE eo_deliveries ADD COLUMN fingerprint bytea;
CREATE INDEX eo_deliveries_key ON eo_deliveries (idempotency_key) WHERE idempotency_key IS NOT NULL;
