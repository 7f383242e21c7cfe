use proptest::prelude::*;

use super::*;

const PDF: &[u8] = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
const JPEG: &[u8] = b"\xff\xd8\xff\xe0\0\x10JFIF\0";
const WEBP: &[u8] = b"RIFF\x24\0\0\0WEBPVP8 ";
const OLE: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0\0\0";
const ELF: &[u8] = b"\x7fELF\x02\x01\x01\0";
const EXE: &[u8] = b"MZ\x90\0\x03\0\0\0";
const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
const ODT: &str = "application/vnd.oasis.opendocument.text";

/// Local entries with these names and contents, stored.
fn zip(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, content) in entries {
        let size = u32::try_from(content.len()).expect("short").to_le_bytes();
        out.extend_from_slice(b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0");
        out.extend_from_slice(&size);
        out.extend_from_slice(&size);
        out.extend_from_slice(&u16::try_from(name.len()).expect("short").to_le_bytes());
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(content.as_bytes());
    }
    out
}

#[test]
fn types_are_recognized() {
    let docx = zip(&[("[Content_Types].xml", "<x/>"), ("word/document.xml", "<x/>")]);
    let odt = zip(&[("mimetype", ODT), ("content.xml", "<x/>")]);
    for (content, filename, found) in [
        (PDF, "x", Some("application/pdf")),
        (PNG, "x.pdf", Some("image/png")),
        (JPEG, "", Some("image/jpeg")),
        (b"GIF89a\x01\0", "", Some("image/gif")),
        (WEBP, "", Some("image/webp")),
        (OLE, "a.xls", Some("application/vnd.ms-excel")),
        (OLE, "a", Some("application/x-ole-storage")),
        (&docx, "a.docx", Some(DOCX)),
        (&docx, "a.xlsx", Some("application/zip")),
        (&odt, "a.odt", Some(ODT)),
        (b"a,b\n1,2\n", "a.csv", Some("text/csv")),
        (b"a,b\n1,2\n", "a.png", Some("text/plain")),
        (b" <!DOCTYPE HTML><p>", "a", Some("text/html")),
        (b"From: a@b.com\r\n\r\nx", "a.eml", Some("message/rfc822")),
        (b"\0\x01\x02", "a.txt", None),
        (ELF, "a.txt", Some("application/x-executable")),
    ] {
        assert_eq!(sniff(content, filename), found, "{filename} {content:?}");
    }
}

#[test]
fn declared_types_must_fit_the_content() {
    let docx = zip(&[("[Content_Types].xml", "<x/>"), ("word/document.xml", "<x/>")]);
    let odt = zip(&[("mimetype", ODT)]);
    for (declared, content, expected) in [
        ("application/pdf", PDF, true),
        ("APPLICATION/PDF; name=x", PDF, true),
        ("application/pdf", b"hello", false),
        ("application/pdf", PNG, false),
        ("image/png", PDF, false),
        ("image/png", PNG, true),
        ("image/jpeg", PNG, false),
        ("image/jpeg", JPEG, true),
        ("image/webp", WEBP, true),
        ("text/plain", b"plain", true),
        ("text/plain", b"", true),
        ("text/plain", b"caf\xe9 latin", true),
        ("text/plain; charset=utf-8", "grüße".as_bytes(), true),
        ("text/plain", b"a\0b", false),
        ("text/plain", PDF, false),
        ("text/html", b"not really html", true),
        ("text/csv", b"a;b", true),
        ("application/json", b"{}", true),
        ("application/json", PNG, false),
        ("text/calendar; method=REQUEST", b"BEGIN:VCALENDAR", true),
        ("message/rfc822", b"Subject: x\r\n\r\n", true),
        ("application/msword", OLE, true),
        ("application/msword", b"text", false),
        ("application/zip", &docx, true),
        (DOCX, &docx, true),
        (XLSX, &docx, false),
        (DOCX, OLE, false),
        (ODT, &odt, true),
        (ODT, &docx, false),
        (DOCX, &odt, false),
        ("application/octet-stream", PDF, true),
        ("application/x-unknown", b"\0\x01", true),
        ("application/x-unknown", PDF, false),
        ("application/rtf", b"{\\rtf1", true),
        ("application/epub+zip", &docx, true),
        ("image/x-icon", &docx, false),
        ("image/svg+xml", PNG, false),
    ] {
        assert_eq!(agrees(declared, content), expected, "{declared} {content:?}");
    }
}

#[test]
fn programs_agree_with_nothing() {
    for content in [ELF, EXE, b"#!/bin/sh\nrm", b"\xcf\xfa\xed\xfe\0"] {
        for declared in default_allowed_types() {
            assert!(!agrees(declared, content), "{declared}");
        }
        assert!(!agrees("application/octet-stream", content));
    }
    assert!(agrees("text/plain", b"MZ is the mark of old programs"));
}

#[test]
fn extensions_belong_to_types() {
    assert_eq!(type_from_name("a.PDF"), Some("application/pdf"));
    assert_eq!(type_from_name("a.docx"), Some(DOCX));
    assert_eq!(type_from_name("a.exe"), None);
    assert_eq!(type_from_name("a"), None);
    for (declared, filename, expected) in [
        ("application/pdf", "a.pdf", true),
        ("application/pdf", "a.png", false),
        ("application/pdf", "a", true),
        ("text/plain", "a.csv", true),
        ("text/xml", "a.xml", true),
        ("text/plain", "a.pdf", false),
        ("image/jpeg", "a.JPG", true),
    ] {
        assert_eq!(extension_matches(declared, filename), expected, "{declared} {filename}");
    }
    assert!(default_allowed_types().contains(&"text/calendar"));
    assert!(default_allowed_types().iter().all(|name| crate::message::is_mime_type(name)));
}

proptest! {
    #[test]
    fn nothing_panics(content in prop::collection::vec(any::<u8>(), 0..200), start in 0_usize..8) {
        let starts: [&[u8]; 8] = [b"", b"PK\x03\x04", b"RIFF", PDF, OLE, b"\xff\xfe", b"PK\x05\x06", b"MZ"];
        let mut all = starts[start].to_vec();
        all.extend_from_slice(&content);
        for declared in default_allowed_types() {
            agrees(declared, &all);
        }
        sniff(&all, "a.odt");
    }
}
