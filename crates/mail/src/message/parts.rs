//! What a message is made of.

use super::error::BuildError;
use super::mime_type::is_mime_type;
use crate::address::{Address, Mailbox};
use crate::header::{HeaderName, HeaderValue, is_header_text};

/// RFC 5322 names no limit; this keeps `Message-ID` on one line of less than 300 octets.
const MAX_ID: usize = 250;
/// From the year 0 to the year 9999, in milliseconds: what a four-digit year can say.
const DATES: std::ops::Range<i64> = -62_167_219_200_000..253_402_300_800_000;

/// The parts of a message. The envelope, and with it Bcc, is not among them.
#[derive(Debug, Clone, Copy)]
pub struct MessageParts<'a> {
    /// The author.
    pub from: &'a Mailbox,
    /// Shown recipients; when these and `cc` are empty, `undisclosed-recipients:;` stands there.
    pub to: &'a [Mailbox],
    /// Shown recipients of a copy.
    pub cc: &'a [Mailbox],
    /// Where answers go.
    pub reply_to: &'a [Mailbox],
    /// The subject, as text.
    pub subject: &'a str,
    /// The plain text body; line breaks of any kind become CRLF.
    pub text: Option<&'a str>,
    /// The HTML body; line breaks of any kind become CRLF.
    pub html: Option<&'a str>,
    /// Files, in the order in which they are to appear.
    pub attachments: &'a [AttachmentPart<'a>],
    /// Further headers, in order.
    pub headers: &'a [(HeaderName, HeaderValue)],
    /// The message id without its angle brackets.
    pub message_id: &'a str,
    /// For the Date header: UTC, in milliseconds since 1970.
    pub date_ms: i64,
    /// Makes the MIME boundaries; the same seed gives the same ones.
    pub boundary_seed: u128,
}

/// A file in a message.
#[derive(Debug, Clone, Copy)]
pub struct AttachmentPart<'a> {
    /// The name shown, of any characters but controls.
    pub filename: &'a str,
    /// The type, such as `application/pdf` or `text/calendar; method=REQUEST`.
    pub mime: &'a str,
    /// The content, decoded.
    pub content: &'a [u8],
    /// By which HTML refers to it (`cid:...`), without angle brackets.
    pub content_id: Option<&'a str>,
    /// Whether it is a part of the HTML body and not a file beside it.
    pub inline: bool,
}

impl MessageParts<'_> {
    pub(super) fn check(&self) -> Result<(), BuildError> {
        if !is_header_text(self.subject) {
            return Err(BuildError::ControlCharacter("subject"));
        }
        check_names("sender's name", std::slice::from_ref(self.from))?;
        check_names("recipient's name", self.to)?;
        check_names("recipient's name", self.cc)?;
        check_names("reply name", self.reply_to)?;
        if let Some((name, _)) = self.headers.iter().find(|(name, _)| name.is_structural()) {
            return Err(BuildError::ReservedHeader(name.clone()));
        }
        if !is_message_id(self.message_id) {
            return Err(BuildError::MessageId);
        }
        if !DATES.contains(&self.date_ms) {
            return Err(BuildError::Date);
        }
        for (index, file) in self.attachments.iter().enumerate() {
            file.check(index)?;
        }
        Ok(())
    }
}

impl AttachmentPart<'_> {
    fn check(&self, index: usize) -> Result<(), BuildError> {
        if !is_header_text(self.filename) || self.filename.contains('\t') {
            return Err(BuildError::ControlCharacter("file name"));
        }
        if self.content_id.is_some_and(|id| !is_message_id(id)) {
            return Err(BuildError::ContentId(index));
        }
        if !is_mime_type(self.mime) || super::essence(self.mime).starts_with("multipart/") {
            return Err(BuildError::MimeType(index));
        }
        Ok(())
    }

    /// Whether it belongs to the HTML body: `inline`, and something can refer to it.
    pub(super) fn is_related(&self) -> bool {
        self.inline && self.content_id.is_some()
    }
}

fn check_names(field: &'static str, mailboxes: &[Mailbox]) -> Result<(), BuildError> {
    let sound = mailboxes.iter().all(|mailbox| mailbox.name.as_deref().is_none_or(is_header_text));
    if sound { Ok(()) } else { Err(BuildError::ControlCharacter(field)) }
}

/// Whether `id` may stand between the brackets of Message-ID or Content-ID: 1 to 250 printable
/// ASCII characters without blanks, brackets, quotes and backslashes.
pub fn is_message_id(id: &str) -> bool {
    (1..=MAX_ID).contains(&id.len())
        && id.bytes().all(|byte| matches!(byte, b'!'..=b'~') && !b"<>()[]\"\\,;".contains(&byte))
}

/// Whether one of the addresses can only be sent with SMTPUTF8 (RFC 6531): a local part is not
/// ASCII. Domains and all other texts never need it.
pub fn needs_smtputf8<'a>(addresses: impl IntoIterator<Item = &'a Address>) -> bool {
    addresses.into_iter().any(|address| !address.is_ascii())
}
