//! Takes a message apart for those that want no message but its pieces: a provider's API that is given text, HTML and
//! files. Other than a view for display nothing may be missing: a message that is too much for the limits is refused.

use super::structure::{self, Part};
use super::{FieldView, decode, field, filename};
use std::collections::HashSet;

/// A message in pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pieces {
    /// Its header fields in their order, encoded words decoded.
    pub fields: Vec<FieldView>,
    /// The first part of plain text that is no attachment, with LF as line break.
    pub text: Option<String>,
    /// The first part of HTML that is no attachment, with LF as line break.
    pub html: Option<String>,
    /// Further ways to show the message, such as an invitation (`text/calendar`): type and text.
    pub alternatives: Vec<(String, String)>,
    /// Everything else that carries content.
    pub files: Vec<Piece>,
}

/// A file of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// A name that is safe to save under.
    pub filename: String,
    /// Its declared type without parameters, lower-case.
    pub mime: String,
    /// Its content, decoded.
    pub content: Vec<u8>,
    /// `Content-ID` without its brackets, by which HTML shows it.
    pub content_id: Option<String>,
    /// Shown within the HTML rather than beside it.
    pub is_inline: bool,
}

/// The message has too many parts, levels or header fields to be taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message has too many parts, levels or header fields to be taken apart")]
pub struct TooManyPieces;

impl Pieces {
    /// The value of the first header field of that name, in any case.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name)).map(|field| &*field.value)
    }
}

/// Takes a message apart. Takes any octets; time and memory are linear in their number.
pub fn take_apart(raw: &[u8]) -> Result<Pieces, TooManyPieces> {
    let structure = structure::read(raw);
    let header = structure.parts.first().map(|part| part.header.clone()).unwrap_or_default();
    let (fields, fields_cut) = field::read_all(&raw[header]);
    if structure.is_cut || fields_cut {
        return Err(TooManyPieces);
    }
    let mut pieces = Pieces { fields, ..Pieces::default() };
    for part in structure.parts.iter().filter(|part| !part.is_multipart && !part.in_message) {
        pieces.place(raw, part);
    }
    pieces.place_shown();
    Ok(pieces)
}

impl Pieces {
    fn place(&mut self, raw: &[u8], part: &Part) {
        let body = &raw[part.body.clone()];
        let is_body = !part.mime.is_attachment && part.mime.name.is_none() && !part.has_message;
        let content = decode::transfer(body, part.mime.encoding);
        let text = || {
            let mut text = decode::text(&content, part.mime.charset.as_deref());
            // The last line break of a message without parts ends the message; of a part it belongs to the boundary.
            if part.depth == 0 && text.ends_with('\n') {
                text.pop();
            }
            text
        };
        match &*part.mime.essence {
            "text/plain" if is_body && self.text.is_none() => self.text = Some(text()),
            "text/html" if is_body && self.html.is_none() => self.html = Some(text()),
            essence @ ("text/calendar" | "text/x-amp-html") if is_body => {
                self.alternatives.push((essence.to_owned(), text()));
            }
            _ => {
                let content_id = part.mime.content_id.clone();
                self.files.push(Piece {
                    filename: filename(part, self.files.len() + 1),
                    mime: part.mime.essence.clone(),
                    is_inline: content_id.is_some() && !part.mime.is_attachment,
                    content_id,
                    content: content.into_owned(),
                });
            }
        }
    }

    /// A file that the HTML shows stands in it, whatever its disposition says: many programs call all that has a name
    /// an attachment.
    fn place_shown(&mut self) {
        let Some(html) = &self.html else { return };
        let ends = ['"', '\'', '>', ')', ' ', '\n'];
        let shown: HashSet<&str> =
            html.split("cid:").skip(1).filter_map(|rest| rest.split(ends).next()).collect();
        for file in &mut self.files {
            file.is_inline |= file.content_id.as_deref().is_some_and(|id| shown.contains(id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &str = "From: Ann <ann@a.example>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\
        Content-Type: multipart/mixed; boundary=m\r\n\r\n\
        --m\r\nContent-Type: multipart/related; boundary=r\r\n\r\n\
        --r\r\nContent-Type: multipart/alternative; boundary=a\r\n\r\n\
        --a\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHi\r\n\
        --a\r\nContent-Type: text/html\r\n\r\n<img src=\"cid:logo\">\r\n\
        --a\r\nContent-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR\r\n--a--\r\n\
        --r\r\nContent-Type: image/png\r\nContent-Id: <logo>\r\nContent-Transfer-Encoding: base64\r\n\r\niVBO\r\n\
        --r--\r\n\
        --m\r\nContent-Type: application/pdf\r\nContent-Id: <x>\r\n\
        Content-Disposition: attachment; filename=a.pdf\r\n\r\n%PDF\r\n--m--\r\n";

    #[test]
    fn east_asian_texts_are_read() {
        let raw = "Subject: =?big5?b?pKSk5Q==?=\r\nContent-Type: text/plain; charset=big5\r\n\
            Content-Transfer-Encoding: base64\r\n\r\npKSk5Q==\r\n";
        let pieces = take_apart(raw.as_bytes()).expect("few pieces");
        assert_eq!((pieces.field("subject"), pieces.text.as_deref()), (Some("中文"), Some("中文")));
        for (charset, encoded) in [("gb2312", "1tDOxA=="), ("shift_jis", "koaVtg=="), ("euc-kr", "8enZ/g==")]
        {
            let raw = format!(
                "Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: base64\r\n\r\n{encoded}"
            );
            let pieces = take_apart(raw.as_bytes()).expect("few pieces");
            assert_eq!(pieces.text.as_deref(), Some("中文"), "{charset}");
        }
    }

    #[test]
    fn every_part_becomes_a_piece() {
        let pieces = take_apart(MESSAGE.as_bytes()).expect("few pieces");
        assert_eq!(pieces.field("subject"), Some("Grüße"));
        assert_eq!(pieces.text.as_deref(), Some("Hi"));
        assert_eq!(pieces.html.as_deref(), Some("<img src=\"cid:logo\">"));
        assert_eq!(pieces.alternatives, [("text/calendar".to_owned(), "BEGIN:VCALENDAR".to_owned())]);
        let files: Vec<(&str, &str, bool, &[u8])> = pieces
            .files
            .iter()
            .map(|file| (&*file.filename, &*file.mime, file.is_inline, &*file.content))
            .collect();
        assert_eq!(
            files,
            [
                ("attachment-1.png", "image/png", true, &b"\x89PN"[..]),
                ("a.pdf", "application/pdf", false, &b"%PDF"[..])
            ]
        );
    }

    #[test]
    fn a_file_that_the_html_shows_is_inline_whatever_it_is_called() {
        let disposition = "Content-Disposition: attachment; filename=logo.png\r\n";
        let message =
            MESSAGE.replace("Content-Id: <logo>\r\n", &format!("Content-Id: <logo>\r\n{disposition}"));
        assert!(message.contains("logo.png"));
        let pieces = take_apart(message.as_bytes()).expect("few pieces");
        let files: Vec<(&str, bool)> =
            pieces.files.iter().map(|file| (&*file.filename, file.is_inline)).collect();
        assert_eq!(files, [("logo.png", true), ("a.pdf", false)]);
    }

    #[test]
    fn what_cannot_be_taken_apart_whole_is_refused() {
        let part = "--m\r\n\r\nx\r\n".repeat(super::super::MAX_PARTS + 1);
        let message = format!("Content-Type: multipart/mixed; boundary=m\r\n\r\n{part}--m--\r\n");
        assert_eq!(take_apart(message.as_bytes()), Err(TooManyPieces));
    }

    #[test]
    fn a_body_is_never_cut() {
        let body = "x".repeat(super::super::MAX_BODY + 10);
        let pieces = take_apart(format!("A: b\r\n\r\n{body}").as_bytes()).expect("one piece");
        assert_eq!(pieces.text.map(|text| text.len()), Some(body.len()));
    }
}
