//! Reports that organizers asked for.

use super::Sqlite;
use super::rows::{id_at, time_at};
use super::trouble::Trouble;
use crate::StoreError;
use crate::eo::{EoBegun, EoDeliveryRecord, EoFilter, EoTally};
use crate::record::{damaged, failure_of, report_key, status_of};
use posthaste_model::eo::{EoDelivery, EoOutcome};
use posthaste_model::user::Language;
use posthaste_model::{Address, ClientId, EmailId, Timestamp, UserId};
use rusqlite::{Connection, OptionalExtension, Params, Row, params};
use std::time::Duration;

const SELECT: &str = "SELECT d.id, d.event_id, d.client_id, d.user_id, d.email_id, d.to_email, d.subject, d.filter,
    d.language, d.resent_from, d.created_at, d.noticed_at, d.seen_at, v.name, v.owner_id, e.status, e.attempts,
    e.sent_at, e.failure_code, e.failure_message, e.error, d.idempotency_key, d.fingerprint";
/// The delivery under the key of a request.
const OF_KEY: &str =
    "WHERE d.client_id = ?1 AND d.idempotency_key = ?2 AND d.created_at >= ?3 ORDER BY d.id LIMIT 1";
const FROM: &str =
    "FROM eo_deliveries d JOIN eo_events v ON v.id = d.event_id LEFT JOIN emails e ON e.id = d.email_id";
/// The conditions of a filter as ?1 to ?7.
const WHERE: &str = "WHERE (?1 IS NULL OR v.owner_id = ?1) AND (?2 IS NULL OR d.event_id = ?2)
    AND (?3 IS NULL OR instr(?3, ',' || coalesce(e.status, 1) || ',') > 0)
    AND d.created_at >= ?4 AND d.created_at < ?5 AND d.id < ?6
    AND (NOT ?7 OR (d.noticed_at IS NOT NULL AND d.seen_at IS NULL))";
const ORDER: &str = "ORDER BY d.id DESC LIMIT ?8";

fn record_at(row: &Row<'_>) -> Result<EoDeliveryRecord, Trouble> {
    let (filter, language): (String, String) = (row.get(7)?, row.get(8)?);
    let delivery = EoDelivery {
        id: row.get(0)?,
        event_id: row.get(1)?,
        client_id: id_at!(row, 2, ClientId),
        user_id: id_at!(row, 3, UserId),
        email_id: id_at!(row, 4, EmailId),
        to_email: row.get(5)?,
        subject: row.get(6)?,
        filter: serde_json::from_str(&filter).map_err(|_| damaged("filter of a report"))?,
        language: Language::parse(&language).unwrap_or(Language::Id),
        resent_from: row.get(9)?,
        key: report_key(row.get(21)?, row.get(22)?)?,
        created_at: Timestamp::from_millis(row.get(10)?),
        noticed_at: time_at(row, 11)?,
        seen_at: time_at(row, 12)?,
    };
    let (event_name, owner_id) = (row.get(13)?, id_at!(row, 14, UserId));
    Ok(EoDeliveryRecord { delivery, event_name, owner_id, outcome: outcome_at(row)? })
}

fn outcome_at(row: &Row<'_>) -> Result<Option<EoOutcome>, Trouble> {
    let Some(status) = row.get::<_, Option<i64>>(15)? else { return Ok(None) };
    let failure = match row.get::<_, Option<i64>>(18)? {
        None => None,
        Some(code) => Some((failure_of(code)?, row.get::<_, Option<String>>(19)?.unwrap_or_default())),
    };
    Ok(Some(EoOutcome {
        status: status_of(status)?,
        attempts: row.get(16)?,
        sent_at: time_at(row, 17)?,
        failure,
        error: row.get(20)?,
    }))
}

fn some(connection: &Connection, which: &str, of: impl Params) -> Result<Vec<EoDeliveryRecord>, Trouble> {
    let mut statement = connection.prepare_cached(&format!("{SELECT} {FROM} {which}"))?;
    let mut rows = statement.query(of)?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        records.push(record_at(row)?);
    }
    Ok(records)
}

macro_rules! of_filter {
    ($filter:expr, $limit:expr) => {
        params![
            $filter.owner_id.map(|id| id.as_bytes().to_vec()),
            $filter.event_id,
            $filter.status_list(),
            $filter.from.map_or(i64::MIN, Timestamp::millis),
            $filter.to.map_or(i64::MAX, Timestamp::millis),
            $filter.before_id.unwrap_or(i64::MAX),
            $filter.is_noticed,
            i64::try_from($limit).unwrap_or(i64::MAX),
        ]
    };
}

impl Sqlite {
    pub(crate) async fn begin_eo_delivery(
        &self,
        delivery: EoDelivery,
        since: Timestamp,
    ) -> Result<EoBegun, StoreError> {
        let filter = crate::record::filter_json(&delivery.filter)?;
        self.write(1, move |tx| {
            let event = tx.connection.query_row(
                "SELECT 1 FROM eo_events WHERE id = ?1",
                [delivery.event_id],
                |_| Ok(()),
            );
            event.optional()?.ok_or(StoreError::NotFound)?;
            if let Some(key) = &delivery.key {
                let of = params![delivery.client_id.as_bytes(), key.key, since.millis()];
                if let Some(found) = some(tx.connection, OF_KEY, of)?.pop() {
                    return Ok(EoBegun::over(found.delivery, &delivery));
                }
            }
            tx.connection.execute(
                "INSERT INTO eo_deliveries (event_id, client_id, user_id, email_id, to_email, subject, filter, language,
                    resent_from, created_at, idempotency_key, fingerprint)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
                params![
                    delivery.event_id,
                    delivery.client_id.as_bytes(),
                    delivery.user_id.as_bytes(),
                    delivery.email_id.as_bytes(),
                    delivery.to_email,
                    delivery.subject,
                    filter,
                    delivery.language.as_str(),
                    delivery.resent_from,
                    delivery.created_at.millis(),
                    delivery.key.as_ref().map(|key| &key.key),
                    delivery.key.as_ref().map(|key| key.fingerprint),
                ],
            )?;
            Ok(EoBegun::New(tx.connection.last_insert_rowid()))
        })
        .await
    }

    pub(crate) async fn delete_eo_delivery(&self, id: i64) -> Result<(), StoreError> {
        self.write(1, move |tx| {
            let sql = "DELETE FROM eo_deliveries WHERE id = ?1
                AND NOT EXISTS (SELECT 1 FROM emails WHERE emails.id = eo_deliveries.email_id)";
            tx.connection.execute(sql, [id])?;
            Ok(())
        })
        .await
    }

    pub(crate) async fn eo_delivery(&self, id: i64) -> Result<Option<EoDeliveryRecord>, StoreError> {
        self.readers.read(move |connection| Ok(some(connection, "WHERE d.id = ?1", [id])?.pop())).await
    }

    pub(crate) async fn eo_deliveries(
        &self,
        filter: EoFilter,
        limit: usize,
    ) -> Result<Vec<EoDeliveryRecord>, StoreError> {
        let which = format!("{WHERE} {ORDER}");
        self.readers.read(move |connection| some(connection, &which, of_filter!(filter, limit))).await
    }

    pub(crate) async fn eo_tally(
        &self,
        filter: EoFilter,
        period: Duration,
    ) -> Result<Vec<EoTally>, StoreError> {
        self.readers
            .read(move |connection| {
                let sql = format!(
                    "SELECT d.created_at / ?8 * ?8, coalesce(e.status, 1), count(*) {FROM} {WHERE}
                     GROUP BY 1, 2 ORDER BY 1, 2"
                );
                let mut statement = connection.prepare_cached(&sql)?;
                let mut rows = statement.query(of_filter!(filter, period.as_millis().max(1)))?;
                let mut tallies = Vec::new();
                while let Some(row) = rows.next()? {
                    let begin = Timestamp::from_millis(row.get(0)?);
                    tallies.push(EoTally { begin, status: status_of(row.get(1)?)?, count: row.get(2)? });
                }
                Ok(tallies)
            })
            .await
    }

    pub(crate) async fn eo_overdue(
        &self,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> Result<Vec<EoDeliveryRecord>, StoreError> {
        let which = "WHERE d.noticed_at IS NULL AND d.created_at >= ?1 AND d.created_at < ?2
            AND coalesce(e.status, 1) IN (0, 1, 5, 7, 8) ORDER BY d.id LIMIT ?3";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.readers
            .read(move |connection| some(connection, which, params![from.millis(), to.millis(), limit]))
            .await
    }

    pub(crate) async fn eo_unwritten(
        &self,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> Result<Vec<EoDeliveryRecord>, StoreError> {
        let which = "WHERE e.id IS NULL AND d.created_at >= ?1 AND d.created_at < ?2 ORDER BY d.id LIMIT ?3";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.readers
            .read(move |connection| some(connection, which, params![from.millis(), to.millis(), limit]))
            .await
    }

    pub(crate) async fn notice_eo_delivery(&self, id: i64, now: Timestamp) -> Result<bool, StoreError> {
        self.write(1, move |tx| {
            let sql = "UPDATE eo_deliveries SET noticed_at = ?2 WHERE id = ?1 AND noticed_at IS NULL";
            Ok(tx.connection.execute(sql, params![id, now.millis()])? == 1)
        })
        .await
    }

    pub(crate) async fn dismiss_eo_notice(&self, id: i64, now: Timestamp) -> Result<(), StoreError> {
        self.write(1, move |tx| {
            let sql = "UPDATE eo_deliveries SET seen_at = ?2 WHERE id = ?1 AND seen_at IS NULL";
            tx.connection.execute(sql, params![id, now.millis()])?;
            Ok(())
        })
        .await
    }

    pub(crate) async fn drop_eo_deliveries(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.write(1, move |tx| {
            let sql = "DELETE FROM eo_deliveries WHERE created_at < ?1";
            Ok(tx.connection.execute(sql, [before.millis()])? as u64)
        })
        .await
    }

    pub(crate) async fn erase_eo_address(&self, address: String) -> Result<u64, StoreError> {
        let changed = self
            .write_alone(move |tx| {
                // What is overwritten is zeroed, not only forgotten.
                tx.connection.pragma_update(None, "secure_delete", true)?;
                let outcome = erase_address(tx.connection, &address);
                tx.connection.pragma_update(None, "secure_delete", false)?;
                outcome
            })
            .await?;
        self.empty_log().await?;
        Ok(changed)
    }
}

/// Puts something harmless where the address (canonical) stood, and over a subject that quotes it. The case of letters
/// that are not ASCII is beyond SQL here.
fn erase_address(connection: &Connection, address: &str) -> Result<u64, Trouble> {
    let mut statement = connection.prepare("SELECT DISTINCT to_email FROM eo_deliveries")?;
    let all = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    let mut changed = 0;
    for text in all {
        if Address::parse(&text).is_ok_and(|found| found.canonical() == address) {
            let sql = "UPDATE eo_deliveries SET to_email = 'erased@erased.invalid',
                    subject = CASE WHEN instr(lower(subject), ?2) > 0 THEN 'erased' ELSE subject END
                WHERE to_email = ?1";
            changed += connection.execute(sql, params![text, address])? as u64;
        }
    }
    Ok(changed)
}
