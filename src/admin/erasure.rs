//! Erasing a person: their address, what was written to them, the files nobody else got.

use super::{Admin, invalid, refused};
use posthaste_model::email::BlobHash;
use posthaste_model::refusal::{FaultCode, Refusal};
use posthaste_model::{Address, Timestamp};
use std::time::Duration;

/// A file that was asked for this recently may belong to an email whose row is just being committed.
const IN_USE: Duration = Duration::from_secs(300);

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Emails in which the address was replaced.
    pub emails: u64,
    /// Contents removed with it.
    pub bodies: u64,
    /// Deliveries that were still to be tried and now never will be.
    pub cancelled: u64,
    /// Timeline events whose text was removed.
    pub events: u64,
    /// Messages removed from the inbox.
    pub inbox_messages: u64,
    /// Files removed.
    pub files: u64,
}

impl Admin {
    /// Erases a recipient from all emails of the installation.
    pub async fn erase_recipient(&self, address: &str) -> Result<Erased, Refusal> {
        let address = Address::parse(address)
            .map_err(|error| invalid("address", FaultCode::InvalidEmail, format!("the address {error}")))?;
        let now = self.clock.now();
        let report = self.store.erase_recipient(None, address.canonical(), now).await.map_err(refused)?;
        self.store.erase_eo_address(address.canonical()).await.map_err(refused)?;
        let mut files = 0;
        let in_use = self.clock.now().minus(IN_USE);
        for hash in &report.blobs {
            files += u64::from(self.remove_unused(hash, in_use).await?);
        }
        for hash in &report.messages {
            files += u64::from(self.remove_unused(hash, Timestamp::from_millis(i64::MAX)).await?);
        }
        Ok(Erased {
            emails: report.emails,
            bodies: report.bodies,
            cancelled: report.cancelled,
            events: report.events,
            inbox_messages: report.inbox_messages,
            files,
        })
    }

    /// Removes a file that nothing names any more; one that was put at or after `before` stays.
    async fn remove_unused(&self, hash: &BlobHash, before: Timestamp) -> Result<bool, Refusal> {
        if self.store.blob_references(hash).await.map_err(refused)? > 0 {
            return Ok(false);
        }
        match self.blobs.remove(hash, before).await {
            Ok(removed) => Ok(removed),
            Err(error) => {
                // The person's data is gone from the store; the file goes with the next run of retention.
                tracing::warn!(%error, "a file of an erased recipient could not be removed");
                Ok(false)
            }
        }
    }
}
