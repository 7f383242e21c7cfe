//! The inbox transport's messages.

use crate::configuration::Actor;
use crate::{Store, StoreError, on_engine};
use posthaste_model::inbox::InboxMessage;
use posthaste_model::{ClientId, InboxId, Timestamp};

/// Which messages; all given conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InboxFilter {
    /// Of this client; `None`: of all (for operators).
    pub client: Option<ClientId>,
    /// This text stands in subject, sender or recipients, in any case (ASCII).
    pub q: Option<String>,
    /// Delivered to this address, in any case.
    pub to: Option<String>,
    /// Received at or after.
    pub after: Option<Timestamp>,
    /// Kept behind this message, in the order of the list.
    pub behind: Option<InboxId>,
}

/// Which messages to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InboxSelection {
    /// These.
    Ids(Vec<InboxId>),
    /// All of the client's, or of the installation.
    All,
}

/// What the audit calls a deletion.
pub(crate) const DELETED: &str = "inbox.delete";

/// The deletion of all messages in the words of the audit: its target and its detail.
pub(crate) fn all_deleted(client: Option<ClientId>, count: u64) -> (String, String) {
    let target = client.map_or_else(|| "all".to_owned(), |id| id.to_string());
    (target, format!("{count} message{}", if count == 1 { "" } else { "s" }))
}

/// A client that has messages in the inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxClient {
    /// Its id.
    pub id: ClientId,
    /// Its name.
    pub name: String,
    /// How many messages.
    pub messages: u64,
}

impl Store {
    /// Keeps a message; keeping the same id again changes nothing.
    pub async fn inbox_add(&self, message: InboxMessage) -> Result<(), StoreError> {
        on_engine!(self, engine => engine.inbox_add(message).await)
    }

    /// Messages, newest first, before message `before`.
    pub async fn inbox_list(
        &self,
        filter: &InboxFilter,
        before: Option<InboxId>,
        limit: usize,
    ) -> Result<Vec<InboxMessage>, StoreError> {
        on_engine!(self, engine => engine.inbox_list(filter.clone(), before, limit).await)
    }

    /// A message of a client, or of any when none is given.
    pub async fn inbox_get(
        &self,
        client: Option<ClientId>,
        id: InboxId,
    ) -> Result<Option<InboxMessage>, StoreError> {
        on_engine!(self, engine => engine.inbox_get(client, id).await)
    }

    /// Deletes messages; how many. What a person deletes, the `actor`, stands in the audit: each message by its id, or
    /// that all of a client's (by its id), or all there were, are gone, and how many.
    pub async fn inbox_delete(
        &self,
        client: Option<ClientId>,
        which: InboxSelection,
        actor: Option<&Actor>,
    ) -> Result<u64, StoreError> {
        on_engine!(self, engine => engine.inbox_delete(client, which, actor.cloned()).await)
    }

    /// The clients that have messages, by name; only this one when one is given.
    pub async fn inbox_clients(&self, client: Option<ClientId>) -> Result<Vec<InboxClient>, StoreError> {
        on_engine!(self, engine => engine.inbox_clients(client).await)
    }

    /// How many messages a client has, or all have.
    pub async fn inbox_count(&self, client: Option<ClientId>) -> Result<u64, StoreError> {
        on_engine!(self, engine => engine.inbox_count(client).await)
    }
}
