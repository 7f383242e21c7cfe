//! Counts are kept, not counted: what a transaction changes is summed up here and written by one statement at its end.
//!
//! Each connection adds to a slot of its own (of 32), so that commits side by side rarely wait for each other; rows are
//! written in the order of their key, so that two that do cannot wait for each other in a ring.

use super::session::Session;
use super::trouble::Trouble;
use crate::emails::HOUR_MS;
use crate::record::status_code;
use posthaste_model::Status;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Where an email is counted.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) client_id: Uuid,
    pub(super) domain: &'a str,
    pub(super) requested_at: i64,
}

impl Place<'_> {
    fn hour(&self) -> i32 {
        i32::try_from(self.requested_at.div_euclid(HOUR_MS)).unwrap_or(i32::MAX)
    }
}

/// Changes of counts.
#[derive(Default)]
pub(super) struct Counts {
    emails: BTreeMap<(Uuid, i32, String, i16), i64>,
    tags: BTreeMap<(Uuid, i32, String), i64>,
}

impl Counts {
    /// Counts `change` emails with a status, and their tags.
    pub(super) fn add(&mut self, place: Place<'_>, status: Status, tags: &[String], change: i64) {
        self.count(place, status, change);
        for tag in tags {
            *self.tags.entry((place.client_id, place.hour(), tag.clone())).or_default() += change;
        }
    }

    /// Counts a change of status.
    pub(super) fn moved(&mut self, place: Place<'_>, from: Status, to: Status) {
        if from != to {
            self.count(place, from, -1);
            self.count(place, to, 1);
        }
    }

    fn count(&mut self, place: Place<'_>, status: Status, change: i64) {
        let key = (place.client_id, place.hour(), place.domain.to_owned(), status_code(status) as i16);
        *self.emails.entry(key).or_default() += change;
    }

    /// Writes them; to be called once, last before the commit, since other connections may have to wait for the rows.
    pub(super) async fn flush(&self, db: &Session) -> Result<(), Trouble> {
        futures_util::future::try_join(self.flush_emails(db), self.flush_tags(db)).await?;
        Ok(())
    }

    async fn flush_emails(&self, db: &Session) -> Result<(), Trouble> {
        let changed: Vec<_> = self.emails.iter().filter(|(_, change)| **change != 0).collect();
        if changed.is_empty() {
            return Ok(());
        }
        let client_ids: Vec<Uuid> = changed.iter().map(|((client_id, ..), _)| *client_id).collect();
        let hours: Vec<i32> = changed.iter().map(|((_, hour, ..), _)| *hour).collect();
        let domains: Vec<&str> = changed.iter().map(|((_, _, domain, _), _)| domain.as_str()).collect();
        let statuses: Vec<i16> = changed.iter().map(|((.., status), _)| *status).collect();
        let amounts: Vec<i64> = changed.iter().map(|(_, change)| **change).collect();
        db.run(
            "INSERT INTO counts AS c (client_id, hour, domain, status, slot, amount)
             SELECT u.client_id, u.hour, u.domain, u.status, pg_backend_pid() % 32, u.amount
             FROM unnest($1::uuid[], $2::int4[], $3::text[], $4::int2[], $5::int8[])
                AS u(client_id, hour, domain, status, amount)
             ON CONFLICT (client_id, hour, domain, status, slot)
             DO UPDATE SET amount = c.amount + excluded.amount",
            &[&client_ids, &hours, &domains, &statuses, &amounts],
        )
        .await?;
        Ok(())
    }

    async fn flush_tags(&self, db: &Session) -> Result<(), Trouble> {
        let changed: Vec<_> = self.tags.iter().filter(|(_, change)| **change != 0).collect();
        if changed.is_empty() {
            return Ok(());
        }
        let client_ids: Vec<Uuid> = changed.iter().map(|((client_id, ..), _)| *client_id).collect();
        let hours: Vec<i32> = changed.iter().map(|((_, hour, _), _)| *hour).collect();
        let tags: Vec<&str> = changed.iter().map(|((.., tag), _)| tag.as_str()).collect();
        let amounts: Vec<i64> = changed.iter().map(|(_, change)| **change).collect();
        db.run(
            "INSERT INTO tag_counts AS c (client_id, hour, tag, slot, amount)
             SELECT u.client_id, u.hour, u.tag, pg_backend_pid() % 32, u.amount
             FROM unnest($1::uuid[], $2::int4[], $3::text[], $4::int8[]) AS u(client_id, hour, tag, amount)
             ON CONFLICT (client_id, hour, tag, slot) DO UPDATE SET amount = c.amount + excluded.amount",
            &[&client_ids, &hours, &tags, &amounts],
        )
        .await?;
        Ok(())
    }
}
