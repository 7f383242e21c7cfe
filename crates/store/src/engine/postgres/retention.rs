//! Retention. A day that is wholly past its time, with nothing in it under way, is dropped as a whole; what is left of
//! other days (the one that ends now, those that wait for a late email, rows that had no day of their own) goes row by
//! row in small steps.

use super::Postgres;
use super::columns::{at, code_at, first_id};
use super::counts::{Counts, Place};
use super::days::{DAY_MS, EVENTS, day_of, days_before, name_of};
use super::inbox::hash_at;
use super::session::Session;
use super::trouble::Trouble;
use crate::StoreError;
use crate::record::finders::FinderHead;
use crate::record::status_of;
use crate::upkeep::Removed;
use crate::workers::FORGOTTEN_AFTER;
use posthaste_model::Timestamp;
use posthaste_model::email::BlobHash;
use posthaste_model::fault::FaultPoint;
use uuid::Uuid;

/// What of a client's email is past its time: requested before these instants.
struct Past {
    client: Uuid,
    bodies: i64,
    records: i64,
}

impl Postgres {
    pub(crate) async fn drop_old(
        &self,
        bodies_before: Timestamp,
        records_before: Timestamp,
        now: Timestamp,
        limit: usize,
    ) -> Result<Removed, StoreError> {
        self.keep_days().await?;
        let pasts =
            self.read(|db| async move { pasts(&db, bodies_before, records_before, now).await }).await?;
        let mut removed = Removed::default();
        self.drop_days(&pasts, &mut removed).await?;
        let pasts = &pasts;
        let step = self.write(0, |db| async move { step(&db, pasts, now, limit).await }).await?;
        removed.bodies += step.bodies;
        removed.records += step.records;
        removed.idempotency_keys += step.idempotency_keys;
        removed.blobs.extend(step.blobs);
        removed.blobs.sort_unstable();
        removed.blobs.dedup();
        self.faults().crash_at(FaultPoint::RetentionStep);
        Ok(removed)
    }

    pub(crate) async fn blob_references(&self, hash: BlobHash) -> Result<u64, StoreError> {
        self.read(|db| async move {
            let sql = "SELECT (SELECT count(*) FROM blob_references WHERE sha256 = $1)
                + (SELECT count(*) FROM inbox WHERE sha256 = $1)";
            super::columns::count_at(&db.one(sql, &[&hash.0.as_slice()]).await?, 0)
        })
        .await
    }

    pub(crate) async fn unreferenced_blobs(
        &self,
        hashes: Vec<BlobHash>,
    ) -> Result<Vec<BlobHash>, StoreError> {
        let hashes = &hashes;
        let unused = self.read(|db| async move { unused(&db, hashes).await }).await?;
        Ok(hashes.iter().filter(|hash| unused.contains(hash)).copied().collect())
    }

    /// Drops whole days, each in a transaction of its own. One that somebody holds on to is left for the next time.
    async fn drop_days(&self, pasts: &[Past], removed: &mut Removed) -> Result<(), StoreError> {
        // A day is over when it is over for every client.
        let bodies_day = pasts.iter().map(|past| day_of(past.bodies)).min().unwrap_or(i32::MIN);
        let records_day = pasts.iter().map(|past| day_of(past.records)).min().unwrap_or(i32::MIN);
        let days = self.read(|db| async move { days_before(&db, "contents", bodies_day).await }).await?;
        for day in days {
            let dropped = self.write(0, |db| async move { drop_contents(&db, day).await }).await;
            if let Some((bodies, blobs)) = patient(dropped)? {
                removed.bodies += bodies;
                removed.blobs.extend(blobs);
            }
        }
        let days = self.read(|db| async move { days_before(&db, "emails", records_day).await }).await?;
        for day in days {
            let dropped = self.write(0, |db| async move { drop_emails(&db, day).await }).await;
            removed.records += patient(dropped)?.unwrap_or(0);
        }
        let days = self.read(|db| async move { days_before(&db, EVENTS, records_day).await }).await?;
        for day in days {
            patient(self.write(0, |db| async move { drop_events(&db, day).await }).await)?;
        }
        Ok(())
    }
}

/// What came of a day; nothing, where it is in use.
fn patient<T: Default>(dropped: Result<T, StoreError>) -> Result<T, StoreError> {
    match dropped {
        Err(StoreError::Busy) => {
            tracing::debug!("a day past its time is in use; it is dropped the next time");
            Ok(T::default())
        }
        other => other,
    }
}

/// The ids of a day: from the first, until before the second.
fn ids_of(day: i32) -> (Uuid, Uuid) {
    (first_id(i64::from(day) * DAY_MS), first_id((i64::from(day) + 1) * DAY_MS))
}

/// Whether an email of the day is still under way.
async fn is_under_way(db: &Session, day: i32) -> Result<bool, Trouble> {
    let (from, to) = ids_of(day);
    let sql = "SELECT EXISTS (SELECT 1 FROM queue WHERE email_id >= $1 AND email_id < $2)";
    at(&db.one(sql, &[&from, &to]).await?, 0)
}

/// Dropping a partition locks out everybody for a moment: whoever reads is waited for only shortly.
async fn be_short(db: &Session) -> Result<(), Trouble> {
    Ok(db.batch_execute("SET LOCAL lock_timeout = '1s'; SET LOCAL statement_timeout = 0").await?)
}

/// Drops a day's contents; how many, and the blobs that nothing refers to any more.
async fn drop_contents(db: &Session, day: i32) -> Result<Option<(u64, Vec<BlobHash>)>, Trouble> {
    be_short(db).await?;
    if is_under_way(db, day).await? {
        return Ok(None);
    }
    let (contents, references) = (name_of("contents", day), name_of("blob_references", day));
    let bodies = count(db, &contents).await?;
    let there: bool = at(&db.query_one("SELECT to_regclass($1) IS NOT NULL", &[&references]).await?, 0)?;
    let mut hashes = Vec::new();
    if there {
        let sql = format!("SELECT DISTINCT sha256 FROM {references}");
        for row in &db.query(&sql, &[]).await? {
            hashes.push(hash_at(row, 0)?);
        }
        db.batch_execute(&format!("DROP TABLE {references}")).await?;
    }
    db.batch_execute(&format!("DROP TABLE {contents}")).await?;
    Ok(Some((bodies, unused(db, &hashes).await?)))
}

/// Drops a day's records with their counts; how many. Contents go first.
async fn drop_emails(db: &Session, day: i32) -> Result<Option<u64>, Trouble> {
    be_short(db).await?;
    let contents: bool =
        at(&db.query_one("SELECT to_regclass($1) IS NOT NULL", &[&name_of("contents", day)]).await?, 0)?;
    if contents || is_under_way(db, day).await? {
        return Ok(None);
    }
    let emails = count(db, &name_of("emails", day)).await?;
    for table in ["emails", "heads", "finders"] {
        db.batch_execute(&format!("DROP TABLE IF EXISTS {}", name_of(table, day))).await?;
    }
    // Every email of these hours had its id in this day.
    let (first, last) = (day.saturating_mul(24), day.saturating_mul(24).saturating_add(24));
    for table in ["counts", "tag_counts"] {
        let sql = format!("DELETE FROM {table} WHERE hour >= $1 AND hour < $2");
        db.execute(&sql, &[&first, &last]).await?;
    }
    Ok(Some(emails))
}

/// Drops the events written on a day, when no email is left that is so old.
async fn drop_events(db: &Session, day: i32) -> Result<Option<()>, Trouble> {
    be_short(db).await?;
    let (_, end) = ids_of(day);
    let sql = "SELECT EXISTS (SELECT 1 FROM emails WHERE id < $1 AND first_day <= $2)";
    if at(&db.one(sql, &[&end, &day]).await?, 0)? {
        return Ok(None);
    }
    db.batch_execute(&format!("DROP TABLE {}", name_of(EVENTS, day))).await?;
    db.run("DELETE FROM event_days WHERE day < $1", &[&day]).await?;
    Ok(Some(()))
}

async fn count(db: &Session, table: &str) -> Result<u64, Trouble> {
    super::columns::count_at(&db.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await?, 0)
}

/// Those blobs that neither an email nor the inbox refers to.
pub(super) async fn unused(db: &Session, hashes: &[BlobHash]) -> Result<Vec<BlobHash>, Trouble> {
    if hashes.is_empty() {
        return Ok(Vec::new());
    }
    let hashes: Vec<&[u8]> = hashes.iter().map(|hash| hash.0.as_slice()).collect();
    let sql = "SELECT DISTINCT b FROM unnest($1::bytea[]) b
        WHERE NOT EXISTS (SELECT 1 FROM blob_references r WHERE r.sha256 = b)
            AND NOT EXISTS (SELECT 1 FROM inbox i WHERE i.sha256 = b)";
    db.rows(sql, &[&hashes]).await?.iter().map(|row| hash_at(row, 0)).collect()
}

/// Each client's times: its own, or those of the installation. Bodies go with their records at the latest.
async fn pasts(
    db: &Session,
    bodies_before: Timestamp,
    records_before: Timestamp,
    now: Timestamp,
) -> Result<Vec<Past>, Trouble> {
    let rows = db.rows("SELECT id, retain_bodies, retain_records FROM clients ORDER BY id", &[]).await?;
    let before = |own: Option<i64>, usual: Timestamp| {
        own.map_or(usual.millis(), |kept| now.millis().saturating_sub(kept))
    };
    rows.iter()
        .map(|row| {
            let records = before(at(row, 2)?, records_before);
            let bodies = before(at(row, 1)?, bodies_before).max(records);
            Ok(Past { client: at(row, 0)?, bodies, records })
        })
        .collect()
}

async fn step(db: &Session, pasts: &[Past], now: Timestamp, limit: usize) -> Result<Removed, Trouble> {
    let mut step = Removed::default();
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    for past in pasts {
        let room = limit - i64::try_from(step.bodies).unwrap_or(limit);
        drop_bodies(db, past, room, &mut step).await?;
        let room = limit - i64::try_from(step.records).unwrap_or(limit);
        drop_records(db, past, room, &mut step).await?;
        drop_inbox(db, past, limit, &mut step).await?;
    }
    step.idempotency_keys = drop_keys(db, now, limit).await?;
    let silent = now.minus(FORGOTTEN_AFTER).millis();
    db.run("DELETE FROM workers WHERE last_seen < $1", &[&silent]).await?;
    // News is kept as long as the records of the client that keeps them longest.
    let before = pasts.iter().map(|past| past.records).min().unwrap_or(i64::MIN);
    let sql = "DELETE FROM news WHERE n IN (SELECT n FROM news WHERE received_at < $1 LIMIT $2)";
    db.run(sql, &[&before, &limit]).await?;
    let sql = "DELETE FROM webhook_tokens
        WHERE token IN (SELECT token FROM webhook_tokens WHERE keep_until <= $1 LIMIT $2)";
    db.run(sql, &[&now.millis(), &limit]).await?;
    let sql = "DELETE FROM suppressions
        WHERE n IN (SELECT n FROM suppressions WHERE expires_at <= $1 LIMIT $2)";
    db.run(sql, &[&now.millis(), &limit]).await?;
    Ok(step)
}

async fn drop_bodies(db: &Session, past: &Past, limit: i64, step: &mut Removed) -> Result<(), Trouble> {
    let sql = "SELECT c.client_id, c.id FROM contents c
        JOIN emails e ON e.client_id = c.client_id AND e.id = c.id AND e.id < $2
        WHERE c.client_id = $1 AND c.id < $2 AND e.requested_at < $3
            AND NOT EXISTS (SELECT 1 FROM queue q WHERE q.email_id = c.id AND q.client_id = c.client_id)
        ORDER BY c.id LIMIT $4";
    let rows = db.rows(sql, &[&past.client, &first_id(past.bodies), &past.bodies, &limit]).await?;
    let (clients, ids) = keys_of(&rows)?;
    let (dropped, blobs) = drop_contents_of(db, &clients, &ids).await?;
    step.bodies += dropped;
    step.blobs.extend(blobs);
    Ok(())
}

/// Drops messages of the inbox that are as old as bodies that go. Only the oldest are looked at.
async fn drop_inbox(db: &Session, past: &Past, limit: i64, step: &mut Removed) -> Result<(), Trouble> {
    let sql = "DELETE FROM inbox WHERE n IN (
            SELECT n FROM (SELECT n, received_at FROM inbox WHERE client_id = $1 ORDER BY n LIMIT $3) oldest
            WHERE received_at < $2)
        RETURNING sha256";
    let mut hashes = Vec::new();
    for row in &db.rows(sql, &[&past.client, &past.bodies, &limit]).await? {
        hashes.push(hash_at(row, 0)?);
    }
    step.blobs.extend(unused(db, &hashes).await?);
    Ok(())
}

/// The first two columns: client and id.
fn keys_of(rows: &[tokio_postgres::Row]) -> Result<(Vec<Uuid>, Vec<Uuid>), Trouble> {
    let mut keys = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
    for row in rows {
        keys.0.push(at(row, 0)?);
        keys.1.push(at(row, 1)?);
    }
    Ok(keys)
}

/// Drops the contents of these emails and their hold on blobs; how many there were, and blobs that nothing refers to
/// any more.
pub(super) async fn drop_contents_of(
    db: &Session,
    clients: &[Uuid],
    ids: &[Uuid],
) -> Result<(u64, Vec<BlobHash>), Trouble> {
    let Some((low, high)) = super::rows::span(ids.iter()) else { return Ok((0, Vec::new())) };
    let of = "USING unnest($1::uuid[], $2::uuid[]) u(client_id, id)
        WHERE t.client_id = u.client_id AND t.id = u.id AND t.id BETWEEN $3 AND $4";
    let values: [super::session::Value<'_>; 4] = [&clients, &ids, &low, &high];
    let dropped = db.run(&format!("DELETE FROM contents t {of}"), &values).await?;
    let rows = db.rows(&format!("DELETE FROM blob_references t {of} RETURNING t.sha256"), &values).await?;
    let hashes: Result<Vec<BlobHash>, Trouble> = rows.iter().map(|row| hash_at(row, 0)).collect();
    Ok((dropped, unused(db, &hashes?).await?))
}

async fn drop_records(db: &Session, past: &Past, limit: i64, step: &mut Removed) -> Result<(), Trouble> {
    let sql = "SELECT e.client_id, e.id, e.requested_at, e.domain, e.status, e.first_day, e.last_day, h.head
        FROM emails e JOIN heads h ON h.client_id = e.client_id AND h.id = e.id AND h.id < $2
        WHERE e.client_id = $1 AND e.id < $2 AND e.requested_at < $3
            AND NOT EXISTS (SELECT 1 FROM queue q WHERE q.email_id = e.id AND q.client_id = e.client_id)
            AND NOT EXISTS (SELECT 1 FROM contents c
                WHERE c.client_id = e.client_id AND c.id = e.id AND c.id < $2)
        ORDER BY e.id LIMIT $4 FOR UPDATE OF e SKIP LOCKED";
    let rows = db.rows(sql, &[&past.client, &first_id(past.records), &past.records, &limit]).await?;
    let (clients, ids) = keys_of(&rows)?;
    let Some((low, high)) = super::rows::span(ids.iter()) else { return Ok(()) };
    let mut counts = Counts::default();
    let (mut first_day, mut last_day) = (i32::MAX, i32::MIN);
    for row in &rows {
        let place = Place { client_id: at(row, 0)?, domain: row.try_get(3)?, requested_at: at(row, 2)? };
        let tags = FinderHead::read(row.try_get(7)?)?.tags;
        counts.add(place, status_of(code_at(row, 4)?)?, &tags, -1);
        first_day = first_day.min(at(row, 5)?);
        last_day = last_day.max(at(row, 6)?);
    }
    let of = "USING unnest($1::uuid[], $2::uuid[]) u(client_id, id)
        WHERE t.client_id = u.client_id AND t.id = u.id AND t.id BETWEEN $3 AND $4";
    for table in ["emails", "heads", "finders"] {
        db.run(&format!("DELETE FROM {table} t {of}"), &[&clients, &ids, &low, &high]).await?;
    }
    db.run(
        "DELETE FROM events t USING unnest($1::uuid[], $2::uuid[]) u(client_id, id)
         WHERE t.client_id = u.client_id AND t.email_id = u.id AND t.day BETWEEN $3 AND $4",
        &[&clients, &ids, &first_day, &last_day],
    )
    .await?;
    counts.flush(db).await?;
    step.records += ids.len() as u64;
    Ok(())
}

/// Drops keys past their time; how many.
async fn drop_keys(db: &Session, now: Timestamp, limit: i64) -> Result<u64, Trouble> {
    let sql = "DELETE FROM idempotency i USING (
            SELECT client_id, endpoint, key FROM idempotency WHERE keep_until <= $1
            ORDER BY keep_until LIMIT $2 FOR UPDATE SKIP LOCKED) old
        WHERE i.client_id = old.client_id AND i.endpoint = old.endpoint AND i.key = old.key";
    db.run(sql, &[&now.millis(), &limit]).await
}
