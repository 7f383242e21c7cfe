//! Lists, newest first by id. A page is looked for in windows of days that grow towards the past, so that it touches
//! the partitions of the days it shows and no others; within one it follows an index from where the last page ended.

use super::Postgres;
use super::columns::{at, code_at, first_id, instant_at, millis_of};
use super::days::DAY_MS;
use super::rows::{id_at, time_at, uuid_of};
use super::session::{Session, Value};
use super::trouble::Trouble;
use crate::StoreError;
use crate::emails::{Cursor, EmailFilter, EmailSummary, MAX_PAGE, Page};
use crate::record::finders::{FinderHead, Kind, finder_key, keys_of};
use crate::record::{SummaryHead, damaged, status_code, status_of};
use posthaste_model::email::RecipientKind;
use posthaste_model::{ClientId, EmailId, Status, Timestamp};
use std::collections::HashMap;
use tokio_postgres::Row;
use uuid::Uuid;

/// How far back the windows reach, in days; behind the last one everything older is one window.
const WINDOWS: [i64; 9] = [1, 4, 16, 64, 128, 192, 256, 320, 410];
/// So many emails of a key are looked at to find the rarest of several.
const SAMPLE: i64 = 500;

impl Postgres {
    pub(crate) async fn list(
        &self,
        client_id: ClientId,
        filter: EmailFilter,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let limit = limit.clamp(1, MAX_PAGE);
        let search = &Search::new(uuid_of!(client_id), &filter);
        let below = cursor.map(|Cursor(id)| Uuid::from_u128(id));
        let oldest = self.oldest_day();
        self.read(|db| async move {
            let mut ids = search.find(&db, below, limit + 1, oldest).await?;
            let next = (ids.len() > limit).then(|| Cursor(ids[limit - 1].as_u128()));
            ids.truncate(limit);
            Ok(Page { rows: search.summaries(&db, &ids).await?, next })
        })
        .await
    }
}

/// A filter made ready for one client's emails.
pub(super) struct Search {
    client: Uuid,
    keys: Vec<(Kind, String)>,
    /// `None`: any.
    statuses: Option<Vec<i16>>,
    from: i64,
    to: i64,
}

impl Search {
    pub(super) fn new(client: Uuid, filter: &EmailFilter) -> Self {
        let mut statuses: Vec<i16> =
            filter.statuses.iter().map(|status| status_code(*status) as i16).collect();
        statuses.sort_unstable();
        statuses.dedup();
        let is_any = statuses.is_empty() || statuses.len() == Status::ALL.len();
        Self {
            client,
            keys: keys_of(filter),
            statuses: (!is_any).then_some(statuses),
            from: filter.date_from.map_or(i64::MIN, Timestamp::millis),
            to: filter.date_to.map_or(i64::MAX, Timestamp::millis),
        }
    }

    /// Up to `limit` emails below id `below`, newest first.
    pub(super) async fn find(
        &self,
        db: &Session,
        below: Option<Uuid>,
        limit: usize,
        oldest: i32,
    ) -> Result<Vec<Uuid>, Trouble> {
        let floor = first_id(self.from);
        let mut high = if self.to == i64::MAX { Uuid::max() } else { first_id(self.to) };
        high = below.map_or(high, |below| below.min(high));
        let order = self.rarest_first(db, floor, high).await?;
        let mut found: Vec<Uuid> = Vec::new();
        let start = millis_of(high).min(now_of(db).await?);
        for low in lows(start, i64::from(oldest) * DAY_MS) {
            let low = low.max(floor);
            if low < high {
                found.extend(self.window(db, &order, low, high, limit - found.len()).await?);
                high = low;
            }
            if found.len() >= limit || low == floor {
                break;
            }
        }
        Ok(found)
    }

    /// The keys' numbers, the one with the fewest emails first: it leads, the others are asked for each of its emails.
    async fn rarest_first(&self, db: &Session, low: Uuid, high: Uuid) -> Result<Vec<i64>, Trouble> {
        let numbers: Vec<i64> = self.keys.iter().map(|(kind, value)| finder_key(*kind, value)).collect();
        if numbers.len() < 2 {
            return Ok(numbers);
        }
        let sql = "SELECT (SELECT count(*) FROM (SELECT 1 FROM finders f
                WHERE f.client_id = $1 AND f.key = k AND f.id >= $3 AND f.id < $4 LIMIT $5) s)
            FROM unnest($2::bigint[]) WITH ORDINALITY u(k, place) ORDER BY place";
        // The newest days tell enough of what is frequent.
        let recent = first_id(millis_of(high).min(now_of(db).await?) - 8 * DAY_MS).max(low);
        let rows = db.rows(sql, &[&self.client, &numbers, &recent, &high, &SAMPLE]).await?;
        let amounts: Result<Vec<i64>, Trouble> = rows.iter().map(|row| at(row, 0)).collect();
        let mut both: Vec<(i64, i64)> = amounts?.into_iter().zip(numbers).collect();
        both.sort_unstable();
        both.dedup();
        Ok(both.into_iter().map(|(_, number)| number).collect())
    }

    /// What is found from id `low` until before id `high`, newest first.
    async fn window(
        &self,
        db: &Session,
        order: &[i64],
        low: Uuid,
        high: Uuid,
        limit: usize,
    ) -> Result<Vec<Uuid>, Trouble> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let (first, others) = (order.first().copied().unwrap_or(0), order.get(1..).unwrap_or_default());
        let sql = format!("{} ORDER BY id DESC LIMIT $5", self.sql(order.len()));
        let statuses = self.statuses.clone().unwrap_or_default();
        let values: [Value<'_>; 10] = [
            &self.client,
            &low,
            &high,
            &first,
            &limit,
            &others,
            &(others.len() as i64),
            &statuses,
            &self.from,
            &self.to,
        ];
        let rows = db.rows(&sql, &values).await?;
        rows.iter().map(|row| at(row, 0)).collect()
    }

    /// The statement that finds: $1 client, $2 and $3 ids, $4 the leading key, $6 the other keys, $7 how many they
    /// are, $8 statuses, $9 and $10 times. All of them stand in it, whatever is asked, so that one list of values fits.
    fn sql(&self, keys: usize) -> String {
        let all = "$4::bigint IS NOT NULL AND $6::bigint[] IS NOT NULL AND $7::bigint IS NOT NULL
            AND $8::smallint[] IS NOT NULL";
        let in_time = if self.from == i64::MIN && self.to == i64::MAX {
            "$9::bigint IS NOT NULL AND $10::bigint IS NOT NULL"
        } else {
            "e.requested_at >= $9 AND e.requested_at < $10"
        };
        let of_email = "e.client_id = $1 AND e.id >= $2 AND e.id < $3";
        match (keys, &self.statuses) {
            (0, None) => format!("SELECT e.id FROM emails e WHERE {of_email} AND {in_time} AND {all}"),
            // Each status has an order of its own, and the newest of all are among the newest of each.
            (0, Some(_)) => format!(
                "SELECT id FROM unnest($8::smallint[]) s(code) CROSS JOIN LATERAL (
                    SELECT e.id FROM emails e WHERE {of_email} AND e.status = s.code AND {in_time}
                    ORDER BY e.id DESC LIMIT $5) x WHERE {all}"
            ),
            (_, statuses) => {
                let of_status = if statuses.is_some() { "e.status = ANY($8)" } else { "true" };
                let of_key = "f.client_id = $1 AND f.id >= $2 AND f.id < $3";
                let is_plain = statuses.is_none() && self.from == i64::MIN && self.to == i64::MAX;
                let state = if is_plain {
                    in_time.to_owned()
                } else {
                    format!(
                        "EXISTS (SELECT 1 FROM emails e WHERE {of_email} AND e.id = f.id AND {of_status}
                            AND {in_time}) AND $9::bigint IS NOT NULL AND $10::bigint IS NOT NULL"
                    )
                };
                let others = if keys > 1 {
                    "(SELECT count(*) FROM finders o WHERE o.client_id = $1 AND o.key = ANY($6) AND o.id = f.id
                        AND o.id >= $2 AND o.id < $3) = $7"
                } else {
                    "true"
                };
                format!(
                    "SELECT f.id FROM finders f WHERE {of_key} AND f.key = $4 AND {others} AND {state} AND {all}"
                )
            }
        }
    }

    /// How many there are, one by one.
    pub(super) async fn count(&self, db: &Session) -> Result<u64, Trouble> {
        let (low, high) =
            (first_id(self.from), if self.to == i64::MAX { Uuid::max() } else { first_id(self.to) });
        let order = self.rarest_first(db, low, high).await?;
        let (first, others) = (order.first().copied().unwrap_or(0), order.get(1..).unwrap_or_default());
        let sql =
            format!("SELECT count(*) FROM ({}) found WHERE $5::bigint IS NOT NULL", self.sql(order.len()));
        let statuses = self.statuses.clone().unwrap_or_default();
        let values: [Value<'_>; 10] = [
            &self.client,
            &low,
            &high,
            &first,
            &i64::MAX,
            &others,
            &(others.len() as i64),
            &statuses,
            &self.from,
            &self.to,
        ];
        super::columns::count_at(&db.one(&sql, &values).await?, 0)
    }

    /// The emails of a page, in its order, without those that only share a key's number.
    async fn summaries(&self, db: &Session, ids: &[Uuid]) -> Result<Vec<EmailSummary>, Trouble> {
        let (Some(last), Some(first)) = (ids.first(), ids.last()) else { return Ok(Vec::new()) };
        let rows = db
            .rows(
                "SELECT e.id, e.status, e.requested_at, e.sent_at, h.head, coalesce(e.failure_message, e.error)
                 FROM emails e JOIN heads h ON h.client_id = e.client_id AND h.id = e.id
                 WHERE e.client_id = $1 AND e.id BETWEEN $3 AND $4 AND h.client_id = $1 AND h.id BETWEEN $3 AND $4
                    AND e.id = ANY($2)",
                &[&self.client, &ids, first, last],
            )
            .await?;
        let mut by_id = HashMap::with_capacity(rows.len());
        for row in &rows {
            let head: &[u8] = row.try_get(4)?;
            let finder = FinderHead::read(head)?;
            if self.keys.iter().all(|(kind, value)| finder.has(*kind, value)) {
                by_id.insert(at::<Uuid>(row, 0)?, summary(row, head)?);
            }
        }
        Ok(ids.iter().filter_map(|id| by_id.remove(id)).collect())
    }
}

fn summary(row: &Row, head: &[u8]) -> Result<EmailSummary, Trouble> {
    let head: SummaryHead = serde_json::from_slice(head).map_err(|_| damaged("head of an email"))?;
    let named = head.to.into_iter().filter(|recipient| recipient.0 == RecipientKind::To);
    Ok(EmailSummary {
        id: id_at!(row, 0, EmailId),
        from: head.from,
        to: named.map(|recipient| recipient.1).collect(),
        subject: head.subject,
        status: status_of(code_at(row, 1)?)?,
        requested_at: instant_at(row, 2)?,
        sent_at: time_at(row, 3)?,
        error: at(row, 5)?,
    })
}

/// The database's clock in milliseconds: windows begin today, though ids may lie ahead.
async fn now_of(db: &Session) -> Result<i64, Trouble> {
    let sql = "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint";
    at(&db.one(sql, &[]).await?, 0)
}

/// Where the windows end, going back from `start`; the last one takes all the rest. Days before `oldest` have no
/// partitions of their own.
fn lows(start: i64, oldest: i64) -> Vec<Uuid> {
    let mut lows: Vec<Uuid> = WINDOWS
        .iter()
        .map(|days| start.saturating_sub(days * DAY_MS))
        .take_while(|low| *low > oldest)
        .map(first_id)
        .collect();
    lows.push(Uuid::nil());
    lows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_grow_and_end_with_everything() {
        let start = 1_800_000_000_000;
        let all = lows(start, 0);
        assert_eq!(all.len(), WINDOWS.len() + 1);
        assert_eq!(all[0], first_id(start - DAY_MS));
        assert!(all.windows(2).all(|pair| pair[0] > pair[1]));
        assert_eq!(lows(start, start - 5 * DAY_MS).len(), 3, "nothing older: one window for the rest");
    }
}
