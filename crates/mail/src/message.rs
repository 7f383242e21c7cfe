//! Writes whole messages (RFC 5322, RFC 2045-2047, RFC 2183, RFC 2387).
//!
//! The same parts give the same bytes at every attempt, so that a receiver that sees a message
//! twice can tell: nothing here reads a clock or draws a random number. What comes out has CRLF
//! as its only line break, no line over 998 octets, and is pure ASCII unless an address needs
//! SMTPUTF8. Bcc is not an input, so it cannot leak.

mod body;
mod error;
mod line_break;
mod mime_type;
mod parts;
mod structure;

pub use error::BuildError;
pub use line_break::{has_stray_line_break, is_7bit, normalize_crlf};
pub use mime_type::{essence, is_mime_type};
pub use parts::{AttachmentPart, MessageParts, is_message_id, needs_smtputf8};

use mail_builder::headers::{Header as _, date::Date};

use crate::address::Mailbox;
use crate::header::Folder;

/// Headers and boundaries of an ordinary message, in octets.
const HEADER_ESTIMATE: usize = 1024;

/// Appends the message to `out`, which on an error may hold a part of it.
pub fn write_message(parts: &MessageParts<'_>, out: &mut Vec<u8>) -> Result<(), BuildError> {
    parts.check()?;
    out.reserve(estimate(parts));
    write_header(parts, out);
    structure::write_body(parts, out);
    if !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    Ok(())
}

fn estimate(parts: &MessageParts<'_>) -> usize {
    // Base64 adds 37 in 100; text seldom becomes longer than that.
    let bodies = parts.text.map_or(0, str::len) + parts.html.map_or(0, str::len);
    let files: usize = parts.attachments.iter().map(|file| file.content.len()).sum();
    (bodies + files) / 8 * 11 + HEADER_ESTIMATE * (1 + parts.attachments.len())
}

fn write_header(parts: &MessageParts<'_>, out: &mut Vec<u8>) {
    write_mailboxes(out, "From", std::slice::from_ref(parts.from));
    if parts.to.is_empty() && parts.cc.is_empty() {
        out.extend_from_slice(b"To: undisclosed-recipients:;\r\n");
    }
    write_mailboxes(out, "To", parts.to);
    write_mailboxes(out, "Cc", parts.cc);
    write_mailboxes(out, "Reply-To", parts.reply_to);
    write_text(out, "Subject", parts.subject);
    out.extend_from_slice(b"Date: ");
    Date::new(parts.date_ms.div_euclid(1000)).write_header(out, 6);
    out.extend_from_slice(b"Message-ID: <");
    out.extend_from_slice(parts.message_id.as_bytes());
    out.extend_from_slice(b">\r\n");
    for (name, value) in parts.headers {
        write_text(out, name.as_str(), value.as_str());
    }
    out.extend_from_slice(b"MIME-Version: 1.0\r\n");
}

fn write_mailboxes(out: &mut Vec<u8>, name: &str, mailboxes: &[Mailbox]) {
    if mailboxes.is_empty() {
        return;
    }
    let mut folder = Folder::start(out, name);
    folder.mailboxes(mailboxes);
    folder.finish();
}

fn write_text(out: &mut Vec<u8>, name: &str, text: &str) {
    let mut folder = Folder::start(out, name);
    folder.text(text);
    folder.finish();
}

#[cfg(test)]
mod tests;
