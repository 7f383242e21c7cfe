//! The events of a client in the order they were written, for streams and pull feeds.

use crate::{Store, StoreError, on_engine};
use posthaste_model::event::Event;
use posthaste_model::{ClientId, Status};
use std::collections::BTreeMap;

/// An event with what a reader wants to know of its email.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientEvent {
    /// The event.
    pub event: Event,
    /// The email's status now.
    pub status: Status,
    /// Attempts at the email so far.
    pub attempts: u32,
    /// The recipient it concerns; `None`: all of them.
    pub recipient: Option<String>,
    /// The email's `Message-ID` without brackets.
    pub message_id: String,
    /// The email's tags.
    pub tags: Vec<String>,
    /// The application's own data.
    pub metadata: BTreeMap<String, serde_json::Value>,
}

/// A page of a client's events.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientEvents {
    /// Oldest first.
    pub events: Vec<ClientEvent>,
    /// Where the next page begins; it may lie behind the last event of this one.
    pub after: i64,
}

impl Store {
    /// The number of the newest event in the installation; 0 when there is none.
    pub async fn last_event_id(&self) -> Result<i64, StoreError> {
        on_engine!(self, engine => engine.last_event_id().await)
    }

    /// Up to `limit` of a client's events behind number `after`. A page may be short or empty although more follow:
    /// go on behind `ClientEvents::after` until it stays the same.
    pub async fn events_after(
        &self,
        client_id: ClientId,
        after: i64,
        limit: usize,
    ) -> Result<ClientEvents, StoreError> {
        on_engine!(self, engine => engine.events_after(client_id, after, limit).await)
    }
}
