//! Whether a file is what it is said to be.
//!
//! A whitelist of types is worth nothing when a program passes as a picture, so the first octets
//! decide: a declared type must fit what the content says of itself.

mod office;
mod types;

pub use types::{default_allowed_types, extension_matches, type_from_name};

use types::{Family, family_of};

/// How much of the content is looked at for text; more costs time and adds nothing.
const TEXT_SAMPLE: usize = 8 * 1024;

/// Guesses the type of `content`: by its magic number, with the help of `filename` where several
/// types share one (office formats, text). `None` where nothing fits.
pub fn sniff(content: &[u8], filename: &str) -> Option<&'static str> {
    if is_executable(content) {
        return Some("application/x-executable");
    }
    let named = type_from_name(filename);
    if let Some(found) = magic(content) {
        return Some(match (found, named) {
            ("application/zip", Some(named)) if office::fits_zip(named, content) => named,
            (CFB, Some(named)) if family_of(named) == Family::Cfb => named,
            _ => found,
        });
    }
    if !is_text(content) {
        return None;
    }
    match named {
        Some(named) if family_of(named) == Family::Text => Some(named),
        _ if looks_like_html(content) => Some("text/html"),
        _ => Some("text/plain"),
    }
}

/// Whether content of this kind may be declared as `declared` (parameters are ignored). Programs
/// and scripts agree with no type; a type unknown here agrees with whatever has no known magic.
pub fn agrees(declared: &str, content: &[u8]) -> bool {
    if is_executable(content) {
        return false;
    }
    let declared = crate::message::essence(declared).to_ascii_lowercase();
    match family_of(&declared) {
        Family::Text => magic(content).is_none() && is_text(content),
        Family::Magic => magic(content) == Some(declared.as_str()),
        Family::Zip => office::fits_zip(&declared, content),
        Family::Cfb => magic(content) == Some(CFB),
        Family::Unknown => fits_unknown(&declared, content),
    }
}

/// A type that an operator allowed: it may be a format within a common container, but not pass
/// for another known one.
fn fits_unknown(declared: &str, content: &[u8]) -> bool {
    let is_application = declared.starts_with("application/");
    match magic(content) {
        None => true,
        Some("application/zip" | "application/gzip" | CFB) if is_application => true,
        Some(found) => found == declared || declared == "application/octet-stream",
    }
}

/// The container of the office formats before 2007 ("compound file").
const CFB: &str = "application/x-ole-storage";

fn magic(content: &[u8]) -> Option<&'static str> {
    const MAGIC: [(&[u8], &str); 11] = [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
        (b"PK\x03\x04", "application/zip"),
        (b"PK\x05\x06", "application/zip"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", CFB),
        (b"{\\rtf", "application/rtf"),
        (b"\x1f\x8b", "application/gzip"),
        (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
        (b"Rar!\x1a\x07", "application/vnd.rar"),
    ];
    // Readers of PDF allow some octets before the mark; a whole page of them is a polyglot.
    let start = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content).trim_ascii_start();
    if start.starts_with(b"%PDF-") {
        return Some("application/pdf");
    }
    if content.starts_with(b"RIFF") && content.get(8..12) == Some(b"WEBP") {
        return Some("image/webp");
    }
    MAGIC.iter().find(|(mark, _)| content.starts_with(mark)).map(|&(_, found)| found)
}

/// Programs of Windows, Linux and macOS, and scripts.
fn is_executable(content: &[u8]) -> bool {
    const MARKS: [&[u8]; 8] = [
        b"MZ",
        b"\x7fELF",
        b"#!",
        b"\xfe\xed\xfa\xce",
        b"\xfe\xed\xfa\xcf",
        b"\xce\xfa\xed\xfe",
        b"\xcf\xfa\xed\xfe",
        b"\xca\xfe\xba\xbe",
    ];
    let is_marked = MARKS.iter().any(|mark| content.starts_with(mark));
    // Text may begin with the letters MZ; a program has a header of at least 64 octets behind them.
    is_marked && !(content.starts_with(b"MZ") && is_text(content))
}

/// Text: UTF-8 or a one-octet encoding, without NUL and without control characters that do not
/// belong there; or UTF-16 with its mark.
fn is_text(content: &[u8]) -> bool {
    if content.starts_with(b"\xff\xfe") || content.starts_with(b"\xfe\xff") {
        return content.len().is_multiple_of(2);
    }
    let has_control = |bytes: &[u8]| {
        bytes.iter().any(|&byte| {
            (byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b)) || byte == 0x7f
        })
    };
    // A NUL anywhere is binary data, also behind a harmless beginning.
    memchr::memchr(0, content).is_none() && !has_control(&content[..content.len().min(TEXT_SAMPLE)])
}

fn looks_like_html(content: &[u8]) -> bool {
    let start: Vec<u8> = content.trim_ascii_start().iter().take(14).map(u8::to_ascii_lowercase).collect();
    start.starts_with(b"<!doctype html") || start.starts_with(b"<html")
}

#[cfg(test)]
mod tests;
