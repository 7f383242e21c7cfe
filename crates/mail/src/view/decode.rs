//! Transfer encodings (RFC 2045, section 6) and character sets, as forgiving as readers are: what does not decode is
//! shown as it stands.

use mail_parser::decoders::charsets::map::charset_decoder;
use std::borrow::Cow;

/// How a body was made fit for transport.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Encoding {
    /// 7bit, 8bit, binary, and what nobody knows.
    #[default]
    Identity,
    QuotedPrintable,
    Base64,
}

impl Encoding {
    /// The encoding that `Content-Transfer-Encoding` names.
    pub(super) fn named(value: &[u8]) -> Self {
        let name = value.trim_ascii();
        if name.eq_ignore_ascii_case(b"base64") {
            Self::Base64
        } else if name.eq_ignore_ascii_case(b"quoted-printable") {
            Self::QuotedPrintable
        } else {
            Self::Identity
        }
    }

    pub(super) fn is_identity(self) -> bool {
        self == Self::Identity
    }
}

/// The octets behind a transfer encoding.
pub(super) fn transfer(body: &[u8], encoding: Encoding) -> Cow<'_, [u8]> {
    match encoding {
        Encoding::Identity => Cow::Borrowed(body),
        Encoding::QuotedPrintable => Cow::Owned(quoted_printable(body)),
        Encoding::Base64 => Cow::Owned(base64(body)),
    }
}

/// Octets outside the alphabet are passed over (RFC 2045, section 6.8); padding ends a run of four.
fn base64(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    for &byte in body {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                flush(&mut out, bits, count);
                (bits, count) = (0, 0);
                continue;
            }
            _ => continue,
        };
        bits = bits << 6 | u32::from(value);
        count += 1;
        if count == 4 {
            flush(&mut out, bits, count);
            (bits, count) = (0, 0);
        }
    }
    flush(&mut out, bits, count);
    out
}

/// Writes the whole octets that `count` characters of six bits hold.
fn flush(out: &mut Vec<u8>, bits: u32, count: usize) {
    let filled = bits << (6 * (4 - count.min(4)));
    let [_, first, second, third] = filled.to_be_bytes();
    let octets = [first, second, third];
    out.extend_from_slice(&octets[..count.saturating_sub(1)]);
}

/// A `=` that begins no octet and no soft line break stays.
fn quoted_printable(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut rest = body;
    while let [first, behind @ ..] = rest {
        rest = behind;
        if *first != b'=' {
            out.push(*first);
            continue;
        }
        match behind {
            [high, low, behind @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                out.push(hex(*high) << 4 | hex(*low));
                rest = behind;
            }
            [b'\r', b'\n', behind @ ..] | [b'\n', behind @ ..] => rest = behind,
            [] => {}
            _ => out.push(b'='),
        }
    }
    out
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20).wrapping_sub(b'a').wrapping_add(10),
    }
}

/// Text in UTF-8 with LF as line break.
pub(super) fn text(octets: &[u8], charset: Option<&str>) -> String {
    let decoded = match charset.and_then(|name| charset_decoder(name.trim().as_bytes())) {
        // ASCII and UTF-8 have no decoder there; so have unknown sets, which are most likely one of them.
        None => String::from_utf8_lossy(octets).into_owned(),
        Some(decoder) => decoder(octets),
    };
    if decoded.contains('\r') { decoded.replace("\r\n", "\n") } else { decoded }
}
