-- What a client wants kept longer or shorter than the installation does, in milliseconds; NULL: as the installation.
ALTER TABLE clients ADD COLUMN retain_bodies INTEGER;
ALTER TABLE clients ADD COLUMN retain_records INTEGER;
-- Set as soon as a client has times of its own, and for good: its bodies are dropped up to this email. The others
-- go by `installation.bodies_dropped_up_to`, which passes this client's emails over.
ALTER TABLE clients ADD COLUMN bodies_dropped_up_to INTEGER;

-- Emails that were under way when retention came by: their bodies go when they have ended.
CREATE TABLE bodies_left (
    n INTEGER PRIMARY KEY
) STRICT;

-- A successor was made: the key stops working here, whatever `expires_at` was granted to it.
ALTER TABLE credentials ADD COLUMN retires_at INTEGER;
