//! A write transaction as the operations see it, and what the writer remembers between them.

use super::trouble::Trouble;
use crate::StoreError;
use crate::record::{event_code, status_code};
use posthaste_model::event::NewEvent;
use posthaste_model::{ClientId, Status, Timestamp, WorkerId};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::HashMap;

pub(super) use crate::emails::HOUR_MS;

/// One write transaction.
pub(super) struct Tx<'c> {
    pub(super) connection: &'c Connection,
    pub(super) memory: &'c mut Memory,
}

/// What the writer knows. Numbers of clients, domains and workers never change once committed; the rest holds for
/// one transaction, since another process may write between two.
#[derive(Default)]
pub(super) struct Memory {
    clients: HashMap<ClientId, i64>,
    domains: HashMap<String, i64>,
    workers: HashMap<WorkerId, i64>,
    /// Turns of claims, for fairness among priorities when few are asked for.
    pub(super) turns: usize,
    revision: Option<u64>,
    last_email: Option<i64>,
    last_event: Option<i64>,
    counts: HashMap<(i64, i64, i64, i64), i64>,
    tags: HashMap<(i64, i64, String), i64>,
    hours: HashMap<(i64, i64), (i64, i64)>,
}

impl Memory {
    /// Forgets what holds for one transaction only.
    pub(super) fn begin(&mut self) {
        self.revision = None;
        self.last_email = None;
        self.last_event = None;
        self.counts.clear();
        self.tags.clear();
        self.hours.clear();
    }

    /// Forgets everything: what was learnt in a transaction that was rolled back may not be so.
    pub(super) fn forget(&mut self) {
        *self = Self { turns: self.turns, ..Self::default() };
    }
}

/// Where an email is counted.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) client: i64,
    pub(super) domain: i64,
    pub(super) requested_at: i64,
}

/// An email's chain of events, as its row holds it.
#[derive(Clone, Copy, Default)]
pub(super) struct Chain {
    pub(super) length: i64,
    pub(super) last: i64,
}

impl Tx<'_> {
    /// A client's number.
    pub(super) fn client(&mut self, id: ClientId) -> Result<i64, Trouble> {
        if let Some(number) = self.memory.clients.get(&id) {
            return Ok(*number);
        }
        let number = client_number(self.connection, id)?.ok_or(StoreError::NotFound)?;
        self.memory.clients.insert(id, number);
        Ok(number)
    }

    /// The number of a sending domain's name, given to it now if it has none.
    pub(super) fn domain(&mut self, name: &str) -> Result<i64, Trouble> {
        if let Some(number) = self.memory.domains.get(name) {
            return Ok(*number);
        }
        let found = self
            .connection
            .prepare_cached("SELECT n FROM domain_names WHERE name = ?1")?
            .query_row([name], |row| row.get(0))
            .optional()?;
        let number = if let Some(number) = found {
            number
        } else {
            self.connection.execute("INSERT INTO domain_names (name) VALUES (?1)", [name])?;
            self.connection.last_insert_rowid()
        };
        self.memory.domains.insert(name.to_owned(), number);
        Ok(number)
    }

    /// A worker's number. One that has not said anything yet is written down as heard of `now`.
    pub(super) fn worker(&mut self, id: WorkerId, now: Timestamp) -> Result<i64, Trouble> {
        if let Some(number) = self.memory.workers.get(&id) {
            return Ok(*number);
        }
        let number = if let Some(number) = worker_number(self.connection, id)? {
            number
        } else {
            self.connection.execute(
                "INSERT INTO workers (id, node, pid, roles, host, started_at, last_seen, is_dead)
                 VALUES (?1, '', 0, '', '', ?2, ?2, 0)",
                params![id.as_bytes(), now.millis()],
            )?;
            self.connection.last_insert_rowid()
        };
        self.memory.workers.insert(id, number);
        Ok(number)
    }

    /// Forgets workers' numbers, since some were struck off.
    pub(super) fn forget_workers(&mut self) {
        self.memory.workers.clear();
    }

    /// The installation's revision.
    pub(super) fn revision(&mut self) -> Result<u64, Trouble> {
        if let Some(revision) = self.memory.revision {
            return Ok(revision);
        }
        let revision = self
            .connection
            .prepare_cached("SELECT revision FROM installation")?
            .query_row([], |row| row.get(0))?;
        self.memory.revision = Some(revision);
        Ok(revision)
    }

    /// The number of the next email.
    pub(super) fn next_email(&mut self) -> Result<i64, Trouble> {
        let last = match self.memory.last_email {
            Some(last) => last,
            None => highest(self.connection, "SELECT max(n) FROM emails")?,
        };
        self.memory.last_email = Some(last + 1);
        Ok(last + 1)
    }

    /// Appends an event to an email's chain.
    pub(super) fn append(&mut self, email: i64, chain: Chain, event: &NewEvent) -> Result<Chain, Trouble> {
        let last = match self.memory.last_event {
            Some(last) => last,
            None => highest(self.connection, "SELECT max(id) FROM events")?,
        };
        let (id, length) = (last + 1, chain.length + 1);
        self.connection
            .prepare_cached(
                "INSERT INTO events (id, n, previous, seq, kind, at, recipient, attempt, detail)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                id,
                email,
                (chain.length > 0).then_some(chain.last),
                length,
                event_code(event.kind),
                event.at.millis(),
                event.recipient.map(|index| index as i64),
                event.attempt,
                event.detail,
            ])?;
        self.memory.last_event = Some(id);
        Ok(Chain { length, last: id })
    }

    /// Counts a new email.
    pub(super) fn count_new(&mut self, n: i64, place: Place, status: Status, tags: &[String]) {
        self.count(place, status, 1);
        let hour = place.requested_at.div_euclid(HOUR_MS);
        let range = self.memory.hours.entry((place.client, hour)).or_insert((n, n));
        range.1 = n;
        for tag in tags {
            *self.memory.tags.entry((place.client, hour, tag.clone())).or_default() += 1;
        }
    }

    /// Counts an email that is removed.
    pub(super) fn count_gone(&mut self, place: Place, status: Status, tags: &[String]) {
        self.count(place, status, -1);
        let hour = place.requested_at.div_euclid(HOUR_MS);
        for tag in tags {
            *self.memory.tags.entry((place.client, hour, tag.clone())).or_default() -= 1;
        }
    }

    /// Counts a change of status.
    pub(super) fn count_move(&mut self, place: Place, from: Status, to: Status) {
        if from != to {
            self.count(place, from, -1);
            self.count(place, to, 1);
        }
    }

    fn count(&mut self, place: Place, status: Status, change: i64) {
        let hour = place.requested_at.div_euclid(HOUR_MS);
        let key = (place.client, hour, place.domain, status_code(status));
        *self.memory.counts.entry(key).or_default() += change;
    }

    /// Writes the counts that the transaction's operations changed; to be called once, before the commit.
    pub(super) fn flush_counts(&mut self) -> Result<(), Trouble> {
        for ((client, hour, domain, status), change) in self.memory.counts.drain() {
            if change != 0 {
                self.connection
                    .prepare_cached(
                        "INSERT INTO counts VALUES (?1, ?2, ?3, ?4, ?5)
                         ON CONFLICT DO UPDATE SET amount = amount + excluded.amount",
                    )?
                    .execute(params![client, hour, domain, status, change])?;
            }
        }
        for ((client, hour, tag), change) in self.memory.tags.drain() {
            self.connection
                .prepare_cached(
                    "INSERT INTO tag_counts VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT DO UPDATE SET amount = amount + excluded.amount",
                )?
                .execute(params![client, hour, tag, change])?;
        }
        for ((client, hour), (first, last)) in self.memory.hours.drain() {
            self.connection
                .prepare_cached(
                    "INSERT INTO hours VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT DO UPDATE SET last_n = excluded.last_n",
                )?
                .execute(params![client, hour, first, last])?;
        }
        Ok(())
    }
}

fn highest(connection: &Connection, sql: &str) -> Result<i64, Trouble> {
    let highest: Option<i64> = connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    Ok(highest.unwrap_or(0))
}

/// A client's number; `None` without such a client.
pub(super) fn client_number(connection: &Connection, id: ClientId) -> Result<Option<i64>, Trouble> {
    Ok(connection
        .prepare_cached("SELECT n FROM clients WHERE id = ?1")?
        .query_row([id.as_bytes()], |row| row.get(0))
        .optional()?)
}

/// A worker's number; `None` when nobody heard of it.
pub(super) fn worker_number(connection: &Connection, id: WorkerId) -> Result<Option<i64>, Trouble> {
    Ok(connection
        .prepare_cached("SELECT n FROM workers WHERE id = ?1")?
        .query_row([id.as_bytes()], |row| row.get(0))
        .optional()?)
}
