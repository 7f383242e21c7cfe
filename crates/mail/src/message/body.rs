//! How the content of a part is written: as it is, quoted-printable or base64 (RFC 2045, 6).

use std::borrow::Cow;

use mail_builder::encoders::{Base64Encoder, QuotedPrintableEncoder};
use memchr::memmem;

use super::line_break::{
    has_control_character, has_only_short_crlf_lines, is_printable_ascii, normalize_crlf,
};

/// Writes Content-Transfer-Encoding, the blank line and the text, with CRLF as line break.
/// Where the text holds `boundary` it is encoded, and then cannot hold it any more: `=_` occurs
/// neither in quoted-printable nor in base64.
pub(super) fn write_text(out: &mut Vec<u8>, text: &str, boundary: &[u8]) {
    let text: Cow<'_, [u8]> = normalize_crlf(text.as_bytes());
    if is_printable_ascii(&text) {
        let plain = has_only_short_crlf_lines(&text) && memmem::find(&text, boundary).is_none();
        return if plain { write_7bit(out, &text) } else { write_quoted_printable(out, &text) };
    }
    // The encoder leaves control characters as they are.
    let has_control = has_control_character(&text);
    let escaped = text.iter().fold(0, |sum, &byte| sum + usize::from(byte >= 0x7f || byte == b'='));
    // An escape costs two octets, base64 one for each three.
    if has_control || escaped * 6 > text.len() {
        write_base64(out, &text);
    } else {
        write_quoted_printable(out, &text);
    }
}

/// Writes a file: base64, but a message as it is where that can be done (RFC 2046, 5.2.1 allows
/// no encoding there; one that needs 8BITMIME is encoded all the same, which every reader
/// undoes and no relay breaks).
pub(super) fn write_file(out: &mut Vec<u8>, content: &[u8], is_message: bool, boundary: &[u8]) {
    let plain = is_message
        && is_printable_ascii(content)
        && has_only_short_crlf_lines(content)
        && memmem::find(content, boundary).is_none();
    if plain {
        write_7bit(out, content);
    } else {
        write_base64(out, content);
    }
}

fn write_7bit(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(b"Content-Transfer-Encoding: 7bit\r\n\r\n");
    out.extend_from_slice(text);
}

fn write_quoted_printable(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(b"Content-Transfer-Encoding: quoted-printable\r\n\r\n");
    QuotedPrintableEncoder::new().preserve_line_breaks().encode_into(text, out);
}

fn write_base64(out: &mut Vec<u8>, content: &[u8]) {
    out.extend_from_slice(b"Content-Transfer-Encoding: base64\r\n\r\n");
    Base64Encoder::new().wrap_lines().encode_into(content, out);
}
