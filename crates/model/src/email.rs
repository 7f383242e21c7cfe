//! One message accepted for one envelope, as intake makes it. What may change later (status, recipients' outcomes,
//! attempts) stands in `attempt` and `status`; what stands here never changes.

use crate::decision::Decision;
use crate::octets::Octets;
use crate::status::words;
use crate::{ClientId, CredentialId, EmailId, FailureCode, Mailbox, RecipientStatus, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

words!(
    /// The door an email came in by; routes may ask for it.
    Source {
        /// Emails API.
        Emails = "emails",
        /// Aegis API.
        Aegis = "aegis",
        /// Mail Proxy API.
        MailProxy = "mail_proxy",
        /// OAuth API.
        OAuth = "oauth",
        /// EO report.
        EoReport = "eo_report",
        /// SMTP ingress.
        Smtp = "smtp",
        /// The command line or a page.
        Operator = "operator",
    }
);

words!(
    /// How a recipient is addressed.
    RecipientKind {
        /// Named in `To`.
        To = "to",
        /// Named in `Cc`.
        Cc = "cc",
        /// Named nowhere in the message.
        Bcc = "bcc",
    }
);

/// 1 (highest) to 5; due mail of a higher priority goes first, and no priority starves.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(transparent)]
pub struct Priority(u8);

impl Priority {
    /// What an email has unless it asks for another.
    pub const DEFAULT: Self = Self(3);

    /// A priority of 1 to 5; `None` outside.
    pub const fn new(value: i64) -> Option<Self> {
        if 1 <= value && value <= 5 { Some(Self(value as u8)) } else { None }
    }

    /// The number, 1 to 5.
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// One recipient as accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// How it is addressed.
    pub kind: RecipientKind,
    /// Name and address.
    pub mailbox: Mailbox,
    /// `Some` when the address stood on the suppression list at accept: it is never attempted.
    pub suppressed: Option<String>,
}

/// A file that goes with an email; its bytes lie in the blob store under their hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Safe file name, no path.
    pub filename: String,
    /// Media type.
    pub mime: String,
    /// Size in bytes, decoded.
    pub size: u64,
    /// SHA-256 of the bytes: the blob's name.
    pub sha256: BlobHash,
    /// `Content-ID` without brackets, for inline use.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub content_id: Option<String>,
    /// Shown inside the message rather than beside it.
    #[serde(default)]
    pub inline: bool,
    /// The message carries this signed, expiring link instead of the file.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub link: Option<String>,
}

/// SHA-256 of a blob's bytes, shown in lower-case hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobHash(pub [u8; 32]);

impl BlobHash {
    /// The hash of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
        let mut out = [0; 32];
        out.copy_from_slice(digest.as_ref());
        Self(out)
    }

    /// Reads 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() != 64 {
            return None;
        }
        let digit = |b: u8| match b {
            b'0'..=b'9' => Some(b - b'0'),
            b'a'..=b'f' => Some(b - b'a' + 10),
            _ => None,
        };
        let mut out = [0; 32];
        for (i, pair) in bytes.chunks_exact(2).enumerate() {
            out[i] = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(out))
    }
}

impl std::fmt::Display for BlobHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl std::fmt::Debug for BlobHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl Serialize for BlobHash {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BlobHash {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a SHA-256 in hexadecimal"))
    }
}

/// The version of a template that an email was accepted with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateRef {
    /// The template's code.
    pub code: String,
    /// The version, from 1.
    pub version: u32,
}

/// What the message says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Content {
    /// Parts to put together at delivery.
    Parts(Parts),
    /// A finished message, taken over SMTP or out of the inbox, kept byte for byte in the blob store.
    Raw {
        /// The blob that holds it.
        sha256: BlobHash,
        /// Size in bytes.
        size: u64,
        /// The transport that a person released it to from the inbox; `None`: as the routes say.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        released_to: Option<String>,
    },
    /// A finished message taken over SMTP that is short enough to stand in the record itself.
    Whole {
        /// The message, byte for byte.
        message: Octets,
    },
}

/// The parts of a message before rendering.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Parts {
    /// Inline subject as given; `None`: the template's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub subject: Option<String>,
    /// Inline HTML as given; wins over the template's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub html: Option<String>,
    /// Inline text as given; wins over the template's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub text: Option<String>,
    /// The template and its version.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub template: Option<TemplateRef>,
    /// Values for `{{ }}`.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty", default)]
    pub variables: serde_json::Map<String, serde_json::Value>,
    /// Whether `{{ }}` in the inline parts is rendered (Emails API) or literal (the other surfaces).
    #[serde(default)]
    pub templated: bool,
    /// Custom headers, already checked.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub headers: Vec<(String, String)>,
}

/// One accepted email. Recipients keep their order: a recipient's index names it in attempts and events.
#[derive(Clone, Debug)]
pub struct Email {
    /// Its id on the Emails API; other surfaces derive theirs from it.
    pub id: EmailId,
    /// The tenant it belongs to.
    pub client_id: ClientId,
    /// The credential that handed it in; `None` for the command line.
    pub credential_id: Option<CredentialId>,
    /// The door it came in by.
    pub source: Source,
    /// Handed in with a `test` key: never leaves the machine.
    pub test_mode: bool,
    /// The sending domain (A-label form, lower case).
    pub domain: String,
    /// Sender, in the message and on the envelope.
    pub from: Mailbox,
    /// Everyone it goes to, in the order to, cc, bcc.
    pub recipients: Vec<Recipient>,
    /// `Reply-To`.
    pub reply_to: Vec<Mailbox>,
    /// The subject as rendered at accept.
    pub subject: String,
    /// The message's content.
    pub content: Content,
    /// Files that go with it.
    pub attachments: Vec<Attachment>,
    /// Labels for filters, routes and statistics.
    pub tags: Vec<String>,
    /// The application's own data, returned with status and events.
    pub metadata: BTreeMap<String, serde_json::Value>,
    /// The EO event it belongs to.
    pub event_id: Option<i64>,
    /// 1 (highest) to 5.
    pub priority: Priority,
    /// When it was accepted.
    pub requested_at: Timestamp,
    /// When it may go out, if later than at once.
    pub send_at: Option<Timestamp>,
    /// The key given with it.
    pub idempotency_key: Option<String>,
    /// The id that joins request, log lines, attempts and events.
    pub correlation_id: String,
    /// `Message-ID` without brackets, the same on every attempt.
    pub message_id: String,
    /// The selectors of the DKIM keys that were active at acceptance, oldest first: these sign every attempt, so that
    /// the bytes stay the same when keys change. `None`: written down nowhere, signed by what is active now.
    pub signed_by: Option<Vec<String>>,
    /// The email of which this is a resend.
    pub resent_from: Option<EmailId>,
    /// The decisions taken at accept, for explain.
    pub decisions: Vec<Decision>,
}

impl Email {
    /// Roughly how many bytes its message has on the way, with the files that travel in it.
    pub fn message_bytes(&self) -> u64 {
        let files = self.attachments.iter().filter(|attachment| attachment.link.is_none());
        let files: u64 = files.map(|attachment| attachment.size).sum();
        let content = match &self.content {
            Content::Raw { size, .. } => *size,
            Content::Parts(_) | Content::Whole { .. } => self.body_bytes() as u64,
        };
        // Base64 makes four octets of three, and ends lines.
        content.saturating_add(files.saturating_mul(11) / 8)
    }

    /// Roughly how many bytes the email takes in memory: what its sender can make large.
    pub fn body_bytes(&self) -> usize {
        let length = |part: &Option<String>| part.as_ref().map_or(0, String::len);
        match &self.content {
            Content::Parts(parts) => length(&parts.html) + length(&parts.text) + self.subject.len() + 1024,
            Content::Raw { .. } => 1024,
            Content::Whole { message } => message.0.len() + 1024,
        }
    }
}

/// What became of one recipient so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientState {
    /// Its status.
    pub status: RecipientStatus,
    /// The last thing the peer (or we) said about it.
    pub last_reply: Option<String>,
    /// Why it failed, when it did.
    pub failure_code: Option<FailureCode>,
    /// When the status last changed.
    pub updated_at: Timestamp,
}
