//! Every reason we say no. Surfaces turn a refusal into their own words by one exhaustive match.

use crate::draft::Field;
use crate::status::words;
use std::time::Duration;

words!(
    /// What is wrong with a field.
    FaultCode {
        /// Required and absent.
        Required = "required",
        /// Of the wrong JSON type.
        InvalidType = "invalid_type",
        /// Not a field of this request.
        UnknownField = "unknown_field",
        /// No valid address.
        InvalidEmail = "invalid_email",
        /// No valid domain name.
        InvalidDomain = "invalid_domain",
        /// Not a domain this client or key may use.
        UnknownDomain = "unknown_domain",
        /// `from` is outside the key's or the named domain.
        FromDomainMismatch = "from_domain_mismatch",
        /// The client has no active sender config for this address of an organization domain.
        SenderNotConfigured = "sender_not_configured",
        /// Too many recipients.
        TooManyRecipients = "too_many_recipients",
        /// A recipient stands twice.
        DuplicateRecipient = "duplicate_recipient",
        /// Neither html, text nor template.
        MissingBody = "missing_body",
        /// No such template.
        TemplateNotFound = "template_not_found",
        /// Syntax fault in a template, with line and column.
        TemplateSyntax = "template_syntax",
        /// A template ran into a limit or failed to render.
        TemplateError = "template_error",
        /// A variable that the text names is missing.
        MissingVariable = "missing_variable",
        /// A variable does not fit the template's schema.
        InvalidVariable = "invalid_variable",
        /// The schema itself is no JSON Schema.
        InvalidSchema = "invalid_schema",
        /// Not base64.
        InvalidBase64 = "invalid_base64",
        /// One attachment, or all together, too large.
        AttachmentTooLarge = "attachment_too_large",
        /// Media type not allowed, or not that of the content.
        AttachmentType = "attachment_type_not_allowed",
        /// The content is not what the declared type says.
        AttachmentMismatch = "attachment_type_mismatch",
        /// A file name that cannot be made safe.
        InvalidFilename = "invalid_filename",
        /// A header name or value that cannot stand in a message.
        InvalidHeader = "invalid_header",
        /// A header that Posthaste writes itself.
        ReservedHeader = "reserved_header",
        /// Line break or control character.
        ControlCharacter = "control_character",
        /// Too long.
        TooLong = "too_long",
        /// Outside the allowed values.
        OutOfRange = "out_of_range",
        /// In the past, or too far ahead.
        InvalidSendAt = "invalid_send_at",
        /// No event of this client.
        UnknownEvent = "unknown_event",
        /// Header and body name different idempotency keys, or the key is malformed.
        InvalidIdempotencyKey = "invalid_idempotency_key",
        /// Any other value that does not fit.
        InvalidValue = "invalid_value",
        /// Stands already.
        AlreadyExists = "already_exists",
    }
);

/// One thing wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub field: Field,
    /// What.
    pub code: FaultCode,
    /// What would be right, for people.
    pub message: String,
}

impl Fault {
    /// A fault of `code` at `field`.
    pub fn new(field: Field, code: FaultCode, message: impl Into<String>) -> Self {
        Self { field, code, message: message.into() }
    }
}

/// Why a request was refused. Nothing was stored, sent or counted.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// The request has faults; all of them.
    Invalid(Vec<Fault>),
    /// The attachments or the message are larger than allowed.
    TooLarge(Fault),
    /// The credential lacks this permission.
    PermissionDenied(&'static str),
    /// No such thing, or another client's.
    NotFound,
    /// The idempotency key was used with another request.
    IdempotencyKeyReused,
    /// The first request with this idempotency key is still running.
    IdempotencyKeyInUse,
    /// The email is neither scheduled nor queued any more; its status word.
    CannotCancel(&'static str),
    /// Stands already.
    Conflict(String),
    /// The credential was revoked or changed while the request ran.
    CredentialGone,
    /// The store cannot take it now.
    Unavailable {
        /// When to try again.
        retry_after: Duration,
        /// The commit may have happened: a retry with the same idempotency key settles it.
        may_be_stored: bool,
    },
}
