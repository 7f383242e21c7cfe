//! Statistics from counts that are kept by hour; only the begun hours at both ends are looked through.

use super::Postgres;
use super::columns::{at, code_at, count_at, first_id};
use super::rows::{id_at, uuid_of};
use super::session::Session;
use super::trouble::Trouble;
use crate::StoreError;
use crate::emails::{HOUR_MS, HourCount, StatsBy, hours};
use crate::record::finders::FinderHead;
use crate::record::status_of;
use posthaste_model::{ClientId, Timestamp};
use std::collections::{BTreeMap, HashMap};
use tokio_postgres::Row;
use uuid::Uuid;

impl Postgres {
    pub(crate) async fn stats(
        &self,
        client_id: ClientId,
        from: Timestamp,
        to: Timestamp,
        by: StatsBy,
    ) -> Result<Vec<(String, u64)>, StoreError> {
        let client = uuid_of!(client_id);
        let (from, to) = (from.millis(), to.millis());
        self.read(|db| async move {
            let sums = match by {
                StatsBy::Tag => by_tag(&db, client, from, to).await?,
                _ => by_column(&db, client, from, to, by).await?,
            };
            let positive = sums.into_iter().filter_map(|(key, sum)| Some((key, u64::try_from(sum).ok()?)));
            Ok(positive.filter(|(_, sum)| *sum > 0).collect())
        })
        .await
    }
}

impl Postgres {
    pub(crate) async fn hour_counts(&self, first: i64, last: i64) -> Result<Vec<HourCount>, StoreError> {
        let (first, last) = (column(first), column(last));
        self.read(|db| async move {
            // LATERAL: each client's hours are one range of the key.
            let rows = db
                .rows(
                    "SELECT c.id, k.hour, k.status, k.amount FROM clients c CROSS JOIN LATERAL (
                        SELECT hour, status, sum(amount)::bigint AS amount FROM counts
                        WHERE client_id = c.id AND hour >= $1 AND hour < $2 GROUP BY hour, status) k
                     WHERE k.amount > 0",
                    &[&first, &last],
                )
                .await?;
            let count = |row: &Row| -> Result<HourCount, Trouble> {
                Ok(HourCount {
                    client_id: id_at!(row, 0, ClientId),
                    hour: Timestamp::from_millis(i64::from(at::<i32>(row, 1)?) * HOUR_MS),
                    status: status_of(code_at(row, 2)?)?,
                    amount: count_at(row, 3)?,
                })
            };
            rows.iter().map(count).collect()
        })
        .await
    }
}

/// So many emails of an hour, a domain and a status.
pub(super) struct Counted {
    pub(super) hour: i64,
    pub(super) domain: String,
    pub(super) status: i64,
    pub(super) amount: i64,
}

async fn by_column(
    db: &Session,
    client: Uuid,
    from: i64,
    to: i64,
    by: StatsBy,
) -> Result<BTreeMap<String, i64>, Trouble> {
    let mut domains: BTreeMap<String, i64> = BTreeMap::new();
    let mut sums: HashMap<i64, i64> = HashMap::new();
    visit_counts(db, client, from, to, |counted| {
        let key = match by {
            StatsBy::Domain => {
                *domains.entry(counted.domain).or_default() += counted.amount;
                return;
            }
            StatsBy::Status | StatsBy::Tag => counted.status,
            StatsBy::Hour => counted.hour,
            StatsBy::Day => counted.hour.div_euclid(24),
        };
        *sums.entry(key).or_default() += counted.amount;
    })
    .await?;
    for (key, sum) in sums {
        let name = match by {
            StatsBy::Hour => Timestamp::from_millis(key * HOUR_MS).to_string().replace(".000Z", "Z"),
            StatsBy::Day => Timestamp::from_millis(key * 24 * HOUR_MS).date(),
            StatsBy::Status | StatsBy::Tag | StatsBy::Domain => status_of(key)?.to_string(),
        };
        domains.insert(name, sum);
    }
    Ok(domains)
}

/// Visits the counts of a client's emails requested from `from` until before `to`.
pub(super) async fn visit_counts(
    db: &Session,
    client: Uuid,
    from: i64,
    to: i64,
    mut visit: impl FnMut(Counted),
) -> Result<(), Trouble> {
    let ((first, last), edges) = hours(from, to);
    let rows = db
        .rows(
            "SELECT hour, domain, status, sum(amount)::bigint FROM counts
             WHERE client_id = $1 AND hour >= $2 AND hour < $3 GROUP BY hour, domain, status",
            &[&client, &column(first), &column(last)],
        )
        .await?;
    for row in &rows {
        visit(Counted {
            hour: i64::from(at::<i32>(row, 0)?),
            domain: at(row, 1)?,
            status: code_at(row, 2)?,
            amount: at(row, 3)?,
        });
    }
    for (from, to) in edges {
        for row in emails(db, "e.requested_at, e.domain, e.status", "", client, from, to).await? {
            let requested_at: i64 = at(&row, 0)?;
            let hour = requested_at.div_euclid(HOUR_MS);
            visit(Counted { hour, domain: at(&row, 1)?, status: code_at(&row, 2)?, amount: 1 });
        }
    }
    Ok(())
}

async fn by_tag(db: &Session, client: Uuid, from: i64, to: i64) -> Result<BTreeMap<String, i64>, Trouble> {
    let ((first, last), edges) = hours(from, to);
    let mut sums: BTreeMap<String, i64> = BTreeMap::new();
    let rows = db
        .rows(
            "SELECT tag, sum(amount)::bigint FROM tag_counts
             WHERE client_id = $1 AND hour >= $2 AND hour < $3 GROUP BY tag",
            &[&client, &column(first), &column(last)],
        )
        .await?;
    for row in &rows {
        sums.insert(at(row, 0)?, at(row, 1)?);
    }
    let heads = "JOIN heads h ON h.client_id = e.client_id AND h.id = e.id AND h.id >= $2 AND h.id < $3";
    for (from, to) in edges {
        for row in emails(db, "h.head", heads, client, from, to).await? {
            for tag in FinderHead::read(row.try_get(0)?)?.tags {
                *sums.entry(tag).or_default() += 1;
            }
        }
    }
    Ok(sums)
}

/// An hour as a column.
fn column(hour: i64) -> i32 {
    i32::try_from(hour).unwrap_or(if hour < 0 { i32::MIN } else { i32::MAX })
}

/// Columns of a client's emails requested from `from` until before `to`, of a part of an hour.
async fn emails(
    db: &Session,
    columns: &str,
    join: &str,
    client: Uuid,
    from: i64,
    to: i64,
) -> Result<Vec<Row>, Trouble> {
    if from >= to {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT {columns} FROM emails e {join} WHERE e.client_id = $1 AND e.id >= $2 AND e.id < $3
            AND e.requested_at >= $4 AND e.requested_at < $5"
    );
    let last = if to == i64::MAX { Uuid::max() } else { first_id(to) };
    db.rows(&sql, &[&client, &first_id(from), &last, &from, &to]).await
}
