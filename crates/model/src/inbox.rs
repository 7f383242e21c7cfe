//! A message in the inbox transport: mail kept on the machine instead of sent.

use crate::email::BlobHash;
use crate::{ClientId, EmailId, InboxId, Timestamp};

/// One kept message; its source lies in the blob store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxMessage {
    /// Its id.
    pub id: InboxId,
    /// Whose mail it is.
    pub client_id: ClientId,
    /// The email it was sent as.
    pub email_id: EmailId,
    /// The envelope sender.
    pub mail_from: String,
    /// The envelope recipients of this delivery.
    pub recipients: Vec<String>,
    /// The subject.
    pub subject: String,
    /// `From` in RFC 5322 form.
    pub from: String,
    /// Size of the source in bytes.
    pub size: u64,
    /// The source.
    pub sha256: BlobHash,
    /// When it came in.
    pub received_at: Timestamp,
}
