//! What one email may be at most.

use crate::base::vault::Vault;
use std::collections::BTreeSet;
use std::time::Duration;

/// Limits on size and number.
#[derive(Clone, Debug)]
pub struct IntakeLimits {
    /// Recipients over to, cc and bcc.
    pub recipients: usize,
    /// Emails in one batch.
    pub batch: usize,
    /// One attachment, decoded, in bytes.
    pub attachment_bytes: u64,
    /// All attachments of one email together, decoded, in bytes.
    pub attachments_bytes: u64,
    /// Media types that may be attached, lower case.
    pub allowed_types: BTreeSet<String>,
    /// Larger files are kept and linked to instead of carried.
    pub links: Option<LinkRule>,
    /// How links to unsubscribe are made, where this installation can be reached.
    pub unsubscribe: Option<UnsubscribeRule>,
    /// Whether the types bind every surface, not only the Emails API.
    pub types_everywhere: bool,
}

/// How links to unsubscribe are made.
#[derive(Clone, Debug)]
pub struct UnsubscribeRule {
    /// Where this installation is reached, without a slash at its end.
    pub base_url: String,
    /// Signs the links.
    pub vault: Vault,
}

/// When a file is linked to, and how.
#[derive(Clone, Debug)]
pub struct LinkRule {
    /// Files of more bytes are linked to, unless they stand inside the message.
    pub above_bytes: u64,
    /// Where this installation is reached, without a slash at its end.
    pub base_url: String,
    /// How long a link holds: as long as files are kept, where the client does not say otherwise.
    pub lifetime: Duration,
    /// Signs the links.
    pub vault: Vault,
}

/// Subject, in characters: what fits one header line of RFC 5322 2.1.1 unfolded.
pub(super) const SUBJECT_CHARS: usize = 998;
/// Tags of one email.
pub(super) const TAGS: usize = 20;
/// Characters of one tag.
pub(super) const TAG_CHARS: usize = 100;
/// Custom headers of one email.
pub(super) const HEADERS: usize = 50;
/// Reply addresses of one email.
pub(super) const REPLY_TO: usize = 10;
/// Attachments of one email.
pub(super) const ATTACHMENTS: usize = 100;
/// Metadata as JSON text, in bytes.
pub(super) const METADATA_BYTES: usize = 16 * 1024;
/// Characters of one metadata key.
pub(super) const METADATA_KEY_CHARS: usize = 100;
/// HTML or text body before rendering, in bytes.
pub(super) const BODY_BYTES: usize = 10 * 1024 * 1024;
/// How far ahead an email may be scheduled.
pub(super) const SCHEDULE_AHEAD: Duration = Duration::from_secs(30 * 86_400);
/// How far back `send_at` may lie: clocks differ, and a request takes time.
pub(super) const SCHEDULE_BACK: Duration = Duration::from_secs(300);
