//! What a surface hands to intake: the request in the product's words, not yet judged.

use crate::email::Source;
use crate::refusal::Fault;
use crate::{EmailId, Timestamp};

/// A field of a draft; each surface spells it in its own way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// The request as a whole.
    Request,
    /// Sending domain.
    Domain,
    /// Sender.
    From,
    /// Name of the sender.
    FromName,
    /// Recipient of `To` at this place; `None`: the list.
    To(Option<usize>),
    /// Recipient of `Cc`.
    Cc(Option<usize>),
    /// Recipient of `Bcc`.
    Bcc(Option<usize>),
    /// Reply address.
    ReplyTo(Option<usize>),
    /// Subject.
    Subject,
    /// HTML body.
    Html,
    /// Text body.
    Text,
    /// Template.
    TemplateCode,
    /// Template variables: JSON pointer below them (`/name`), or empty.
    Variables(String),
    /// An attachment's part.
    Attachment(usize, AttachmentField),
    /// All attachments together.
    Attachments,
    /// A custom header by name.
    Header(String),
    /// All custom headers.
    Headers,
    /// A tag.
    Tag(Option<usize>),
    /// Metadata: a key, or all.
    Metadata(Option<String>),
    /// EO event.
    EventId,
    /// Priority.
    Priority,
    /// Time to send.
    SendAt,
    /// Idempotency key.
    IdempotencyKey,
    /// A field only this surface has, already in its spelling.
    Other(String),
}

/// A part of an attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttachmentField {
    /// The whole of it.
    Whole,
    /// File name.
    Filename,
    /// Media type.
    Mime,
    /// Bytes, in base64.
    Content,
    /// Content id.
    ContentId,
    /// Disposition.
    Disposition,
}

/// An address as given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DraftMailbox {
    /// `Ann <a@b.com>` or `a@b.com`.
    Text(String),
    /// Address and name apart.
    Parts {
        /// The bare address.
        email: String,
        /// The display name.
        name: Option<String>,
    },
    /// Of a shape that cannot be read: it keeps its place in a list, and its fault stands in [`Draft::faults`].
    Unreadable,
}

/// An attachment as given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DraftAttachment {
    /// File name as given.
    pub filename: String,
    /// Declared media type; `None`: found from name and content.
    pub mime: Option<String>,
    /// Content in base64.
    pub content_base64: String,
    /// Content id as given.
    pub content_id: Option<String>,
    /// `attachment` or `inline`.
    pub disposition: Option<String>,
}

/// Who decides whom an email is from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SenderRule {
    /// The request: it names a sender in a domain that its client may use.
    #[default]
    Request,
    /// The operator: `from` is the configured sender, whose domain needs no registering; a key bound to a domain sends
    /// as that domain's default sender instead.
    Configuration,
}

/// A request to send one email, not yet judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// The door.
    pub source: Source,
    /// Who decides whom it is from.
    pub sender: SenderRule,
    /// A recipient that stands twice gets one copy, in the first place; else it is a fault.
    pub merges_recipients: bool,
    /// Whether the message says its priority (`X-Priority`).
    pub shows_priority: bool,
    /// The id it is to have, when something that names it was written before; `None`: a new one.
    pub id: Option<EmailId>,
    /// Sending domain.
    pub domain: Option<String>,
    /// Sender.
    pub from: Option<DraftMailbox>,
    /// Recipients.
    pub to: Vec<DraftMailbox>,
    /// Copies.
    pub cc: Vec<DraftMailbox>,
    /// Blind copies.
    pub bcc: Vec<DraftMailbox>,
    /// Where answers go.
    pub reply_to: Vec<DraftMailbox>,
    /// Subject.
    pub subject: Option<String>,
    /// HTML body.
    pub html: Option<String>,
    /// Text body.
    pub text: Option<String>,
    /// Template by code.
    pub template_code: Option<String>,
    /// Values for `{{ }}`.
    pub variables: serde_json::Map<String, serde_json::Value>,
    /// Whether `{{ }}` in the inline parts is rendered.
    pub templated: bool,
    /// Files.
    pub attachments: Vec<DraftAttachment>,
    /// Custom headers in the order given.
    pub headers: Vec<(String, String)>,
    /// Tags.
    pub tags: Vec<String>,
    /// The application's own data.
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// EO event.
    pub event_id: Option<i64>,
    /// 1 to 5.
    pub priority: Option<i64>,
    /// Not before.
    pub send_at: Option<Timestamp>,
    /// A link to unsubscribe with one click is asked for: from mail with this tag; empty: from all mail.
    pub list_unsubscribe: Option<String>,
    /// Faults the surface found while reading (wrong types, unknown fields): reported together with intake's.
    pub faults: Vec<Fault>,
}

impl Draft {
    /// An empty draft of `source`.
    pub fn new(source: Source) -> Self {
        Self {
            source,
            sender: SenderRule::default(),
            merges_recipients: false,
            shows_priority: false,
            id: None,
            domain: None,
            from: None,
            to: Vec::new(),
            cc: Vec::new(),
            bcc: Vec::new(),
            reply_to: Vec::new(),
            subject: None,
            html: None,
            text: None,
            template_code: None,
            variables: serde_json::Map::new(),
            templated: false,
            attachments: Vec::new(),
            headers: Vec::new(),
            tags: Vec::new(),
            metadata: serde_json::Map::new(),
            event_id: None,
            priority: None,
            send_at: None,
            list_unsubscribe: None,
            faults: Vec::new(),
        }
    }
}
