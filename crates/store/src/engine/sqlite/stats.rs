//! Statistics from counts that are kept by hour; only the begun hours at both ends are looked through.

use super::Sqlite;
use super::finders::indexed_up_to;
use super::list::number_range;
use super::rows::id_at;
use super::trouble::Trouble;
use super::tx::client_number;
use crate::StoreError;
use crate::emails::{HOUR_MS, HourCount, StatsBy, hours};
use crate::record::finders::FinderHead;
use crate::record::{damaged, status_of};
use posthaste_model::{ClientId, Timestamp};
use rusqlite::{Connection, params};
use std::collections::{BTreeMap, HashMap};

impl Sqlite {
    pub(crate) async fn stats(
        &self,
        client_id: ClientId,
        from: Timestamp,
        to: Timestamp,
        by: StatsBy,
    ) -> Result<Vec<(String, u64)>, StoreError> {
        self.readers
            .read(move |connection| {
                let Some(client) = client_number(connection, client_id)? else { return Ok(Vec::new()) };
                let sums = match by {
                    StatsBy::Tag => by_tag(connection, client, from.millis(), to.millis())?,
                    _ => by_column(connection, client, from.millis(), to.millis(), by)?,
                };
                let positive =
                    sums.into_iter().filter_map(|(key, sum)| Some((key, u64::try_from(sum).ok()?)));
                Ok(positive.filter(|(_, sum)| *sum > 0).collect())
            })
            .await
    }
}

impl Sqlite {
    pub(crate) async fn hour_counts(&self, first: i64, last: i64) -> Result<Vec<HourCount>, StoreError> {
        self.readers
            .read(move |connection| {
                // CROSS JOIN keeps this order: each client's hours are one range of the table.
                let mut statement = connection.prepare_cached(
                    "SELECT c.id, k.hour, k.status, sum(k.amount) FROM clients c CROSS JOIN counts k
                     ON k.client = c.n AND k.hour >= ?1 AND k.hour < ?2
                     GROUP BY c.n, k.hour, k.status HAVING sum(k.amount) > 0",
                )?;
                let mut rows = statement.query(params![first, last])?;
                let mut counts = Vec::new();
                while let Some(row) = rows.next()? {
                    counts.push(HourCount {
                        client_id: id_at!(row, 0, ClientId),
                        hour: Timestamp::from_millis(row.get::<_, i64>(1)? * HOUR_MS),
                        status: status_of(row.get(2)?)?,
                        amount: row.get(3)?,
                    });
                }
                Ok(counts)
            })
            .await
    }
}

/// So many emails of an hour, a domain and a status.
#[derive(Clone, Copy)]
pub(super) struct Counted {
    pub(super) hour: i64,
    pub(super) domain: i64,
    pub(super) status: i64,
    pub(super) amount: i64,
}

fn by_column(
    connection: &Connection,
    client: i64,
    from: i64,
    to: i64,
    by: StatsBy,
) -> Result<BTreeMap<String, i64>, Trouble> {
    let mut sums: HashMap<i64, i64> = HashMap::new();
    visit_counts(connection, client, from, to, |counted| {
        let key = match by {
            StatsBy::Status | StatsBy::Tag => counted.status,
            StatsBy::Domain => counted.domain,
            StatsBy::Hour => counted.hour,
            StatsBy::Day => counted.hour.div_euclid(24),
        };
        *sums.entry(key).or_default() += counted.amount;
    })?;
    let mut named = BTreeMap::new();
    for (key, sum) in sums {
        let name = match by {
            StatsBy::Status | StatsBy::Tag => status_of(key)?.to_string(),
            StatsBy::Domain => {
                let sql = "SELECT name FROM domain_names WHERE n = ?1";
                connection.prepare_cached(sql)?.query_row([key], |row| row.get(0))?
            }
            StatsBy::Hour => Timestamp::from_millis(key * HOUR_MS).to_string().replace(".000Z", "Z"),
            StatsBy::Day => Timestamp::from_millis(key * 24 * HOUR_MS).date(),
        };
        named.insert(name, sum);
    }
    Ok(named)
}

/// Visits the counts of a client's emails requested from `from` until before `to`.
pub(super) fn visit_counts(
    connection: &Connection,
    client: i64,
    from: i64,
    to: i64,
    mut visit: impl FnMut(Counted),
) -> Result<(), Trouble> {
    let ((first, last), edges) = hours(from, to);
    let mut statement = connection.prepare_cached(
        "SELECT hour, domain, status, amount FROM counts WHERE client = ?1 AND hour >= ?2 AND hour < ?3",
    )?;
    let mut rows = statement.query(params![client, first, last])?;
    while let Some(row) = rows.next()? {
        visit(Counted { hour: row.get(0)?, domain: row.get(1)?, status: row.get(2)?, amount: row.get(3)? });
    }
    for (from, to) in edges {
        let columns = "e.requested_at, e.domain, e.status";
        visit_emails(connection, columns, client, from, to, |row| {
            let at: i64 = row.get(0)?;
            let hour = at.div_euclid(HOUR_MS);
            visit(Counted { hour, domain: row.get(1)?, status: row.get(2)?, amount: 1 });
            Ok(())
        })?;
    }
    Ok(())
}

fn by_tag(
    connection: &Connection,
    client: i64,
    from: i64,
    to: i64,
) -> Result<BTreeMap<String, i64>, Trouble> {
    let ((first, last), edges) = hours(from, to);
    let mut sums: BTreeMap<String, i64> = BTreeMap::new();
    let mut statement = connection.prepare_cached(
        "SELECT tag, sum(amount) FROM tag_counts WHERE client = ?1 AND hour >= ?2 AND hour < ?3 GROUP BY tag",
    )?;
    let mut rows = statement.query(params![client, first, last])?;
    while let Some(row) = rows.next()? {
        sums.insert(row.get(0)?, row.get(1)?);
    }
    for (from, to) in edges {
        let columns = "(SELECT head FROM bodies b WHERE b.n = e.n)";
        visit_emails(connection, columns, client, from, to, |row| {
            let head = row.get_ref(0)?.as_blob().map_err(|_| damaged("head of an email"))?;
            for tag in FinderHead::read(head)?.tags {
                *sums.entry(tag).or_default() += 1;
            }
            Ok(())
        })?;
    }
    Ok(sums)
}

/// Visits a client's emails requested from `from` until before `to`, one by one.
fn visit_emails(
    connection: &Connection,
    columns: &str,
    client: i64,
    from: i64,
    to: i64,
    mut visit: impl FnMut(&rusqlite::Row<'_>) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    if from >= to {
        return Ok(());
    }
    let Some((low, high)) = number_range(connection, client, from, to)? else { return Ok(()) };
    let indexed = indexed_up_to(connection)?;
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {columns} FROM finders f JOIN emails e ON e.n = f.n
         WHERE f.client = ?1 AND f.kind = 0 AND f.value = '' AND f.n BETWEEN ?2 AND ?3
            AND e.requested_at >= ?4 AND e.requested_at < ?5"
    ))?;
    let mut rows = statement.query(params![client, low, high.min(indexed), from, to])?;
    while let Some(row) = rows.next()? {
        visit(row)?;
    }
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {columns} FROM emails e
         WHERE e.client = ?1 AND e.n BETWEEN ?2 AND ?3 AND e.requested_at >= ?4 AND e.requested_at < ?5"
    ))?;
    let mut rows = statement.query(params![client, low.max(indexed + 1), high, from, to])?;
    while let Some(row) = rows.next()? {
        visit(row)?;
    }
    Ok(())
}
