//! Relaxed canonicalization (RFC 6376, 3.4.2 and 3.4.4), in one pass and linear time.

use aws_lc_rs::digest::{Context, Digest, SHA256};
use memchr::{memchr, memchr2, memmem};

/// Hashed at once; calls into the library cost more than copying.
const CHUNK: usize = 16 * 1024;

/// The header fields of a message: name and raw value, folds included.
pub(super) struct Fields<'a>(Vec<(&'a [u8], &'a [u8])>);

impl<'a> Fields<'a> {
    /// Splits a message into its header and its body.
    pub(super) fn split(message: &'a [u8]) -> (Self, &'a [u8]) {
        let mut fields = Vec::with_capacity(16);
        let mut rest = message;
        loop {
            if let Some(body) = rest.strip_prefix(b"\r\n") {
                return (Self(fields), body);
            }
            if rest.is_empty() {
                return (Self(fields), rest);
            }
            let (field, remainder) = rest.split_at(field_end(rest));
            if let Some(colon) = memchr(b':', field) {
                fields.push((&field[..colon], &field[colon + 1..]));
            }
            rest = remainder;
        }
    }

    /// The fields of that name, the last one first.
    pub(super) fn named(&self, name: &str) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.0
            .iter()
            .rev()
            .copied()
            .filter(move |(field, _)| field.trim_ascii_end().eq_ignore_ascii_case(name.as_bytes()))
    }
}

/// Where the next field begins: behind the first CRLF that no blank follows.
fn field_end(text: &[u8]) -> usize {
    let mut from = 0;
    while let Some(at) = memmem::find(&text[from..], b"\r\n") {
        from += at + 2;
        if !matches!(text.get(from), Some(b' ' | b'\t')) {
            return from;
        }
    }
    text.len()
}

/// Appends `name:value` in relaxed form, without a line break at the end.
pub(super) fn relaxed_field(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend(name.trim_ascii_end().iter().map(u8::to_ascii_lowercase));
    out.push(b':');
    let mut is_pending = false;
    let start = out.len();
    for &byte in value {
        match byte {
            b'\r' | b'\n' => {}
            b' ' | b'\t' => is_pending = true,
            _ => {
                if is_pending && out.len() > start {
                    out.push(b' ');
                }
                is_pending = false;
                out.push(byte);
            }
        }
    }
}

/// SHA-256 of the body in relaxed form.
pub(super) fn body_hash(body: &[u8]) -> Digest {
    let mut hash = Context::new(&SHA256);
    let mut out = Vec::with_capacity(body.len().min(CHUNK) + 1024);
    // Empty lines count only when something follows them.
    let mut empty_lines = 0_usize;
    let mut rest = body;
    while !rest.is_empty() {
        let (line, remainder) = match memmem::find(rest, b"\r\n") {
            Some(at) => (&rest[..at], &rest[at + 2..]),
            None => (rest, &rest[rest.len()..]),
        };
        rest = remainder;
        let line = trim_end(line);
        if line.is_empty() {
            empty_lines += 1;
            continue;
        }
        for _ in 0..std::mem::take(&mut empty_lines) {
            out.extend_from_slice(b"\r\n");
            flush(&mut hash, &mut out);
        }
        relaxed_line(line, &mut out);
        out.extend_from_slice(b"\r\n");
        flush(&mut hash, &mut out);
    }
    hash.update(&out);
    hash.finish()
}

fn flush(hash: &mut Context, out: &mut Vec<u8>) {
    if out.len() >= CHUNK {
        hash.update(out);
        out.clear();
    }
}

fn trim_end(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|byte| !matches!(byte, b' ' | b'\t')).map_or(0, |at| at + 1);
    &line[..end]
}

/// Each run of blanks becomes one space.
fn relaxed_line(line: &[u8], out: &mut Vec<u8>) {
    let mut rest = line;
    while let Some(at) = memchr2(b' ', b'\t', rest) {
        out.extend_from_slice(&rest[..at]);
        out.push(b' ');
        let blanks = rest[at..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        rest = &rest[at + blanks..];
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::digest::digest;

    use super::*;

    #[test]
    fn bodies_are_relaxed_to_the_letter() {
        for (body, canonical) in [
            (" C \r\nD \t E\r\n\r\n\r\n", " C\r\nD E\r\n"), // RFC 6376, 3.4.5
            ("", ""),
            ("\r\n\r\n", ""),
            (" \t\r\n \r\n", ""),
            ("a", "a\r\n"),
            ("a \r\n \r\n", "a\r\n"),
            ("a\r\n\r\nb", "a\r\n\r\nb\r\n"),
            ("\r\na\r\n", "\r\na\r\n"),
        ] {
            let expected = digest(&SHA256, canonical.as_bytes());
            assert_eq!(body_hash(body.as_bytes()).as_ref(), expected.as_ref(), "{body:?}");
        }
        let long = "some words  and\tmore \r\n".repeat(5000);
        let canonical = "some words and more\r\n".repeat(5000);
        let expected = digest(&SHA256, canonical.as_bytes());
        assert_eq!(body_hash(long.as_bytes()).as_ref(), expected.as_ref());
    }

    #[test]
    fn fields_are_relaxed_to_the_letter() {
        // RFC 6376, 3.4.5
        let (fields, body) = Fields::split(b"A: X\r\nB : Y\t\r\n\tZ  \r\n\r\nbody");
        let mut out = Vec::new();
        for name in ["a", "b"] {
            for (name, value) in fields.named(name) {
                relaxed_field(name, value, &mut out);
                out.extend_from_slice(b"\r\n");
            }
        }
        assert_eq!(out, b"a:X\r\nb:Y Z\r\n");
        assert_eq!(body, b"body");
    }
}
