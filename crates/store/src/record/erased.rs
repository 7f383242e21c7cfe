//! What erasure leaves of an email's head and of its recipients' states, the same for every engine.

use super::{damaged, mailbox};
use crate::StoreError;
use posthaste_model::email::{BlobHash, Content, RecipientState};
use posthaste_model::{RecipientStatus, Timestamp};
use serde_json::Value;

/// What stands where the address stood (RFC 2606: never a real domain).
const ERASED: &str = "erased@erased.invalid";

/// The message that an email was handed in as, where this content is one.
pub(crate) fn raw_blob(content: &[u8]) -> Option<BlobHash> {
    match serde_json::from_slice(content) {
        Ok(Content::Raw { sha256, .. }) => Some(sha256),
        _ => None,
    }
}

/// A head without an address.
pub(crate) struct ErasedHead {
    head: Value,
    /// The indexes of the recipients it concerned.
    pub erased: Vec<usize>,
}

/// Puts something harmless where the address (canonical) stood, and removes what else may quote it: the decisions, and
/// an idempotency key or a correlation id that does.
pub(crate) fn erase_head(head: &[u8], address: &str) -> Result<ErasedHead, StoreError> {
    let mut head: Value = serde_json::from_slice(head).map_err(|_| damaged("head of an email"))?;
    let mut erased = Vec::new();
    let recipients = head["to"].as_array_mut().ok_or_else(|| damaged("head of an email"))?;
    for (index, recipient) in recipients.iter_mut().enumerate() {
        let text = recipient[1].as_str().ok_or_else(|| damaged("head of an email"))?;
        if mailbox(text)?.address.canonical() == address {
            recipient[1] = Value::from(ERASED);
            erased.push(index);
        }
    }
    if let Some(reply_to) = head.get_mut("reply_to").and_then(Value::as_array_mut) {
        reply_to.retain(|text| {
            let parsed = text.as_str().and_then(|text| mailbox(text).ok());
            parsed.is_none_or(|mailbox| mailbox.address.canonical() != address)
        });
    }
    // Clients make their keys and correlation ids of what goes to whom.
    let quotes = |text: &Value| text.as_str().is_some_and(|text| text.to_lowercase().contains(address));
    if quotes(&head["key"]) {
        head["key"] = Value::Null;
    }
    if quotes(&head["correlation"]) {
        head["correlation"] = Value::from("erased");
    }
    head["decisions"] = Value::Array(Vec::new());
    Ok(ErasedHead { head, erased })
}

impl ErasedHead {
    /// Removes all that the content said of the person, for when the content goes.
    pub(crate) fn empty(&mut self) {
        self.head["subject"] = Value::from("");
        self.head["metadata"] = Value::Object(serde_json::Map::new());
        self.head["attachments"] = Value::Array(Vec::new());
    }

    /// The head as it is kept.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.head.to_string().into_bytes()
    }
}

/// Withdraws the erased recipients that were still to be tried; how many.
pub(crate) fn withdraw(states: &mut [RecipientState], erased: &[usize], now: Timestamp) -> u64 {
    let mut withdrawn = 0;
    for index in erased {
        let Some(state) = states.get_mut(*index) else { continue };
        state.last_reply = None;
        if state.status.is_open() {
            state.status = RecipientStatus::Cancelled;
            state.updated_at = now;
            withdrawn += 1;
        }
    }
    withdrawn
}
