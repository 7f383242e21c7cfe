//! Files kept in the store itself.

use super::Postgres;
use super::columns::instant_at;
use super::inbox::hash_at;
use crate::StoreError;
use bytes::Bytes;
use posthaste_model::Timestamp;
use posthaste_model::email::BlobHash;

impl Postgres {
    pub(crate) async fn blob_put(
        &self,
        hash: BlobHash,
        content: Bytes,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let content = &content;
        self.write(1, |db| async move {
            // Most are there already: the content is sent only where it is needed. One of another length is damaged.
            let sql = "UPDATE blobs SET put_at = greatest(put_at, $2)
                WHERE sha256 = $1 AND octet_length(content) = $3";
            let length = i32::try_from(content.len()).unwrap_or(i32::MAX);
            if db.run(sql, &[&hash.0.as_slice(), &now.millis(), &length]).await? == 0 {
                let sql = "INSERT INTO blobs (sha256, content, put_at) VALUES ($1, $2, $3)
                    ON CONFLICT (sha256) DO UPDATE
                    SET content = excluded.content, put_at = greatest(blobs.put_at, excluded.put_at)";
                db.run(sql, &[&hash.0.as_slice(), &content.as_ref(), &now.millis()]).await?;
            }
            Ok(())
        })
        .await
    }

    pub(crate) async fn blob_get(&self, hash: BlobHash) -> Result<Option<Bytes>, StoreError> {
        self.read(|db| async move {
            let row = db.maybe("SELECT content FROM blobs WHERE sha256 = $1", &[&hash.0.as_slice()]).await?;
            let Some(row) = row else { return Ok(None) };
            Ok(Some(Bytes::from(row.try_get::<_, Vec<u8>>(0)?)))
        })
        .await
    }

    pub(crate) async fn blob_exists(&self, hash: BlobHash) -> Result<bool, StoreError> {
        self.read(|db| async move {
            let found = db.maybe("SELECT 1 FROM blobs WHERE sha256 = $1", &[&hash.0.as_slice()]).await?;
            Ok(found.is_some())
        })
        .await
    }

    pub(crate) async fn blob_remove(
        &self,
        hash: BlobHash,
        unused_since: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(1, |db| async move {
            let sql = "DELETE FROM blobs WHERE sha256 = $1 AND put_at < $2";
            Ok(db.run(sql, &[&hash.0.as_slice(), &unused_since.millis()]).await? > 0)
        })
        .await
    }

    pub(crate) async fn blob_list(
        &self,
        after: Option<BlobHash>,
        limit: usize,
    ) -> Result<Vec<(BlobHash, Timestamp)>, StoreError> {
        self.read(|db| async move {
            let sql = "SELECT sha256, put_at FROM blobs WHERE $1::bytea IS NULL OR sha256 > $1
                ORDER BY sha256 LIMIT $2";
            let after = after.map(|hash| hash.0.to_vec());
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let rows = db.rows(sql, &[&after, &limit]).await?;
            rows.iter().map(|row| Ok((hash_at(row, 0)?, instant_at(row, 1)?))).collect()
        })
        .await
    }
}
