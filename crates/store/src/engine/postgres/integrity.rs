//! Whether the store is whole: what several tables say of the same email must agree. The server checks its own pages.

use super::Postgres;
use super::columns::at;
use super::session::Session;
use super::trouble::Trouble;
use crate::StoreError;
use std::time::Duration;

/// Reading a whole store takes as long as its disks need; this is for one that hangs.
const CHECK_LIMIT: Duration = Duration::from_mins(30);

/// What may not be found: why it is a fault, and how many there are of it.
const FAULTS: [(&str, &str); 5] = [
    (
        "emails without a head",
        "SELECT count(*) FROM emails e
         WHERE NOT EXISTS (SELECT 1 FROM heads h WHERE h.client_id = e.client_id AND h.id = e.id)",
    ),
    (
        "unfinished emails that are not in the queue",
        "SELECT count(*) FROM emails e WHERE (e.status <= 2 OR e.due_at IS NOT NULL)
            AND NOT EXISTS (SELECT 1 FROM queue q WHERE q.email_id = e.id AND q.client_id = e.client_id)",
    ),
    (
        "emails in the queue that do not exist",
        "SELECT count(*) FROM queue q
         WHERE NOT EXISTS (SELECT 1 FROM emails e WHERE e.id = q.email_id AND e.client_id = q.client_id)",
    ),
    (
        "emails whose events are not all there",
        "SELECT count(*) FROM emails e LEFT JOIN (
            SELECT client_id, email_id, count(*) AS n, max(seq) AS last FROM events GROUP BY 1, 2) v
            ON v.client_id = e.client_id AND v.email_id = e.id
         WHERE coalesce(v.n, 0) <> e.events OR coalesce(v.last, 0) <> e.events",
    ),
    (
        "statuses whose count is not that of their emails",
        "SELECT count(*) FROM (SELECT client_id, status, sum(amount) AS n FROM counts GROUP BY 1, 2) c
         FULL JOIN (SELECT client_id, status, count(*) AS n FROM emails GROUP BY 1, 2) e USING (client_id, status)
         WHERE coalesce(c.n, 0) <> coalesce(e.n, 0)",
    ),
];

impl Postgres {
    pub(crate) async fn check_integrity(&self) -> Result<(), StoreError> {
        self.link
            .read_within(CHECK_LIMIT, |db| async move {
                db.batch_execute(
                    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0",
                )
                .await?;
                let checked = check(&db).await;
                db.batch_execute("ROLLBACK").await?;
                checked
            })
            .await
    }

    /// The index behind the lists is written with the emails here: it is never behind.
    #[expect(clippy::unused_async, reason = "another engine has something to do")]
    pub(crate) async fn catch_up(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

async fn check(db: &Session) -> Result<(), Trouble> {
    for (fault, sql) in FAULTS {
        let found: i64 = at(&db.query_one(sql, &[]).await?, 0)?;
        if found > 0 {
            return Err(StoreError::Corrupt(format!("{found} {fault}")).into());
        }
    }
    Ok(())
}
