//! Lists. Each condition is a stream of email numbers, newest first, that can be asked for "the next at or below n";
//! the streams are intersected by leaping from one to the other, so that a page costs what it shows and not what the
//! client has.

use super::Sqlite;
use super::finders::indexed_up_to;
use super::rows::{id_at, time_at};
use super::trouble::Trouble;
use super::tx::{HOUR_MS, client_number};
use crate::StoreError;
use crate::emails::{Cursor, EmailFilter, EmailSummary, MAX_PAGE, Page};
use crate::record::finders::{FinderHead, Kind, keys_of};
use crate::record::{SummaryHead, damaged, status_code, status_of};
use posthaste_model::email::RecipientKind;
use posthaste_model::{ClientId, EmailId, Status, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

impl Sqlite {
    pub(crate) async fn list(
        &self,
        client_id: ClientId,
        filter: EmailFilter,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        self.readers
            .read(move |connection| {
                let limit = limit.clamp(1, MAX_PAGE);
                let Some(client) = client_number(connection, client_id)? else {
                    return Ok(Page { rows: Vec::new(), next: None });
                };
                let below = cursor.map_or(i64::MAX, |Cursor(n)| i64::try_from(n).unwrap_or(i64::MAX));
                let mut numbers = Vec::with_capacity(limit + 1);
                Search::new(connection, client, &filter)?.each(below, |n| {
                    numbers.push(n);
                    numbers.len() <= limit
                })?;
                let next =
                    (numbers.len() > limit).then(|| Cursor(u128::try_from(numbers[limit - 1]).unwrap_or(0)));
                numbers.truncate(limit);
                let rows: Result<_, Trouble> = numbers.into_iter().map(|n| summary(connection, n)).collect();
                Ok(Page { rows: rows?, next })
            })
            .await
    }
}

fn summary(connection: &Connection, n: i64) -> Result<EmailSummary, Trouble> {
    let mut statement = connection.prepare_cached(
        "SELECT e.id, e.status, e.requested_at, e.sent_at, b.head, coalesce(e.failure_message, e.error)
         FROM emails e JOIN bodies b ON b.n = e.n WHERE e.n = ?1",
    )?;
    let mut rows = statement.query([n])?;
    let row = rows.next()?.ok_or_else(|| damaged("an email that is indexed"))?;
    let head = row.get_ref(4)?.as_blob().map_err(|_| damaged("head of an email"))?;
    let head: SummaryHead = serde_json::from_slice(head).map_err(|_| damaged("head of an email"))?;
    let named = head.to.into_iter().filter(|recipient| recipient.0 == RecipientKind::To);
    Ok(EmailSummary {
        id: id_at!(row, 0, EmailId),
        from: head.from,
        to: named.map(|recipient| recipient.1).collect(),
        subject: head.subject,
        status: status_of(row.get(1)?)?,
        requested_at: Timestamp::from_millis(row.get(2)?),
        sent_at: time_at(row, 3)?,
        error: row.get(5)?,
    })
}

/// A filter made ready for one client's emails.
pub(super) struct Search<'c> {
    connection: &'c Connection,
    client: i64,
    statuses: Vec<i64>,
    from: i64,
    to: i64,
    keys: Vec<(Kind, String)>,
    /// The emails requested in the hours of `from` to `to`; `None`: there are none.
    range: Option<(i64, i64)>,
    indexed: i64,
}

impl<'c> Search<'c> {
    pub(super) fn new(
        connection: &'c Connection,
        client: i64,
        filter: &EmailFilter,
    ) -> Result<Self, Trouble> {
        let from = filter.date_from.map_or(i64::MIN, Timestamp::millis);
        let to = filter.date_to.map_or(i64::MAX, Timestamp::millis);
        let mut statuses: Vec<i64> = filter.statuses.iter().map(|status| status_code(*status)).collect();
        statuses.sort_unstable();
        statuses.dedup();
        Ok(Self {
            connection,
            client,
            statuses,
            from,
            to,
            keys: keys_of(filter),
            range: number_range(connection, client, from, to)?,
            indexed: indexed_up_to(connection)?,
        })
    }

    /// Visits what is found below number `below`, newest first, until `visit` says that it has enough.
    pub(super) fn each(&self, below: i64, mut visit: impl FnMut(i64) -> bool) -> Result<(), Trouble> {
        let Some((low, high)) = self.range else { return Ok(()) };
        let high = high.min(below - 1);
        if high > self.indexed && !self.look_through(low, high, &mut visit)? {
            return Ok(());
        }
        let mut streams = self.streams()?;
        let mut next = high.min(self.indexed);
        while let Some(n) = meet(self.connection, self.client, &mut streams, next, low)? {
            if self.is_in_time(n)? && !visit(n) {
                return Ok(());
            }
            next = n - 1;
        }
        Ok(())
    }

    /// Looks through what is not indexed yet; whether more is wanted.
    fn look_through(
        &self,
        low: i64,
        high: i64,
        visit: &mut impl FnMut(i64) -> bool,
    ) -> Result<bool, Trouble> {
        let mut statement = self.connection.prepare_cached(
            "SELECT n, status, requested_at FROM emails WHERE n BETWEEN ?1 AND ?2 AND client = ?3 ORDER BY n DESC",
        )?;
        let mut rows = statement.query(params![low.max(self.indexed + 1), high, self.client])?;
        while let Some(row) = rows.next()? {
            let (n, status, at): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let wanted = self.from <= at
                && at < self.to
                && (self.statuses.is_empty() || self.statuses.contains(&status))
                && self.has_keys(n)?;
            if wanted && !visit(n) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn has_keys(&self, n: i64) -> Result<bool, Trouble> {
        if self.keys.is_empty() {
            return Ok(true);
        }
        let mut statement = self.connection.prepare_cached("SELECT head FROM bodies WHERE n = ?1")?;
        let mut rows = statement.query([n])?;
        let Some(row) = rows.next()? else { return Ok(false) };
        let head = row.get_ref(0)?.as_blob().map_err(|_| damaged("head of an email"))?;
        let head = FinderHead::read(head)?;
        Ok(self.keys.iter().all(|(kind, value)| head.has(*kind, value)))
    }

    /// The hours give a range of numbers; the minute decides here.
    fn is_in_time(&self, n: i64) -> Result<bool, Trouble> {
        if self.from == i64::MIN && self.to == i64::MAX {
            return Ok(true);
        }
        let at: Option<i64> = self
            .connection
            .prepare_cached("SELECT requested_at FROM emails WHERE n = ?1")?
            .query_row([n], |row| row.get(0))
            .optional()?;
        Ok(at.is_some_and(|at| self.from <= at && at < self.to))
    }

    fn streams(&self) -> Result<Vec<Stream>, Trouble> {
        let mut streams: Vec<Stream> =
            self.keys.iter().map(|(kind, value)| Stream::Key(*kind, value.clone())).collect();
        if !self.statuses.is_empty() && self.statuses.len() < Status::ALL.len() {
            streams.push(Stream::of_statuses(self.connection, self.client, &self.statuses)?);
        }
        if streams.is_empty() {
            streams.push(Stream::Key(Kind::Every, String::new()));
        }
        Ok(streams)
    }

    /// How many there are, when the index alone can say.
    pub(super) fn count_by_index(&self) -> Result<Option<u64>, Trouble> {
        let [(kind, value)] = self.keys.as_slice() else { return Ok(None) };
        if !self.statuses.is_empty() || self.from != i64::MIN || self.to != i64::MAX {
            return Ok(None);
        }
        let indexed: u64 = self
            .connection
            .prepare_cached(
                "SELECT count(*) FROM finders WHERE client = ?1 AND kind = ?2 AND value = ?3 AND n <= ?4",
            )?
            .query_row(params![self.client, *kind as i64, value, self.indexed], |row| row.get(0))?;
        let mut total = indexed;
        self.look_through(self.indexed + 1, i64::MAX, &mut |_| {
            total += 1;
            true
        })?;
        Ok(Some(total))
    }
}

/// The numbers between which a client's emails of these times lie. The hours' own ranges are exact whatever the clock
/// did, but may overlap when it went back.
pub(super) fn number_range(
    connection: &Connection,
    client: i64,
    from: i64,
    to: i64,
) -> Result<Option<(i64, i64)>, Trouble> {
    if from == i64::MIN && to == i64::MAX {
        return Ok(Some((1, i64::MAX)));
    }
    let last = to.saturating_sub(1).div_euclid(HOUR_MS);
    let (low, high): (Option<i64>, Option<i64>) = connection
        .prepare_cached(
            "SELECT min(first_n), max(last_n) FROM hours WHERE client = ?1 AND hour BETWEEN ?2 AND ?3",
        )?
        .query_row(params![client, from.div_euclid(HOUR_MS), last], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(low.zip(high))
}

/// The newest email of a status that waits. The index holds those two statuses alone, and the statement must say so.
pub(super) const WAITING: &str = "SELECT n FROM emails INDEXED BY emails_waiting
    WHERE client = ?1 AND status = ?2 AND status IN (0, 1) AND n <= ?3 ORDER BY n DESC LIMIT 1";
/// The newest email of a status that is over. Without `likely` the index is read from the first of these statuses on,
/// and sorted, instead of in its own order.
pub(super) const OVER: &str = "SELECT n FROM emails INDEXED BY emails_ended
    WHERE client = ?1 AND status = ?2 AND likely(status > 2) AND n <= ?3 ORDER BY n DESC LIMIT 1";

/// Numbers of emails for which one condition holds, newest first.
enum Stream {
    /// By the index.
    Key(Kind, String),
    /// In one of these statuses: those that wait or are over by their indexes; those under way, few, by number, highest
    /// first.
    Statuses { waiting: Vec<i64>, under_way: Vec<i64>, over: Vec<i64> },
}

impl Stream {
    fn of_statuses(connection: &Connection, client: i64, statuses: &[i64]) -> Result<Self, Trouble> {
        let processing = status_code(Status::Processing);
        let waiting = statuses.iter().copied().filter(|status| *status < processing).collect();
        let over = statuses.iter().copied().filter(|status| *status > processing).collect();
        let mut under_way = Vec::new();
        if statuses.contains(&processing) {
            let mut statement = connection.prepare_cached(
                "SELECT n FROM emails INDEXED BY emails_due
                 WHERE due_at IS NOT NULL AND status = 2 AND client = ?1",
            )?;
            let found = statement.query_map([client], |row| row.get(0))?;
            under_way.extend(found.collect::<Result<Vec<i64>, _>>()?);
        }
        under_way.sort_unstable_by(|a, b| b.cmp(a));
        Ok(Self::Statuses { waiting, under_way, over })
    }

    fn at_most(&self, connection: &Connection, client: i64, n: i64) -> Result<Option<i64>, Trouble> {
        match self {
            Self::Key(kind, value) => Ok(connection
                .prepare_cached(
                    "SELECT n FROM finders WHERE client = ?1 AND kind = ?2 AND value = ?3 AND n <= ?4
                     ORDER BY n DESC LIMIT 1",
                )?
                .query_row(params![client, *kind as i64, value, n], |row| row.get(0))
                .optional()?),
            Self::Statuses { waiting, under_way, over } => {
                let mut best = under_way.get(under_way.partition_point(|m| *m > n)).copied();
                for (statuses, sql) in [(waiting, WAITING), (over, OVER)] {
                    let mut statement = connection.prepare_cached(sql)?;
                    for status in statuses {
                        let found =
                            statement.query_row(params![client, status, n], |row| row.get(0)).optional()?;
                        best = best.max(found);
                    }
                }
                Ok(best)
            }
        }
    }
}

/// The highest number from `start` down to `low` that stands in all streams.
fn meet(
    connection: &Connection,
    client: i64,
    streams: &mut [Stream],
    start: i64,
    low: i64,
) -> Result<Option<i64>, Trouble> {
    let mut n = start;
    let mut agreed = 0;
    let mut at = 0;
    while agreed < streams.len() {
        if n < low {
            return Ok(None);
        }
        match streams[at % streams.len()].at_most(connection, client, n)? {
            None => return Ok(None),
            Some(found) if found == n => agreed += 1,
            Some(lower) => (n, agreed) = (lower, 1),
        }
        at += 1;
    }
    Ok((n >= low).then_some(n))
}
