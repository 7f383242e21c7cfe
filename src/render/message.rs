//! Writes and signs the message of an email. Pure: the same email, bodies and keys give the same bytes, whenever and
//! wherever it is called.

use super::signers::Signers;
use super::{RenderError, RenderedMessage};
use bytes::Bytes;
use posthaste_mail::Mailbox;
use posthaste_mail::header::{HeaderName, HeaderValue};
use posthaste_mail::message::{AttachmentPart, MessageParts, needs_smtputf8, write_message};
use posthaste_mail::text_from_html::text_from_html;
use posthaste_model::Timestamp;
use posthaste_model::email::{Email, Parts, RecipientKind};

/// The header that leads from a message, or from news about it, back to its email.
pub const ID_HEADER: &str = "X-Posthaste-Id";

/// Bodies as rendered.
pub(super) struct Bodies<'a> {
    pub(super) html: Option<&'a str>,
    pub(super) text: Option<&'a str>,
}

/// Writes the message of `email`, without signature. `files` are the contents of the attachments
/// it carries, in their order.
pub(super) fn write(
    email: &Email,
    parts: &Parts,
    bodies: &Bodies<'_>,
    files: &[Bytes],
) -> Result<Vec<u8>, RenderError> {
    let made_text = match bodies {
        Bodies { html: Some(html), text: None } => Some(text_from_html(html)),
        _ => None,
    };
    let mut out = Vec::new();
    let message = MessageParts {
        from: &email.from,
        to: &mailboxes(email, RecipientKind::To),
        cc: &mailboxes(email, RecipientKind::Cc),
        reply_to: &email.reply_to,
        subject: &email.subject,
        text: bodies.text.or(made_text.as_deref()),
        html: bodies.html,
        attachments: &attachments(email, files),
        headers: &headers(email, parts)?,
        message_id: &email.message_id,
        // Not the time of the attempt: a receiver that sees the message twice must be able to tell.
        date_ms: email.requested_at.millis(),
        boundary_seed: email.id.as_u128(),
    };
    write_message(&message, &mut out).map_err(|error| RenderError::Message(error.to_string()))?;
    Ok(out)
}

/// Puts the signatures before a message. All sign the message as it was written, none another signature.
pub(super) fn sign(time: Timestamp, message: Vec<u8>, signers: &Signers) -> Result<Vec<u8>, RenderError> {
    let mut signed = Vec::new();
    for signer in signers.each() {
        let header = signer?
            .sign(&message, time.seconds())
            .map_err(|error| RenderError::Signature(error.to_string()))?;
        signed.extend_from_slice(header.as_bytes());
    }
    if signed.is_empty() {
        return Ok(message);
    }
    signed.extend_from_slice(&message);
    Ok(signed)
}

/// What a relay must be able to take, read off the finished message.
pub(super) fn finished(email: &Email, bytes: Bytes) -> RenderedMessage {
    let is_8bit = !bytes.is_ascii();
    let addresses = email.recipients.iter().map(|recipient| &recipient.mailbox.address);
    // A header in an older charset is no SMTPUTF8: it goes as it came.
    let is_utf8_header = |header: &[u8]| !header.is_ascii() && std::str::from_utf8(header).is_ok();
    let smtputf8 = needs_smtputf8(addresses.chain([&email.from.address]))
        || (is_8bit && is_utf8_header(header_of(&bytes)));
    RenderedMessage { bytes, is_8bit, smtputf8 }
}

/// The header section of a message.
fn header_of(message: &[u8]) -> &[u8] {
    let end = message.windows(4).position(|four| four == b"\r\n\r\n");
    &message[..end.unwrap_or(message.len())]
}

fn mailboxes(email: &Email, kind: RecipientKind) -> Vec<Mailbox> {
    let of_kind = email.recipients.iter().filter(|recipient| recipient.kind == kind);
    of_kind.map(|recipient| recipient.mailbox.clone()).collect()
}

fn attachments<'a>(email: &'a Email, files: &'a [Bytes]) -> Vec<AttachmentPart<'a>> {
    let carried = email.attachments.iter().filter(|attachment| attachment.link.is_none());
    let each = carried.zip(files).map(|(attachment, content)| AttachmentPart {
        filename: &attachment.filename,
        mime: &attachment.mime,
        content,
        content_id: attachment.content_id.as_deref(),
        inline: attachment.inline,
    });
    each.collect()
}

fn headers(email: &Email, parts: &Parts) -> Result<Vec<(HeaderName, HeaderValue)>, RenderError> {
    let id = email.id.to_string();
    let given = parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    // Last, so that nothing that was given can stand in its place.
    let all =
        given.filter(|(name, _)| !name.eq_ignore_ascii_case(ID_HEADER)).chain([(ID_HEADER, id.as_str())]);
    let parsed = all.map(|(name, value)| Ok((HeaderName::parse(name)?, HeaderValue::parse(value)?)));
    parsed
        .collect::<Result<_, posthaste_mail::HeaderError>>()
        .map_err(|error| RenderError::Message(error.to_string()))
}
