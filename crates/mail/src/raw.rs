//! A finished message as it was handed in: what its header says, and what is put before it or taken out of it on the
//! way in. Everything else of it stays as it is, byte for byte.

mod addresses;

pub use addresses::{AddressListError, address_list, domains_shown};

use crate::message::is_message_id;
use crate::view::field_text;
use mail_builder::headers::{Header as _, date::Date};
use memchr::memchr;
use std::ops::Range;

/// Longest header section that is taken, octets.
pub const MAX_HEADER: usize = 512 * 1024;

/// A message and where its header section ends.
#[derive(Clone, Debug)]
pub struct RawMessage {
    bytes: bytes::Bytes,
    header_end: usize,
}

/// The header section is longer than [`MAX_HEADER`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the header is longer than {MAX_HEADER} octets")]
pub struct HeaderTooLong;

/// One field with its folds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawField<'a> {
    /// Its name as written.
    pub name: &'a [u8],
    /// Its value with its folds.
    pub value: &'a [u8],
    range: Range<usize>,
}

/// The hop that a `Received` line tells of (RFC 5321 section 4.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Whom it came from, as `name ([192.0.2.1])`.
    pub from: String,
    /// Our name.
    pub by: String,
    /// How it came (RFC 3848): `ESMTPSA`.
    pub with: &'static str,
}

impl RawMessage {
    /// Finds the header section: everything up to the first empty line, whatever stands in it. Lines must end with CR
    /// LF; a message without an empty line is all header.
    pub fn read(bytes: bytes::Bytes) -> Result<Self, HeaderTooLong> {
        let mut at = 0;
        let header_end = loop {
            let rest = &bytes[at..];
            if rest.is_empty() || rest.starts_with(b"\r\n") {
                break at;
            }
            if at > MAX_HEADER {
                return Err(HeaderTooLong);
            }
            at += memchr(b'\n', rest).map_or(rest.len(), |length| length + 1);
        };
        if header_end > MAX_HEADER { Err(HeaderTooLong) } else { Ok(Self { bytes, header_end }) }
    }

    /// The whole message.
    pub fn bytes(&self) -> &bytes::Bytes {
        &self.bytes
    }

    /// Its fields in their order. A line that is no field is passed over.
    pub fn fields(&self) -> impl Iterator<Item = RawField<'_>> {
        let header = &self.bytes[..self.header_end];
        let mut at = 0;
        std::iter::from_fn(move || {
            loop {
                let start = at;
                at += line_length(header.get(at..).filter(|rest| !rest.is_empty())?);
                while matches!(header.get(at), Some(b' ' | b'\t')) {
                    at += line_length(&header[at..]);
                }
                let field = &header[start..at];
                if let Some(colon) = memchr(b':', field) {
                    let (name, value) = (field[..colon].trim_ascii(), field[colon + 1..].trim_ascii());
                    return Some(RawField { name, value, range: start..at });
                }
            }
        })
    }

    /// The values of all fields of that name, in any case.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> + 'a {
        self.fields().filter(move |field| field.is(name)).map(|field| field.value)
    }

    /// The first value of that name as a reader sees it: on one line, encoded words decoded.
    pub fn text(&self, name: &str) -> Option<String> {
        self.all(name).next().map(field_text)
    }

    /// The `Message-ID` without its brackets, when there is one that can be said again.
    pub fn message_id(&self) -> Option<String> {
        let value = std::str::from_utf8(self.all("message-id").next()?).ok()?;
        let id = value.trim().strip_prefix('<')?.strip_suffix('>')?;
        is_message_id(id).then(|| id.to_owned())
    }

    /// The message as it goes on: a `Received` line before it, every `Bcc` taken out of its header.
    pub fn passed_on(&self, hop: &Hop, id: &str, date_ms: i64) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes.len() + 256);
        out.extend_from_slice(
            format!("Received: from {}\r\n\tby {} with {} id {id};\r\n\t", hop.from, hop.by, hop.with)
                .as_bytes(),
        );
        Date::new(date_ms.div_euclid(1000)).write_header(&mut out, 8);
        let mut kept = 0;
        for field in self.fields().filter(|field| field.is("bcc") || field.is("resent-bcc")) {
            out.extend_from_slice(&self.bytes[kept..field.range.start]);
            kept = field.range.end;
        }
        out.extend_from_slice(&self.bytes[kept..]);
        out
    }
}

impl RawField<'_> {
    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

fn line_length(rest: &[u8]) -> usize {
    memchr(b'\n', rest).map_or(rest.len(), |length| length + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> RawMessage {
        RawMessage::read(bytes::Bytes::copy_from_slice(text.as_bytes())).expect("a short header")
    }

    fn hop() -> Hop {
        Hop { from: "a.example ([192.0.2.1])".into(), by: "mx.example".into(), with: "ESMTP" }
    }

    /// What goes on, without the line that was put before it.
    fn passed_on(text: &str) -> String {
        let whole = String::from_utf8(raw(text).passed_on(&hop(), "id-1", 1_795_000_000_123)).expect("text");
        let line = "Received: from a.example ([192.0.2.1])\r\n\tby mx.example with ESMTP id id-1;\r\n\t\
                    Wed, 18 Nov 2026 11:06:40 +0000\r\n";
        whole.strip_prefix(line).unwrap_or_else(|| panic!("{whole}")).to_owned()
    }

    #[test]
    fn only_bcc_is_taken_out() {
        for (given, kept) in [
            (
                "Subject: a\r\nBcc: x@y.z\r\nTo: b\r\n\r\nBcc: body\r\n",
                "Subject: a\r\nTo: b\r\n\r\nBcc: body\r\n",
            ),
            ("bCC : x@y.z,\r\n y@y.z\r\n\tz\r\nA: b\r\n\r\n", "A: b\r\n\r\n"),
            ("A: b\r\nResent-Bcc: x\r\nBcc:\r\n", "A: b\r\n"),
            ("no field\r\nBcc: x\r\nBccs: y\r\nX-Bcc: z\r\n\r\n", "no field\r\nBccs: y\r\nX-Bcc: z\r\n\r\n"),
            ("A: b\r\n folded\r\n\tBcc: x\r\n\r\n", "A: b\r\n folded\r\n\tBcc: x\r\n\r\n"),
            ("\r\nBcc: body", "\r\nBcc: body"),
            ("", ""),
        ] {
            assert_eq!(passed_on(given), kept, "{given:?}");
        }
    }

    #[test]
    fn fields_are_read_as_a_reader_sees_them() {
        let raw =
            raw("subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n an alle\r\nMessage-Id: <a.b@c.example>\r\n\r\n");
        assert_eq!(raw.text("Subject").as_deref(), Some("Grüße an alle"));
        assert_eq!(raw.message_id().as_deref(), Some("a.b@c.example"));
        assert_eq!(raw.text("From"), None);
    }

    #[test]
    fn an_endless_header_is_refused_and_a_long_body_is_not() {
        let line = format!("A: {}\r\n", "x".repeat(900));
        let header = line.repeat(MAX_HEADER / line.len() + 2);
        assert_eq!(RawMessage::read(header.into()).err(), Some(HeaderTooLong));
        let body = format!("A: b\r\n\r\n{}", line.repeat(1000));
        assert!(RawMessage::read(body.into()).is_ok());
    }
}
