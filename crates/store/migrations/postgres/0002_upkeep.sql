-- What a client wants kept longer or shorter than the installation does, in milliseconds; NULL: as the installation.
ALTER TABLE clients ADD COLUMN retain_bodies bigint;
ALTER TABLE clients ADD COLUMN retain_records bigint;

-- A successor was made: the key stops working here, whatever `expires_at` was granted to it.
ALTER TABLE credentials ADD COLUMN retires_at bigint;
