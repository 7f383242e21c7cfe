-- Attachments and raw mail of an installation that has neither S3 nor a shared folder. Compressed files gain nothing
-- from being compressed again.
CREATE TABLE blobs (
    sha256 bytea PRIMARY KEY,
    content bytea NOT NULL,
    put_at bigint NOT NULL
);
ALTER TABLE blobs ALTER COLUMN content SET STORAGE EXTERNAL;
