//! Reads a raw message for display: what its headers say, its text and HTML, its attachments and how they nest.
//!
//! The message comes from outside and may be made to harm its reader, so everything is bounded: one pass over the
//! lines, at most [`MAX_DEPTH`] levels and [`MAX_PARTS`] parts, bodies and headers cut at a size. What does not
//! parse is shown as it stands; nothing here fails and nothing recurses.

mod decode;
mod field;
mod structure;
mod whole;

pub use whole::{Piece, Pieces, TooManyPieces, take_apart};

use crate::filename::safe_filename;
use decode::Encoding;
use std::borrow::Cow;
use std::ops::Range;
use structure::Part;

/// Multiparts and messages nested deeper are shown as one attachment.
pub const MAX_DEPTH: usize = 20;
/// Parts behind this many are not looked at.
pub const MAX_PARTS: usize = 500;
/// Header fields behind this many are not shown.
pub const MAX_FIELDS: usize = 1_000;
/// Octets of all header fields together that are shown.
pub const MAX_FIELDS_LEN: usize = 256 * 1024;
/// Octets of a body (UTF-8) that are shown.
pub const MAX_BODY: usize = 2 * 1024 * 1024;

/// A message, read for display.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageView {
    /// Its header fields in their order, encoded words decoded.
    pub fields: Vec<FieldView>,
    /// The first part of plain text that is no attachment, with LF as line break.
    pub text: Option<BodyView>,
    /// The first part of HTML that is no attachment, with LF as line break.
    pub html: Option<BodyView>,
    /// Everything else that carries content.
    pub attachments: Vec<AttachmentView>,
    /// The tree of parts, parents before their children.
    pub parts: Vec<PartView>,
    /// A limit was reached: not everything is shown.
    pub is_cut: bool,
}

/// A header field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldView {
    /// Its name as written.
    pub name: String,
    /// Its value on one line.
    pub value: String,
}

/// A text or HTML body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyView {
    /// The body in UTF-8.
    pub content: String,
    /// It is longer than [`MAX_BODY`]; this is its beginning.
    pub is_cut: bool,
}

/// A part that is shown as a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachmentView {
    /// A name that is safe to save under.
    pub filename: String,
    /// Its declared type without parameters, lower-case.
    pub mime: String,
    /// Octets, decoded.
    pub size: usize,
    /// `Content-ID` without its brackets, by which HTML shows it.
    pub content_id: Option<String>,
    body: Range<usize>,
    encoding: Encoding,
}

/// One node of the tree of parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartView {
    /// 0 for the message itself.
    pub depth: usize,
    /// Its type without parameters, lower-case.
    pub mime: String,
    /// Octets of its body as transferred.
    pub size: usize,
    /// Its name when it is an attachment.
    pub filename: Option<String>,
    /// A name that is safe to save it under, also where it is no attachment.
    pub save_as: String,
    body: Range<usize>,
    encoding: Encoding,
}

impl PartView {
    /// The content, decoded; of a part that is made of parts, all of them as they stand. `raw` is the message that the
    /// view was read from; another one gives other bytes, or none.
    pub fn content<'a>(&self, raw: &'a [u8]) -> Cow<'a, [u8]> {
        decode::transfer(raw.get(self.body.clone()).unwrap_or_default(), self.encoding)
    }
}

impl MessageView {
    /// The value of the first header field of that name, in any case.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name)).map(|field| &*field.value)
    }
}

impl AttachmentView {
    /// The content, decoded. `raw` is the message that the view was read from; another one gives other bytes, or
    /// none.
    pub fn content<'a>(&self, raw: &'a [u8]) -> Cow<'a, [u8]> {
        decode::transfer(raw.get(self.body.clone()).unwrap_or_default(), self.encoding)
    }
}

/// The value of a header field as a reader sees it: on one line, encoded words decoded, cut at 16 KiB.
pub fn field_text(value: &[u8]) -> String {
    field::unstructured(&value[..value.len().min(field::MAX_VALUE)]).trim().to_owned()
}

/// Reads a message. Takes any octets; time and memory are linear in their number.
pub fn read_message(raw: &[u8]) -> MessageView {
    let structure = structure::read(raw);
    let header = structure.parts.first().map(|part| part.header.clone()).unwrap_or_default();
    let (fields, fields_cut) = field::read_all(&raw[header]);
    let mut view = MessageView { fields, is_cut: structure.is_cut || fields_cut, ..MessageView::default() };
    for (number, part) in structure.parts.iter().enumerate() {
        let filename = view.place(raw, part);
        view.parts.push(PartView {
            depth: part.depth,
            mime: part.mime.essence.clone(),
            size: part.body.len(),
            save_as: filename.clone().unwrap_or_else(|| named(part, "part", number)),
            filename,
            body: part.body.clone(),
            // What is made of parts has no encoding of its own (RFC 2045, section 6.4).
            encoding: if part.is_multipart { Encoding::Identity } else { part.mime.encoding },
        });
    }
    view.is_cut |= [&view.text, &view.html].into_iter().flatten().any(|body| body.is_cut);
    view
}

impl MessageView {
    /// Puts a part where a reader looks for it; the file name when that is among the attachments.
    fn place(&mut self, raw: &[u8], part: &Part) -> Option<String> {
        if part.is_multipart || part.in_message {
            return None;
        }
        let is_body = !part.mime.is_attachment && part.mime.name.is_none() && !part.has_message;
        let slot = match &*part.mime.essence {
            "text/plain" if is_body => Some(&mut self.text),
            "text/html" if is_body => Some(&mut self.html),
            _ => None,
        };
        if let Some(slot @ None) = slot {
            *slot = Some(body(&raw[part.body.clone()], part));
            return None;
        }
        let attachment = attachment(raw, part, self.attachments.len() + 1);
        let filename = attachment.filename.clone();
        self.attachments.push(attachment);
        Some(filename)
    }
}

fn body(raw: &[u8], part: &Part) -> BodyView {
    // Quoted-printable takes at most three octets for one; more than that is cut after decoding anyway.
    let head = &raw[..raw.len().min(3 * MAX_BODY + 3)];
    let octets = decode::transfer(head, part.mime.encoding);
    let mut content = decode::text(&octets, part.mime.charset.as_deref());
    let mut is_cut = head.len() < raw.len();
    if content.len() > MAX_BODY {
        is_cut = true;
        content.truncate(content.floor_char_boundary(MAX_BODY));
    }
    BodyView { content, is_cut }
}

fn attachment(raw: &[u8], part: &Part, number: usize) -> AttachmentView {
    let encoding = part.mime.encoding;
    let size = match encoding {
        Encoding::Identity => part.body.len(),
        _ => decode::transfer(&raw[part.body.clone()], encoding).len(),
    };
    AttachmentView {
        filename: filename(part, number),
        mime: part.mime.essence.clone(),
        size,
        content_id: part.mime.content_id.clone(),
        body: part.body.clone(),
        encoding,
    }
}

fn filename(part: &Part, number: usize) -> String {
    named(part, "attachment", number)
}

/// The declared name made safe, or one of `stem` and `number`.
fn named(part: &Part, stem: &str, number: usize) -> String {
    let declared = part.mime.name.as_deref().unwrap_or_default();
    let printable: String = declared.chars().filter(|character| !character.is_control()).collect();
    safe_filename(&printable).unwrap_or_else(|_| {
        let extension = match &*part.mime.essence {
            _ if part.is_multipart => "mime",
            "message/rfc822" => "eml",
            "text/plain" => "txt",
            "text/html" => "html",
            "text/calendar" => "ics",
            "image/png" => "png",
            "image/jpeg" => "jpg",
            "image/gif" => "gif",
            "application/pdf" => "pdf",
            _ => "bin",
        };
        format!("{stem}-{number}.{extension}")
    })
}

#[cfg(test)]
mod tests;
