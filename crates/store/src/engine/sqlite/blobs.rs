//! Files kept in the store itself. An embedded installation keeps them beside it; the operations are whole all the same.

use super::Sqlite;
use crate::StoreError;
use bytes::Bytes;
use posthaste_model::Timestamp;
use posthaste_model::email::BlobHash;
use rusqlite::{OptionalExtension as _, params};

impl Sqlite {
    pub(crate) async fn blob_put(
        &self,
        hash: BlobHash,
        content: Bytes,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(1, move |tx| {
            let sql = "INSERT INTO blobs (sha256, content, put_at) VALUES (?1, ?2, ?3)
                ON CONFLICT (sha256) DO UPDATE
                SET content = excluded.content, put_at = max(put_at, excluded.put_at)";
            tx.connection.prepare_cached(sql)?.execute(params![hash.0, content.as_ref(), now.millis()])?;
            Ok(())
        })
        .await
    }

    pub(crate) async fn blob_get(&self, hash: BlobHash) -> Result<Option<Bytes>, StoreError> {
        self.readers
            .read(move |connection| {
                let sql = "SELECT content FROM blobs WHERE sha256 = ?1";
                let found: Option<Vec<u8>> =
                    connection.prepare_cached(sql)?.query_row([hash.0], |row| row.get(0)).optional()?;
                Ok(found.map(Bytes::from))
            })
            .await
    }

    pub(crate) async fn blob_exists(&self, hash: BlobHash) -> Result<bool, StoreError> {
        self.readers
            .read(move |connection| {
                let sql = "SELECT 1 FROM blobs WHERE sha256 = ?1";
                Ok(connection.prepare_cached(sql)?.exists([hash.0])?)
            })
            .await
    }

    pub(crate) async fn blob_remove(
        &self,
        hash: BlobHash,
        unused_since: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(1, move |tx| {
            let sql = "DELETE FROM blobs WHERE sha256 = ?1 AND put_at < ?2";
            Ok(tx.connection.prepare_cached(sql)?.execute(params![hash.0, unused_since.millis()])? > 0)
        })
        .await
    }

    pub(crate) async fn blob_list(
        &self,
        after: Option<BlobHash>,
        limit: usize,
    ) -> Result<Vec<(BlobHash, Timestamp)>, StoreError> {
        self.readers
            .read(move |connection| {
                let sql = "SELECT sha256, put_at FROM blobs WHERE ?1 IS NULL OR sha256 > ?1
                    ORDER BY sha256 LIMIT ?2";
                let after = after.map(|hash| hash.0);
                let limit = i64::try_from(limit).unwrap_or(i64::MAX);
                let mut statement = connection.prepare_cached(sql)?;
                let rows = statement.query_map(params![after, limit], |row| {
                    Ok((BlobHash(row.get(0)?), Timestamp::from_millis(row.get(1)?)))
                })?;
                Ok(rows.collect::<Result<_, _>>()?)
            })
            .await
    }
}
