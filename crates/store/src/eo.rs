//! Organizers' events and the reports sent of them. What became of a report is what became of its email.

use crate::configuration::Actor;
use crate::{Store, StoreError, on_engine};
use posthaste_model::eo::{EoDelivery, EoEvent, EoOutcome};
use posthaste_model::{Status, Timestamp, UserId};
use std::time::Duration;

/// Which deliveries; all given conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EoFilter {
    /// Of events of this organizer.
    pub owner_id: Option<UserId>,
    /// Of this event.
    pub event_id: Option<i64>,
    /// With an email of one of these statuses; empty: any.
    pub statuses: Vec<Status>,
    /// Asked for at or after.
    pub from: Option<Timestamp>,
    /// Asked for before.
    pub to: Option<Timestamp>,
    /// Of a lower number.
    pub before_id: Option<i64>,
    /// Only those whose organizer was told, and has not put it away.
    pub is_noticed: bool,
}

impl EoFilter {
    /// The statuses' numbers as `,1,7,`, for a search in text; a delivery whose email is not written yet is queued.
    pub(crate) fn status_list(&self) -> Option<String> {
        let codes = self.statuses.iter().map(|status| format!("{},", crate::record::status_code(*status)));
        (!self.statuses.is_empty()).then(|| format!(",{}", codes.collect::<String>()))
    }
}

/// A delivery as it is read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EoDeliveryRecord {
    /// The delivery.
    pub delivery: EoDelivery,
    /// The event's name.
    pub event_name: String,
    /// The event's organizer.
    pub owner_id: UserId,
    /// What became of its email; `None`: the email is not written yet, or is no longer kept.
    pub outcome: Option<EoOutcome>,
}

/// What came of writing a delivery down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EoBegun {
    /// It is new, of this number.
    New(i64),
    /// The same request wrote this one down before. Nothing was stored.
    Found(Box<EoDelivery>),
    /// The key was used with another request. Nothing was stored.
    KeyReused,
}

impl EoBegun {
    /// What a delivery under the key of `asked` means for it.
    pub(crate) fn over(found: EoDelivery, asked: &EoDelivery) -> Self {
        if found.key == asked.key { Self::Found(Box::new(found)) } else { Self::KeyReused }
    }
}

/// Deliveries that were asked for in one period and have one status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EoTally {
    /// When the period begins.
    pub begin: Timestamp,
    /// The status of their emails.
    pub status: Status,
    /// How many.
    pub count: u64,
}

impl Store {
    /// Adds an event; its number. `NotFound` without the client or the owner.
    pub async fn create_eo_event(&self, event: EoEvent, actor: &Actor) -> Result<i64, StoreError> {
        on_engine!(self, engine => engine.create_eo_event(event, actor.clone()).await)
    }

    /// Takes an event away; `NotFound` without it, `Conflict` when a report of it was made.
    pub async fn remove_eo_event(&self, id: i64, actor: &Actor) -> Result<(), StoreError> {
        on_engine!(self, engine => engine.remove_eo_event(id, actor.clone()).await)
    }

    /// An event by number.
    pub async fn eo_event(&self, id: i64) -> Result<Option<EoEvent>, StoreError> {
        on_engine!(self, engine => engine.eo_event(id).await)
    }

    /// The events of one organizer or of all, oldest first.
    pub async fn eo_events(&self, owner_id: Option<UserId>) -> Result<Vec<EoEvent>, StoreError> {
        on_engine!(self, engine => engine.eo_events(owner_id).await)
    }

    /// Writes down that a report was asked for, unless the client has a delivery under the same key that was asked for
    /// at or after `since`. Two nodes that do so at once may both write one down. `NotFound` without the event.
    pub async fn begin_eo_delivery(
        &self,
        delivery: EoDelivery,
        since: Timestamp,
    ) -> Result<EoBegun, StoreError> {
        on_engine!(self, engine => engine.begin_eo_delivery(delivery, since).await)
    }

    /// Takes a delivery back whose email was refused; one that has its email stays.
    pub async fn delete_eo_delivery(&self, id: i64) -> Result<(), StoreError> {
        on_engine!(self, engine => engine.delete_eo_delivery(id).await)
    }

    /// A delivery by number.
    pub async fn eo_delivery(&self, id: i64) -> Result<Option<EoDeliveryRecord>, StoreError> {
        on_engine!(self, engine => engine.eo_delivery(id).await)
    }

    /// Deliveries, newest first.
    pub async fn eo_deliveries(
        &self,
        filter: &EoFilter,
        limit: usize,
    ) -> Result<Vec<EoDeliveryRecord>, StoreError> {
        on_engine!(self, engine => engine.eo_deliveries(filter.clone(), limit).await)
    }

    /// How many deliveries the filter finds, by the period of length `period` in which they were asked for, counted from
    /// the beginning of 1970, and by status; oldest first. Periods without any are left out.
    pub async fn eo_tally(&self, filter: &EoFilter, period: Duration) -> Result<Vec<EoTally>, StoreError> {
        on_engine!(self, engine => engine.eo_tally(filter.clone(), period).await)
    }

    /// Deliveries asked for from `from` until before `to` whose organizer was not told of them, and whose email is
    /// not out: oldest first.
    pub async fn eo_overdue(
        &self,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> Result<Vec<EoDeliveryRecord>, StoreError> {
        on_engine!(self, engine => engine.eo_overdue(from, to, limit).await)
    }

    /// Deliveries asked for from `from` until before `to` whose email was never written: a process died in between.
    pub async fn eo_unwritten(
        &self,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> Result<Vec<EoDeliveryRecord>, StoreError> {
        on_engine!(self, engine => engine.eo_unwritten(from, to, limit).await)
    }

    /// Notes that the organizer is told; `false` when another did before.
    pub async fn notice_eo_delivery(&self, id: i64, now: Timestamp) -> Result<bool, StoreError> {
        on_engine!(self, engine => engine.notice_eo_delivery(id, now).await)
    }

    /// Notes that the organizer put the notice away.
    pub async fn dismiss_eo_notice(&self, id: i64, now: Timestamp) -> Result<(), StoreError> {
        on_engine!(self, engine => engine.dismiss_eo_notice(id, now).await)
    }

    /// Forgets deliveries asked for before `before`; how many.
    pub async fn drop_eo_deliveries(&self, before: Timestamp) -> Result<u64, StoreError> {
        on_engine!(self, engine => engine.drop_eo_deliveries(before).await)
    }

    /// Takes an address (lower case) out of the deliveries; how many named it.
    pub async fn erase_eo_address(&self, address: &str) -> Result<u64, StoreError> {
        on_engine!(self, engine => engine.erase_eo_address(address.to_owned()).await)
    }
}
