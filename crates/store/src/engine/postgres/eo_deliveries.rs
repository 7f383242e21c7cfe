//! Reports that organizers asked for.

use super::Postgres;
use super::columns::{at, code_at, count_at, instant_at};
use super::rows::{id_at, uuid_of};
use super::session::{Session, Value};
use super::trouble::Trouble;
use crate::StoreError;
use crate::eo::{EoBegun, EoDeliveryRecord, EoFilter, EoTally};
use crate::record::{damaged, failure_of, report_key, status_of};
use posthaste_model::eo::{EoDelivery, EoOutcome};
use posthaste_model::user::Language;
use posthaste_model::{ClientId, EmailId, Timestamp, UserId};
use std::time::Duration;
use tokio_postgres::Row;

const SELECT: &str = "SELECT d.id, d.event_id, d.client_id, d.user_id, d.email_id, d.to_email, d.subject, d.filter,
    d.language, d.resent_from, d.created_at, d.noticed_at, d.seen_at, v.name, v.owner_id, e.status, e.attempts,
    e.sent_at, e.failure_code, e.failure_message, e.error, d.idempotency_key, d.fingerprint";
/// The delivery under the key of a request.
const OF_KEY: &str =
    "WHERE d.client_id = $1 AND d.idempotency_key = $2 AND d.created_at >= $3 ORDER BY d.id LIMIT 1";
const FROM: &str = "FROM eo_deliveries d JOIN eo_events v ON v.id = d.event_id
    LEFT JOIN emails e ON e.client_id = d.client_id AND e.id = d.email_id";
/// The conditions of a filter as $1 to $8.
const WHERE: &str = "WHERE ($1::uuid IS NULL OR v.owner_id = $1) AND ($2::bigint IS NULL OR d.event_id = $2)
    AND ($3::text IS NULL OR strpos($3, ',' || coalesce(e.status, 1) || ',') > 0)
    AND d.created_at >= $4 AND d.created_at < $5 AND d.id < $6
    AND (NOT $7 OR (d.noticed_at IS NOT NULL AND d.seen_at IS NULL))";
const ORDER: &str = "ORDER BY d.id DESC LIMIT $8";

fn time_at(row: &Row, column: usize) -> Result<Option<Timestamp>, Trouble> {
    Ok(at::<Option<i64>>(row, column)?.map(Timestamp::from_millis))
}

fn record_at(row: &Row) -> Result<EoDeliveryRecord, Trouble> {
    let (filter, language): (String, String) = (at(row, 7)?, at(row, 8)?);
    let delivery = EoDelivery {
        id: at(row, 0)?,
        event_id: at(row, 1)?,
        client_id: id_at!(row, 2, ClientId),
        user_id: id_at!(row, 3, UserId),
        email_id: id_at!(row, 4, EmailId),
        to_email: at(row, 5)?,
        subject: at(row, 6)?,
        filter: serde_json::from_str(&filter).map_err(|_| damaged("filter of a report"))?,
        language: Language::parse(&language).unwrap_or(Language::Id),
        resent_from: at(row, 9)?,
        key: report_key(at(row, 21)?, at(row, 22)?)?,
        created_at: instant_at(row, 10)?,
        noticed_at: time_at(row, 11)?,
        seen_at: time_at(row, 12)?,
    };
    let (event_name, owner_id) = (at(row, 13)?, id_at!(row, 14, UserId));
    Ok(EoDeliveryRecord { delivery, event_name, owner_id, outcome: outcome_at(row)? })
}

fn outcome_at(row: &Row) -> Result<Option<EoOutcome>, Trouble> {
    let Some(status) = at::<Option<i16>>(row, 15)? else { return Ok(None) };
    let failure = match at::<Option<i16>>(row, 18)? {
        None => None,
        Some(code) => {
            Some((failure_of(i64::from(code))?, at::<Option<String>>(row, 19)?.unwrap_or_default()))
        }
    };
    Ok(Some(EoOutcome {
        status: status_of(i64::from(status))?,
        attempts: super::columns::small_at(row, 16)?,
        sent_at: time_at(row, 17)?,
        failure,
        error: at(row, 20)?,
    }))
}

async fn some(db: &Session, which: &str, of: &[Value<'_>]) -> Result<Vec<EoDeliveryRecord>, Trouble> {
    db.rows(&format!("{SELECT} {FROM} {which}"), of).await?.iter().map(record_at).collect()
}

macro_rules! of_filter {
    ($filter:expr, $limit:expr) => {
        &[
            &$filter.owner_id.map(|id| uuid_of!(id)),
            &$filter.event_id,
            &$filter.status_list(),
            &$filter.from.map_or(i64::MIN, Timestamp::millis),
            &$filter.to.map_or(i64::MAX, Timestamp::millis),
            &$filter.before_id.unwrap_or(i64::MAX),
            &$filter.is_noticed,
            &i64::try_from($limit).unwrap_or(i64::MAX),
        ]
    };
}

impl Postgres {
    pub(crate) async fn begin_eo_delivery(
        &self,
        delivery: EoDelivery,
        since: Timestamp,
    ) -> Result<EoBegun, StoreError> {
        let filter = &crate::record::filter_json(&delivery.filter)?;
        let delivery = &delivery;
        self.write(1, |db| async move {
            let event = db.maybe("SELECT 1 FROM eo_events WHERE id = $1", &[&delivery.event_id]).await?;
            event.ok_or(StoreError::NotFound)?;
            if let Some(key) = &delivery.key {
                let client = uuid_of!(delivery.client_id);
                let found = some(&db, OF_KEY, &[&client, &key.key, &since.millis()]).await?.pop();
                if let Some(found) = found {
                    return Ok(EoBegun::over(found.delivery, delivery));
                }
            }
            let row = db
                .one(
                    "INSERT INTO eo_deliveries (event_id, client_id, user_id, email_id, to_email, subject, filter,
                        language, resent_from, created_at, idempotency_key, fingerprint)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING id",
                    &[
                        &delivery.event_id,
                        &uuid_of!(delivery.client_id),
                        &uuid_of!(delivery.user_id),
                        &uuid_of!(delivery.email_id),
                        &delivery.to_email,
                        &delivery.subject,
                        filter,
                        &delivery.language.as_str(),
                        &delivery.resent_from,
                        &delivery.created_at.millis(),
                        &delivery.key.as_ref().map(|key| key.key.as_str()),
                        &delivery.key.as_ref().map(|key| key.fingerprint.as_slice()),
                    ],
                )
                .await?;
            Ok(EoBegun::New(at(&row, 0)?))
        })
        .await
    }

    pub(crate) async fn delete_eo_delivery(&self, id: i64) -> Result<(), StoreError> {
        self.write(1, |db| async move {
            let sql = "DELETE FROM eo_deliveries d WHERE d.id = $1 AND NOT EXISTS
                (SELECT 1 FROM emails e WHERE e.client_id = d.client_id AND e.id = d.email_id)";
            db.run(sql, &[&id]).await?;
            Ok(())
        })
        .await
    }

    pub(crate) async fn eo_delivery(&self, id: i64) -> Result<Option<EoDeliveryRecord>, StoreError> {
        self.read(|db| async move { Ok(some(&db, "WHERE d.id = $1", &[&id]).await?.pop()) }).await
    }

    pub(crate) async fn eo_deliveries(
        &self,
        filter: EoFilter,
        limit: usize,
    ) -> Result<Vec<EoDeliveryRecord>, StoreError> {
        let (filter, which) = (&filter, &format!("{WHERE} {ORDER}"));
        self.read(|db| async move { some(&db, which, of_filter!(filter, limit)).await }).await
    }

    pub(crate) async fn eo_tally(
        &self,
        filter: EoFilter,
        period: Duration,
    ) -> Result<Vec<EoTally>, StoreError> {
        let filter = &filter;
        self.read(|db| async move {
            let sql = format!(
                "SELECT d.created_at / $8 * $8, coalesce(e.status, 1::smallint), count(*) {FROM} {WHERE}
                 GROUP BY 1, 2 ORDER BY 1, 2"
            );
            let rows = db.rows(&sql, of_filter!(filter, period.as_millis().max(1))).await?;
            let tally = |row: &Row| -> Result<EoTally, Trouble> {
                let (begin, status) = (instant_at(row, 0)?, status_of(code_at(row, 1)?)?);
                Ok(EoTally { begin, status, count: count_at(row, 2)? })
            };
            rows.iter().map(tally).collect()
        })
        .await
    }

    pub(crate) async fn eo_overdue(
        &self,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> Result<Vec<EoDeliveryRecord>, StoreError> {
        let which = "WHERE d.noticed_at IS NULL AND d.created_at >= $1 AND d.created_at < $2
            AND coalesce(e.status, 1) IN (0, 1, 5, 7, 8) ORDER BY d.id LIMIT $3";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.read(|db| async move { some(&db, which, &[&from.millis(), &to.millis(), &limit]).await }).await
    }

    pub(crate) async fn eo_unwritten(
        &self,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> Result<Vec<EoDeliveryRecord>, StoreError> {
        let which = "WHERE e.id IS NULL AND d.created_at >= $1 AND d.created_at < $2 ORDER BY d.id LIMIT $3";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.read(|db| async move { some(&db, which, &[&from.millis(), &to.millis(), &limit]).await }).await
    }

    pub(crate) async fn notice_eo_delivery(&self, id: i64, now: Timestamp) -> Result<bool, StoreError> {
        self.write(1, |db| async move {
            let sql = "UPDATE eo_deliveries SET noticed_at = $2 WHERE id = $1 AND noticed_at IS NULL";
            Ok(db.run(sql, &[&id, &now.millis()]).await? == 1)
        })
        .await
    }

    pub(crate) async fn dismiss_eo_notice(&self, id: i64, now: Timestamp) -> Result<(), StoreError> {
        self.write(1, |db| async move {
            let sql = "UPDATE eo_deliveries SET seen_at = $2 WHERE id = $1 AND seen_at IS NULL";
            db.run(sql, &[&id, &now.millis()]).await?;
            Ok(())
        })
        .await
    }

    pub(crate) async fn drop_eo_deliveries(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.write(1, |db| async move {
            db.run("DELETE FROM eo_deliveries WHERE created_at < $1", &[&before.millis()]).await
        })
        .await
    }

    pub(crate) async fn erase_eo_address(&self, address: String) -> Result<u64, StoreError> {
        let address = &address;
        self.write(1, |db| async move {
            let sql = "UPDATE eo_deliveries SET to_email = 'erased@erased.invalid',
                    subject = CASE WHEN strpos(lower(subject), $1) > 0 THEN 'erased' ELSE subject END
                WHERE lower(to_email) = $1";
            db.run(sql, &[address]).await
        })
        .await
    }
}
