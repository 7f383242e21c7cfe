//! The MIME tree: mixed(related(alternative(text, html), inline files), files), without the
//! levels that would have one child.

use super::body::{write_file, write_text};
use super::mime_type::essence;
use super::parts::{AttachmentPart, MessageParts};
use crate::header::Folder;

/// `=_` cannot occur in encoded content (see [`write_text`]); the rest is 128 bits of seed.
const BOUNDARY_START: &[u8; 5] = b"=_ph_";
const BOUNDARY_LENGTH: usize = BOUNDARY_START.len() + 32;

/// Where in the tree a boundary stands; its mark keeps the boundaries of one message apart, and
/// being last, none of them begins another.
#[derive(Clone, Copy)]
enum Level {
    Mixed,
    Related,
    Alternative,
}

impl Level {
    fn mark(self) -> u8 {
        match self {
            Self::Mixed => b'm',
            Self::Related => b'r',
            Self::Alternative => b'a',
        }
    }
}

struct Tree<'a> {
    out: &'a mut Vec<u8>,
    boundary: [u8; BOUNDARY_LENGTH],
}

/// Writes the Content-* headers of the message and everything below them.
pub(super) fn write_body(parts: &MessageParts<'_>, out: &mut Vec<u8>) {
    let mut tree = Tree { out, boundary: boundary(parts.boundary_seed) };
    // Without HTML nothing can refer to an inline file; it is a file like the others then.
    let is_related = |file: &AttachmentPart<'_>| parts.html.is_some() && file.is_related();
    let has_files = parts.attachments.iter().any(|file| !is_related(file));
    if !has_files {
        return tree.write_related(parts);
    }
    tree.open(Level::Mixed, "mixed", "");
    tree.delimiter(Level::Mixed);
    tree.write_related(parts);
    for file in parts.attachments.iter().filter(|file| !is_related(file)) {
        tree.delimiter(Level::Mixed);
        tree.write_attachment(file);
    }
    tree.close(Level::Mixed);
}

impl Tree<'_> {
    fn write_related(&mut self, parts: &MessageParts<'_>) {
        let Some(html) = parts.html else {
            return self.write_text("plain", parts.text.unwrap_or_default());
        };
        if !parts.attachments.iter().any(AttachmentPart::is_related) {
            return self.write_alternative(parts.text, html);
        }
        // RFC 2387, 3.1 requires the type of the root.
        let root =
            if parts.text.is_some() { "; type=\"multipart/alternative\"" } else { "; type=\"text/html\"" };
        self.open(Level::Related, "related", root);
        self.delimiter(Level::Related);
        self.write_alternative(parts.text, html);
        for file in parts.attachments.iter().filter(|file| file.is_related()) {
            self.delimiter(Level::Related);
            self.write_attachment(file);
        }
        self.close(Level::Related);
    }

    fn write_alternative(&mut self, text: Option<&str>, html: &str) {
        let Some(text) = text else {
            return self.write_text("html", html);
        };
        self.open(Level::Alternative, "alternative", "");
        self.delimiter(Level::Alternative);
        self.write_text("plain", text);
        self.delimiter(Level::Alternative);
        self.write_text("html", html);
        self.close(Level::Alternative);
    }

    fn write_text(&mut self, subtype: &str, text: &str) {
        self.out.extend_from_slice(b"Content-Type: text/");
        self.out.extend_from_slice(subtype.as_bytes());
        self.out.extend_from_slice(b"; charset=utf-8\r\n");
        write_text(self.out, text, &self.boundary);
    }

    fn write_attachment(&mut self, file: &AttachmentPart<'_>) {
        let mut header = Folder::start(self.out, "Content-Type");
        header.write(file.mime);
        // Readers older than Content-Disposition look for the name here.
        if !file.filename.is_empty() {
            header.parameter("name", file.filename);
        }
        header.finish();
        let mut header = Folder::start(self.out, "Content-Disposition");
        header.write(if file.inline { "inline" } else { "attachment" });
        if !file.filename.is_empty() {
            header.parameter("filename", file.filename);
        }
        header.finish();
        if let Some(id) = file.content_id {
            self.out.extend_from_slice(b"Content-ID: <");
            self.out.extend_from_slice(id.as_bytes());
            self.out.extend_from_slice(b">\r\n");
        }
        let is_message =
            essence(file.mime).get(..8).is_some_and(|kind| kind.eq_ignore_ascii_case("message/"));
        write_file(self.out, file.content, is_message, &self.boundary);
    }

    fn open(&mut self, level: Level, subtype: &str, parameters: &str) {
        self.out.extend_from_slice(b"Content-Type: multipart/");
        self.out.extend_from_slice(subtype.as_bytes());
        self.out.extend_from_slice(parameters.as_bytes());
        self.out.extend_from_slice(b";\r\n boundary=\"");
        self.write_boundary(level);
        self.out.extend_from_slice(b"\"\r\n");
    }

    /// Ends what was written before and begins a part (RFC 2046, 5.1.1).
    fn delimiter(&mut self, level: Level) {
        self.out.extend_from_slice(b"\r\n--");
        self.write_boundary(level);
        self.out.extend_from_slice(b"\r\n");
    }

    fn close(&mut self, level: Level) {
        self.out.extend_from_slice(b"\r\n--");
        self.write_boundary(level);
        self.out.extend_from_slice(b"--");
    }

    fn write_boundary(&mut self, level: Level) {
        self.out.extend_from_slice(&self.boundary);
        self.out.push(level.mark());
    }
}

fn boundary(seed: u128) -> [u8; BOUNDARY_LENGTH] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut boundary = [0; BOUNDARY_LENGTH];
    boundary[..BOUNDARY_START.len()].copy_from_slice(BOUNDARY_START);
    for (index, byte) in seed.to_be_bytes().into_iter().enumerate() {
        let at = BOUNDARY_START.len() + 2 * index;
        boundary[at] = DIGITS[usize::from(byte >> 4)];
        boundary[at + 1] = DIGITS[usize::from(byte & 15)];
    }
    boundary
}
