use mail_parser::{MessageParser, MimeHeaders as _};
use proptest::prelude::*;

use super::*;
use crate::address::{Address, Mailbox};

fn text_header(name: &str, text: &str) -> String {
    let mut out = Vec::new();
    let mut folder = Folder::start(&mut out, name);
    folder.text(text);
    folder.finish();
    String::from_utf8(out).expect("headers are UTF-8")
}

fn mailbox_header(mailboxes: &[Mailbox]) -> String {
    let mut out = Vec::new();
    let mut folder = Folder::start(&mut out, "To");
    folder.mailboxes(mailboxes);
    folder.finish();
    String::from_utf8(out).expect("headers are UTF-8")
}

fn parameter_header(filename: &str) -> String {
    let mut out = Vec::new();
    let mut folder = Folder::start(&mut out, "Content-Disposition");
    folder.write("attachment");
    folder.parameter("filename", filename);
    folder.finish();
    String::from_utf8(out).expect("headers are UTF-8")
}

/// One header: CRLF only before a space or at the end, nothing but printable characters.
fn assert_one_sound_header(header: &str, longest: usize) {
    let body = header.strip_suffix("\r\n").expect("ends the line");
    for (index, line) in body.split("\r\n").enumerate() {
        assert!(index == 0 || line.starts_with(' '), "{header:?}");
        assert!(!line.contains(['\r', '\n', '\0']), "{header:?}");
        assert!(!line.trim().is_empty(), "{header:?}");
        assert!(line.len() <= longest, "{} octets: {header:?}", line.len());
    }
    assert!(header.is_ascii(), "{header:?}");
}

fn subject_of(header: &str) -> String {
    let raw = format!("{header}\r\n");
    let message = MessageParser::new().parse(raw.as_bytes()).expect("parses");
    message.subject().unwrap_or_default().to_owned()
}

#[test]
fn names_that_would_override_ours_are_reserved() {
    for name in [
        "From",
        "to",
        "CC",
        "Bcc",
        "Subject",
        "Date",
        "Message-Id",
        "Sender",
        "Reply-To",
        "MIME-Version",
        "Content-Type",
        "content-transfer-encoding",
        "Content-X",
        "Return-Path",
        "Received",
        "DKIM-Signature",
        "Resent-From",
        "Resent-To",
        "X-Posthaste-Id",
        "ARC-Seal",
        "Authentication-Results",
    ] {
        assert!(HeaderName::parse(name).expect(name).is_reserved(), "{name}");
    }
    for name in ["X-Campaign", "List-Unsubscribe", "In-Reply-To", "References", "X-From", "Auto-Submitted"] {
        assert!(!HeaderName::parse(name).expect(name).is_reserved(), "{name}");
    }
}

#[test]
fn hostile_names_are_refused() {
    let long = "a".repeat(77);
    for name in [
        "",
        "X Y",
        "X:",
        "X\r\nY",
        "X\n",
        "X\0",
        "X\t",
        "X\u{7f}",
        "X\u{2028}",
        "Ü",
        "a(b)",
        "\"x\"",
        "X\u{85}",
        &long,
    ] {
        assert!(HeaderName::parse(name).is_err(), "{name:?}");
    }
    assert!(HeaderName::parse(&"a".repeat(76)).is_ok());
}

#[test]
fn hostile_values_are_refused_or_become_encoded_words() {
    for value in ["a\rb", "a\nb", "a\r\nBcc: x@y.com", "\0", "a\t\r\nb", "\u{7f}", "\u{85}", "\u{1b}[2J"] {
        assert_eq!(HeaderValue::parse(value), Err(HeaderError::ControlCharacter), "{value:?}");
    }
    assert_eq!(HeaderValue::parse(&"a".repeat(8193)), Err(HeaderError::ValueTooLong));
    for value in ["a\u{2028}b", "a\tb", "%0d%0aBcc: x", "=?utf-8?q?=0d=0a?=", " a ", "a  b"] {
        let value = HeaderValue::parse(value).expect("legal text");
        let header = text_header("Subject", value.as_str());
        assert_one_sound_header(&header, 76);
        assert_eq!(subject_of(&header), value.as_str());
    }
}

#[test]
fn plain_text_is_left_alone_and_folded_at_spaces() {
    assert_eq!(text_header("Subject", "Hello, world"), "Subject: Hello, world\r\n");
    let long = "word ".repeat(40);
    let header = text_header("Subject", long.trim_end());
    assert!(!header.contains("=?"));
    assert_one_sound_header(&header, 76);
    assert_eq!(header.replace("\r\n ", " "), format!("Subject: {}\r\n", long.trim_end()));
}

#[test]
fn words_without_end_stay_under_the_line_limit() {
    for text in ["x".repeat(880), "x".repeat(5000), format!("a {}", "y".repeat(2000))] {
        for name in ["Subject", &"N".repeat(76)] {
            assert_one_sound_header(&text_header(name, &text), 998);
        }
        assert_eq!(subject_of(&text_header("Subject", &text)), text);
    }
}

#[test]
fn names_are_written_as_atoms_quoted_or_encoded() {
    let mailbox = |name: &str| {
        let address = Address::parse("a@b.com").expect("valid");
        mailbox_header(&[Mailbox { name: Some(name.to_owned()), address }])
    };
    assert_eq!(mailbox("Ann Lee"), "To: Ann Lee <a@b.com>\r\n");
    assert_eq!(mailbox("Ann, B"), "To: \"Ann, B\" <a@b.com>\r\n");
    assert_eq!(mailbox("x@y.com"), "To: \"x@y.com\" <a@b.com>\r\n");
    assert_eq!(mailbox("q\"\\"), "To: \"q\\\"\\\\\" <a@b.com>\r\n");
    assert_eq!(mailbox("Jürgen"), "To: =?utf-8?Q?J=C3=BCrgen?= <a@b.com>\r\n");
    assert_eq!(mailbox("日本"), "To: =?utf-8?B?5pel5pys?= <a@b.com>\r\n");
    assert_eq!(mailbox(""), "To: a@b.com\r\n");
    assert_one_sound_header(&mailbox("a\r\nBcc: evil@x.com"), 76);
}

#[test]
fn file_names_are_quoted_or_extended() {
    assert_eq!(
        parameter_header("report.pdf"),
        "Content-Disposition: attachment; filename=\"report.pdf\"\r\n"
    );
    assert_eq!(
        parameter_header("Jahresabschluß; \"x\".pdf"),
        "Content-Disposition: attachment;\r\n filename*=utf-8''Jahresabschlu%C3%9F%3B%20%22x%22.pdf\r\n"
    );
    assert_one_sound_header(&parameter_header("a\r\nBcc: x@y.com"), 76);
}

proptest! {
    #[test]
    fn text_reads_back(text in "[^\\p{Cc}]{1,300}|[ -~]{1,200}|[a-z ]{60,300}|[é日a =?_]{1,120}") {
        let header = text_header("Subject", &text);
        assert_one_sound_header(&header, 998);
        prop_assert_eq!(subject_of(&header), text);
    }

    #[test]
    fn any_text_is_one_sound_header(text in "(.|[\\r\\n\\x00\\u{85}]){0,300}", name in "[A-Za-z-]{1,76}") {
        if text.is_empty() { return Ok(()); }
        assert_one_sound_header(&text_header(&name, &text), 998);
    }

    #[test]
    fn mailboxes_read_back(names in prop::collection::vec("[^\\p{Cc}\\u{2028}\\u{2029}]{0,80}", 1..6)) {
        let mailboxes: Vec<Mailbox> = names.iter().enumerate().filter_map(|(index, name)| {
            let address = Address::parse(&format!("user{index}@example.com")).expect("valid");
            Mailbox::new(Some(name), address).ok()
        }).collect();
        let header = mailbox_header(&mailboxes);
        assert_one_sound_header(&header, 998);
        let raw = format!("{header}\r\n");
        let message = MessageParser::new().parse(raw.as_bytes()).expect("parses");
        let read: Vec<_> = message.to().expect("has To").iter()
            .map(|addr| (addr.name().map(str::to_owned), addr.address().unwrap_or_default().to_owned()))
            .collect();
        let written: Vec<_> = mailboxes.iter()
            .map(|mailbox| (mailbox.name.clone(), mailbox.address.as_str().to_owned()))
            .collect();
        prop_assert_eq!(read, written);
    }

    #[test]
    fn file_names_read_back(name in "[^\\p{Cc}]{1,200}|[ -~]{1,200}") {
        let header = parameter_header(&name);
        assert_one_sound_header(&header, 998);
        let raw = format!("{header}\r\n");
        let message = MessageParser::new().parse(raw.as_bytes()).expect("parses");
        let read = message.content_disposition().and_then(|value| value.attribute("filename"));
        prop_assert_eq!(read, Some(name.as_str()));
    }
}
