//! Header fields as a reader sees them, and what those of MIME (RFC 2045) say of a part.

use super::decode::Encoding;
use super::{FieldView, MAX_FIELDS, MAX_FIELDS_LEN};
use mail_parser::HeaderValue;
use mail_parser::parsers::MessageStream;
use memchr::memchr;

/// Octets of one value that are decoded; the rest of it is dropped.
pub(super) const MAX_VALUE: usize = 16 * 1024;
/// Octets of `Content-Type` and `Content-Disposition` that are read. The parser compares parameters with each other,
/// so this also bounds its time.
const MAX_PARAMETERS: usize = 4 * 1024;
/// No boundary that works is longer (RFC 2046 allows 70).
const MAX_BOUNDARY: usize = 1_000;

/// What the header of a part says of its body.
#[derive(Debug, Default)]
pub(super) struct MimeFields {
    /// The type without parameters, lower-case.
    pub(super) essence: String,
    pub(super) charset: Option<String>,
    pub(super) encoding: Encoding,
    /// The file name as declared: anything.
    pub(super) name: Option<String>,
    pub(super) is_attachment: bool,
    pub(super) content_id: Option<String>,
}

/// Whether a line of a header begins or continues a field (RFC 5322, section 2.2).
pub(super) fn is_field_line(line: &[u8]) -> bool {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return true;
    }
    let name = memchr(b':', line).map(|colon| line[..colon].trim_ascii_end());
    name.is_some_and(|name| !name.is_empty() && name.iter().all(u8::is_ascii_graphic))
}

/// The fields of a header, and whether there are more than are shown.
pub(super) fn read_all(header: &[u8]) -> (Vec<FieldView>, bool) {
    let mut fields = Vec::new();
    let mut room = MAX_FIELDS_LEN;
    for (name, value) in Fields(header) {
        if fields.len() == MAX_FIELDS || room == 0 {
            return (fields, true);
        }
        let value = unstructured(&value[..value.len().min(MAX_VALUE).min(room)]);
        room = room.saturating_sub(name.len() + value.len());
        fields.push(FieldView { name: String::from_utf8_lossy(name).into_owned(), value });
    }
    (fields, false)
}

/// What a part's header says, and the boundary of a multipart. In a digest a part is a message unless it says
/// otherwise (RFC 2046, section 5.1.5).
pub(super) fn read_mime(header: &[u8], in_digest: bool) -> (MimeFields, Option<Vec<u8>>) {
    let mut mime = MimeFields::default();
    let mut boundary = None;
    let mut type_name = None;
    let mut is_seen = [false; 4];
    for (name, value) in Fields(header) {
        let which = ["content-type", "content-disposition", "content-transfer-encoding", "content-id"]
            .iter()
            .position(|wanted| name.eq_ignore_ascii_case(wanted.as_bytes()));
        let Some(which) = which else { continue };
        // A field that may stand once counts once: the first, whatever follows.
        if std::mem::replace(&mut is_seen[which], true) {
            continue;
        }
        match which {
            0 => (boundary, type_name) = read_type(value, &mut mime),
            1 => read_disposition(value, &mut mime),
            2 => mime.encoding = Encoding::named(value),
            _ => {
                let id = unstructured(&value[..value.len().min(MAX_PARAMETERS)]);
                let id = id.trim().trim_start_matches('<').trim_end_matches('>');
                mime.content_id = (!id.is_empty()).then(|| id.to_owned());
            }
        }
    }
    mime.name = mime.name.or(type_name);
    if mime.essence.is_empty() {
        mime.essence = String::from(if in_digest { "message/rfc822" } else { "text/plain" });
    }
    (mime, boundary)
}

fn read_type(value: &[u8], mime: &mut MimeFields) -> (Option<Vec<u8>>, Option<String>) {
    let line = unfolded(&value[..value.len().min(MAX_PARAMETERS)]);
    let HeaderValue::ContentType(parsed) = MessageStream::new(&line).parse_content_type() else {
        return (None, None);
    };
    if let Some(subtype) = parsed.subtype() {
        let essence = format!("{}/{subtype}", parsed.ctype()).to_ascii_lowercase();
        let is_type = essence.len() <= 127
            && essence.bytes().all(|b| b.is_ascii_alphanumeric() || b"/!#$&-^_.+".contains(&b));
        mime.essence = if is_type { essence } else { "application/octet-stream".to_owned() };
    }
    mime.charset = parsed.attribute("charset").map(str::to_owned);
    let boundary = parsed.attribute("boundary").map(|text| text.trim_end().as_bytes().to_vec());
    let boundary = boundary.filter(|boundary| (1..=MAX_BOUNDARY).contains(&boundary.len()));
    (boundary, parsed.attribute("name").map(|name| unstructured(name.as_bytes())))
}

fn read_disposition(value: &[u8], mime: &mut MimeFields) {
    let line = unfolded(&value[..value.len().min(MAX_PARAMETERS)]);
    if let HeaderValue::ContentType(parsed) = MessageStream::new(&line).parse_content_type() {
        mime.is_attachment = parsed.ctype().eq_ignore_ascii_case("attachment");
        // Many write encoded words into parameters, which RFC 2047 forbids; all readers decode them.
        mime.name = parsed.attribute("filename").map(|name| unstructured(name.as_bytes()));
    }
}

/// The value unfolded (RFC 5322, section 2.2.3: only the line breaks go), as the parser wants it: ended by one.
fn unfolded(value: &[u8]) -> Vec<u8> {
    let mut line: Vec<u8> = value.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    line.push(b'\n');
    line
}

/// A value with its encoded words decoded, on one line, without control characters.
pub(super) fn unstructured(value: &[u8]) -> String {
    let line = unfolded(value);
    let decoded = match MessageStream::new(&line).parse_unstructured() {
        HeaderValue::Text(text) => text.into_owned(),
        _ => String::new(),
    };
    if decoded.contains(char::is_control) {
        decoded.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
    } else {
        decoded
    }
}

/// The fields of a header in their order: name, and value with its folds.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut end = line_end(self.0)?;
            while matches!(self.0.get(end), Some(b' ' | b'\t')) {
                end += line_end(&self.0[end..]).unwrap_or(self.0.len() - end);
            }
            let (line, rest) = self.0.split_at(end);
            self.0 = rest;
            if let Some(colon) = memchr(b':', line) {
                return Some((line[..colon].trim_ascii(), line[colon + 1..].trim_ascii()));
            }
        }
    }
}

/// Where the first line ends, its line break included; `None` when there is none.
fn line_end(text: &[u8]) -> Option<usize> {
    (!text.is_empty()).then(|| memchr(b'\n', text).map_or(text.len(), |at| at + 1))
}
