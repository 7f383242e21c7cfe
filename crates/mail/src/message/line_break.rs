//! Line breaks: on the wire only CRLF is one (RFC 5321, 2.3.8), and whatever else is taken for
//! one lets a message hide another (SMTP smuggling).

use std::borrow::Cow;

use memchr::{memchr_iter, memchr2};

/// Lines of a body that is not encoded stay below this, in octets without CRLF. RFC 5322, 2.1.1
/// says 998; relays that count the dot or the CRLF must not break it.
const MAX_7BIT_LINE: usize = 990;

/// Whether there is a CR without LF or an LF without CR.
pub fn has_stray_line_break(bytes: &[u8]) -> bool {
    let mut pairs = 0;
    for at in memchr_iter(b'\n', bytes) {
        if at == 0 || bytes[at - 1] != b'\r' {
            return true;
        }
        pairs += 1;
    }
    memchr_iter(b'\r', bytes).count() != pairs
}

/// Turns each CR, LF and CRLF into one CRLF; borrows where there is nothing to do.
pub fn normalize_crlf(bytes: &[u8]) -> Cow<'_, [u8]> {
    if !has_stray_line_break(bytes) {
        return Cow::Borrowed(bytes);
    }
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 16 + 8);
    let mut rest = bytes;
    while let Some(at) = memchr2(b'\r', b'\n', rest) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(b"\r\n");
        let is_pair = rest[at..].starts_with(b"\r\n");
        rest = &rest[at + if is_pair { 2 } else { 1 }..];
    }
    out.extend_from_slice(rest);
    Cow::Owned(out)
}

/// Whether the bytes can be sent as they are (RFC 2045, 2.7): ASCII without control characters
/// but TAB, lines that end in CRLF and are short enough.
pub fn is_7bit(bytes: &[u8]) -> bool {
    is_printable_ascii(bytes) && has_only_short_crlf_lines(bytes)
}

/// ASCII, with no control characters but TAB, CR and LF.
pub(super) fn is_printable_ascii(bytes: &[u8]) -> bool {
    bytes.is_ascii() && !has_control_character(bytes)
}

/// A control character of ASCII other than TAB, CR and LF.
pub(super) fn has_control_character(bytes: &[u8]) -> bool {
    // Without an early exit the compiler makes vector instructions of it.
    bytes.iter().fold(false, |found, &byte| {
        let allowed = byte >= b' ' || byte == b'\t' || byte == b'\r' || byte == b'\n';
        found || !allowed || byte == 0x7f
    })
}

pub(super) fn has_only_short_crlf_lines(bytes: &[u8]) -> bool {
    let mut start = 0;
    let mut pairs = 0;
    for at in memchr_iter(b'\n', bytes) {
        if at == 0 || bytes[at - 1] != b'\r' || at - start > MAX_7BIT_LINE {
            return false;
        }
        pairs += 1;
        start = at + 1;
    }
    bytes.len() - start <= MAX_7BIT_LINE && memchr_iter(b'\r', bytes).count() == pairs
}
