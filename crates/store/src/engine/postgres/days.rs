//! Partitions by day: made ahead, so that no row has to look for a place, and found again for retention and reads.
//!
//! A day without a partition is no fault: its rows lie in the default partition until the day is made, which takes
//! them over.

use super::Postgres;
use super::columns::{at, first_id};
use super::migrate::UPKEEP_LOCK;
use super::session::Session;
use super::trouble::Trouble;
use crate::StoreError;
use std::collections::HashSet;
use std::sync::atomic::Ordering;

/// Milliseconds of a day.
pub(super) const DAY_MS: i64 = 86_400_000;
/// Days made ahead, so that a week without upkeep does no harm.
const AHEAD: i32 = 7;
/// The last days made for mail that comes late over midnight or from a clock that is behind.
const BEHIND: i32 = 1;

/// Tables partitioned by the time in an email's id, with the storage options of their partitions.
pub(super) const BY_ID: [(&str, &str); 5] = [
    // State is rewritten twice or more: room for that, and an early clean-up.
    ("emails", "fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05"),
    ("heads", ""),
    ("contents", ""),
    ("blob_references", ""),
    ("finders", ""),
];
/// The table partitioned by the day its rows are written.
pub(super) const EVENTS: &str = "events";

/// A partition's name.
pub(super) fn name_of(table: &str, day: i32) -> String {
    let date = posthaste_model::Timestamp::from_millis(i64::from(day) * DAY_MS).date();
    format!("{table}_d{}", date.replace('-', ""))
}

/// The days since 1970 of an instant.
pub(super) fn day_of(millis: i64) -> i32 {
    i32::try_from(millis.div_euclid(DAY_MS)).unwrap_or(i32::MAX)
}

impl Postgres {
    /// Makes the partitions of the days around today; to be called now and then by whoever keeps the store up. Costs
    /// nothing when today's call was made.
    pub(crate) async fn keep_days(&self) -> Result<(), StoreError> {
        let today =
            self.read(|db| async move { at::<i32>(&db.one("SELECT today()", &[]).await?, 0) }).await?;
        if self.days_made.swap(today, Ordering::Relaxed) == today {
            return Ok(());
        }
        match self.link.unnoticed().write(0, |db| async move { make(&db, today).await }).await {
            Ok(oldest) => {
                self.oldest_day.store(oldest, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => {
                // To be tried again by the next call.
                self.days_made.store(i32::MIN, Ordering::Relaxed);
                Err(error)
            }
        }
    }

    /// No email lies in a partition of an earlier day, but for the default one.
    pub(super) fn oldest_day(&self) -> i32 {
        self.oldest_day.load(Ordering::Relaxed)
    }
}

/// Makes what is missing around `today`, and notes where its events begin; the oldest day of all.
async fn make(db: &Session, today: i32) -> Result<i32, Trouble> {
    let there = partitions(db).await?;
    let wanted: Vec<i32> = (today - BEHIND..=today + AHEAD).collect();
    let is_missing = |day: &&i32| {
        BY_ID.iter().map(|(table, _)| *table).chain([EVENTS]).any(|t| !there.contains(&name_of(t, **day)))
    };
    let missing: Vec<i32> = wanted.iter().filter(is_missing).copied().collect();
    make_days(db, &missing).await?;
    // A day earlier than it is: an event that is written at midnight may have its day before its number.
    let noted = "INSERT INTO event_days SELECT $1, last_value FROM event_ids ON CONFLICT DO NOTHING";
    db.run(noted, &[&(today - 1)]).await?;
    Ok(days_before(db, "emails", i32::MAX).await?.first().copied().unwrap_or(today))
}

/// Makes the partitions of these days where they are missing; in a transaction.
pub(super) async fn make_days(db: &Session, days: &[i32]) -> Result<(), Trouble> {
    if days.is_empty() {
        return Ok(());
    }
    db.query_one("SELECT pg_advisory_xact_lock($1)", &[&UPKEEP_LOCK]).await?;
    // Another node may have made them meanwhile.
    let there = partitions(db).await?;
    for &day in days {
        let (from, to) = bounds(day);
        for (table, options) in BY_ID {
            if !there.contains(&name_of(table, day)) {
                make_one(db, table, day, "id", &format!("'{from}'"), &format!("'{to}'"), options).await?;
            }
        }
        if !there.contains(&name_of(EVENTS, day)) {
            make_one(db, EVENTS, day, "day", &day.to_string(), &(day + 1).to_string(), "").await?;
        }
    }
    Ok(())
}

/// The ids of a day: from the first, until before the second.
fn bounds(day: i32) -> (uuid::Uuid, uuid::Uuid) {
    (first_id(i64::from(day) * DAY_MS), first_id((i64::from(day) + 1) * DAY_MS))
}

/// Makes one partition beside the table and attaches it, which locks out nobody but users of the default partition;
/// what lies there for this day moves.
async fn make_one(
    db: &Session,
    table: &str,
    day: i32,
    column: &str,
    from: &str,
    to: &str,
    options: &str,
) -> Result<(), Trouble> {
    let name = name_of(table, day);
    let options = if options.is_empty() { String::new() } else { format!(" WITH ({options})") };
    db.batch_execute(&format!(
        "CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS){options};
         WITH moved AS (DELETE FROM {table}_default WHERE {column} >= {from} AND {column} < {to} RETURNING *)
            INSERT INTO {name} SELECT * FROM moved;
         ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ({from}) TO ({to});"
    ))
    .await?;
    Ok(())
}

/// The names of all partitions.
async fn partitions(db: &Session) -> Result<HashSet<String>, Trouble> {
    let rows = db
        .rows(
            "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
             JOIN pg_class p ON p.oid = i.inhparent
             WHERE p.relkind = 'p' AND p.relnamespace = current_schema()::regnamespace",
            &[],
        )
        .await?;
    rows.iter().map(|row| at(row, 0)).collect()
}

/// The days before `before` that a table has a partition of, oldest first.
pub(super) async fn days_before(db: &Session, table: &str, before: i32) -> Result<Vec<i32>, Trouble> {
    let prefix = format!("{table}_d");
    let mut days: Vec<i32> = partitions(db)
        .await?
        .iter()
        .filter_map(|name| name.strip_prefix(&prefix).and_then(day_named))
        .filter(|day| *day < before)
        .collect();
    days.sort_unstable();
    Ok(days)
}

/// The day that a partition's name ends with (`20261121`).
fn day_named(digits: &str) -> Option<i32> {
    if digits.len() != 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let text = format!("{}-{}-{}", &digits[..4], &digits[4..6], &digits[6..]);
    posthaste_model::Timestamp::parse_date(&text).ok().map(|at| day_of(at.millis()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_a_name_and_reads_back() {
        assert_eq!(name_of("emails", 20_778), "emails_d20261121");
        assert_eq!(day_named("20261121"), Some(20_778));
        assert_eq!(day_named("default"), None);
        let (from, to) = bounds(20_778);
        assert!(from < to && day_of(-1) == -1 && day_of(0) == 0);
    }
}
