-- Attachments and raw mail, where no other place is named. An embedded installation keeps them as files.
CREATE TABLE blobs (
    sha256 BLOB NOT NULL PRIMARY KEY,
    put_at INTEGER NOT NULL,
    content BLOB NOT NULL
) STRICT;
