use mail_parser::{Message, MessageParser, MimeHeaders as _};
use proptest::prelude::*;

use super::*;
use crate::header::{HeaderName, HeaderValue};

fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(text).expect(text)
}

fn parts<'a>(from: &'a Mailbox, to: &'a [Mailbox]) -> MessageParts<'a> {
    MessageParts {
        from,
        to,
        cc: &[],
        reply_to: &[],
        subject: "Hello",
        text: None,
        html: None,
        attachments: &[],
        headers: &[],
        message_id: "0192@example.com",
        date_ms: 1_763_638_682_500,
        boundary_seed: 0x0192_0000_0000_7000_8000_0000_0000_0001,
    }
}

fn write(parts: &MessageParts<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    write_message(parts, &mut out).expect("writes");
    out
}

fn parse(raw: &[u8]) -> Message<'_> {
    MessageParser::new().parse(raw).expect("parses")
}

/// CRLF only, no long line, nothing but printable ASCII.
fn assert_sound(raw: &[u8]) {
    assert!(!has_stray_line_break(raw));
    assert!(raw.ends_with(b"\r\n"));
    for line in raw.split(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        assert!(line.len() <= 998, "a line of {} octets", line.len());
        assert!(line.iter().all(|&byte| byte == b'\t' || (b' '..=b'~').contains(&byte)));
    }
}

fn crlf(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n")
}

#[test]
fn a_text_and_html_message_is_written_to_the_letter() {
    let (from, to) = (mailbox("Example <noreply@example.com>"), [mailbox("Ann <a@b.com>")]);
    let mut parts = parts(&from, &to);
    parts.text = Some("Hello\nAnn");
    parts.html = Some("<p>Hello Ann</p>\n");
    let expected = "From: Example <noreply@example.com>\r\n\
        To: Ann <a@b.com>\r\n\
        Subject: Hello\r\n\
        Date: Thu, 20 Nov 2025 11:38:02 +0000\r\n\
        Message-ID: <0192@example.com>\r\n\
        MIME-Version: 1.0\r\n\
        Content-Type: multipart/alternative;\r\n boundary=\"=_ph_01920000000070008000000000000001a\"\r\n\
        \r\n--=_ph_01920000000070008000000000000001a\r\n\
        Content-Type: text/plain; charset=utf-8\r\n\
        Content-Transfer-Encoding: 7bit\r\n\r\n\
        Hello\r\nAnn\
        \r\n--=_ph_01920000000070008000000000000001a\r\n\
        Content-Type: text/html; charset=utf-8\r\n\
        Content-Transfer-Encoding: 7bit\r\n\r\n\
        <p>Hello Ann</p>\r\n\
        \r\n--=_ph_01920000000070008000000000000001a--\r\n";
    assert_eq!(String::from_utf8(write(&parts)).expect("ASCII"), expected);
    assert_eq!(write(&parts), write(&parts), "every attempt gives the same bytes");
}

#[test]
fn all_levels_are_built_and_read_back() {
    let (from, to) = (mailbox("a@b.com"), [mailbox("c@d.com")]);
    let png = [0x89, b'P', 0, 255, 13, 10];
    let pdf: Vec<u8> = (0..=255).cycle().take(5000).collect();
    let files = [
        AttachmentPart {
            filename: "a.pdf",
            mime: "application/pdf",
            content: &pdf,
            content_id: None,
            inline: false,
        },
        AttachmentPart {
            filename: "lögo.png",
            mime: "image/png",
            content: &png,
            content_id: Some("logo"),
            inline: true,
        },
    ];
    let mut parts = parts(&from, &to);
    parts.text = Some("t");
    parts.html = Some("<img src=cid:logo>");
    parts.attachments = &files;
    let raw = write(&parts);
    assert_sound(&raw);
    let message = parse(&raw);
    let types: Vec<_> = message
        .parts
        .iter()
        .filter_map(|part| {
            let kind = part.content_type()?;
            Some(format!("{}/{}", kind.ctype(), kind.subtype()?))
        })
        .collect();
    assert_eq!(
        types,
        [
            "multipart/mixed",
            "multipart/related",
            "multipart/alternative",
            "text/plain",
            "text/html",
            "image/png",
            "application/pdf",
        ]
    );
    let names: Vec<_> = message.attachments().map(|file| (file.attachment_name(), file.contents())).collect();
    assert!(names.contains(&(Some("lögo.png"), &png[..])));
    assert!(names.contains(&(Some("a.pdf"), &pdf[..])));
    assert!(message.parts.iter().any(|part| part.content_id() == Some("logo")));
}

#[test]
fn an_attached_message_is_kept_byte_for_byte() {
    let (from, to) = (mailbox("a@b.com"), [mailbox("c@d.com")]);
    let seven = "Subject: x\r\n\r\nbody\r\n".to_owned();
    let eight = "Subject: \u{fc}\r\n\r\nbody\r\n".to_owned();
    let stray = "Subject: x\n\nbody\n".to_owned();
    let ours =
        format!("Subject: x\r\n\r\n--=_ph_{:032x}m\r\n", 0x0192_0000_0000_7000_8000_0000_0000_0001_u128);
    for content in [seven, eight, stray, ours] {
        let files = [AttachmentPart {
            filename: "m.eml",
            mime: "message/rfc822",
            content: content.as_bytes(),
            content_id: None,
            inline: false,
        }];
        let mut parts = parts(&from, &to);
        parts.text = Some("t");
        parts.attachments = &files;
        let raw = write(&parts);
        assert_sound(&raw);
        let message = parse(&raw);
        assert_eq!(message.attachment(0).expect("one").contents(), content.as_bytes());
        assert_eq!(message.attachment_count(), 1);
    }
}

#[test]
fn recipients_may_all_be_hidden() {
    let from = mailbox("a@b.com");
    let raw = write(&parts(&from, &[]));
    let text = String::from_utf8(raw).expect("ASCII");
    assert!(text.contains("\r\nTo: undisclosed-recipients:;\r\n"));
    assert!(!text.contains("Bcc"));
}

#[test]
fn our_boundary_in_a_body_ends_nothing() {
    let (from, to) = (mailbox("a@b.com"), [mailbox("c@d.com")]);
    let mut parts = parts(&from, &to);
    let body = format!("x\r\n--=_ph_{:032x}a--\r\nContent-Type: text/evil\r\n\r\ny", parts.boundary_seed);
    parts.text = Some(&body);
    parts.html = Some(&body);
    let raw = write(&parts);
    assert_sound(&raw);
    let message = parse(&raw);
    assert_eq!(message.parts.len(), 3);
    assert_eq!(message.body_text(0).as_deref(), Some(body.as_str()));
    assert_eq!(message.body_html(0).as_deref(), Some(body.as_str()));
}

#[test]
fn bodies_that_look_like_the_end_of_data_pass_unchanged() {
    let (from, to) = (mailbox("a@b.com"), [mailbox("c@d.com")]);
    for body in [
        "a\r\n\r\n.\r\nMAIL FROM:<x@y.com>\r\n",
        ".",
        "\n.\n",
        "\r.\r",
        "a\n.\r\nb",
        "\r\r\n.\r\r\n",
        "..\r\n.a",
    ] {
        let mut parts = parts(&from, &to);
        parts.text = Some(body);
        parts.html = Some(body);
        let raw = write(&parts);
        assert_sound(&raw);
        assert_eq!(parse(&raw).body_text(0).as_deref(), Some(crlf(body).as_str()));
    }
}

#[test]
fn long_lines_and_controls_are_encoded() {
    let (from, to) = (mailbox("a@b.com"), [mailbox("c@d.com")]);
    for body in [
        "x".repeat(100_000),
        "é".repeat(4000),
        "a\0b\u{7f}\u{1b}[2J\u{85}".to_owned(),
        " \t \r\n \t".to_owned(),
        format!("{} ", "y".repeat(2000)),
    ] {
        let mut parts = parts(&from, &to);
        parts.text = Some(&body);
        parts.html = Some("x");
        let raw = write(&parts);
        assert_sound(&raw);
        assert_eq!(parse(&raw).body_text(0).as_deref(), Some(body.as_str()));
    }
}

#[test]
fn hostile_parts_are_refused() {
    let (from, to) = (mailbox("a@b.com"), [mailbox("c@d.com")]);
    let base = parts(&from, &to);
    let refused = |parts: MessageParts<'_>| write_message(&parts, &mut Vec::new()).expect_err("refused");
    for text in ["a\rb", "a\nb", "a\r\nBcc: x@y.com", "\0", "\u{7f}", "\u{85}"] {
        assert_eq!(refused(MessageParts { subject: text, ..base }), BuildError::ControlCharacter("subject"));
        assert_eq!(refused(MessageParts { message_id: text, ..base }), BuildError::MessageId);
        let named = Mailbox { name: Some(text.to_owned()), address: from.address.clone() };
        let list = [named.clone()];
        assert!(matches!(refused(MessageParts { from: &named, ..base }), BuildError::ControlCharacter(_)));
        assert!(matches!(refused(MessageParts { to: &list, ..base }), BuildError::ControlCharacter(_)));
        assert!(matches!(refused(MessageParts { cc: &list, ..base }), BuildError::ControlCharacter(_)));
        assert!(matches!(refused(MessageParts { reply_to: &list, ..base }), BuildError::ControlCharacter(_)));
        let file = AttachmentPart {
            filename: "a",
            mime: "text/plain",
            content: b"",
            content_id: None,
            inline: false,
        };
        let with = |file: AttachmentPart<'_>| refused(MessageParts { attachments: &[file], ..base });
        assert_eq!(
            with(AttachmentPart { filename: text, ..file }),
            BuildError::ControlCharacter("file name")
        );
        assert_eq!(with(AttachmentPart { mime: text, ..file }), BuildError::MimeType(0));
        assert_eq!(with(AttachmentPart { content_id: Some(text), ..file }), BuildError::ContentId(0));
    }
    for name in ["To", "subject", "FROM", "Content-Type", "Received", "DKIM-Signature", "Bcc", "Resent-From"]
    {
        let headers = [(HeaderName::parse(name).expect(name), HeaderValue::parse("x").expect("valid"))];
        assert!(
            matches!(refused(MessageParts { headers: &headers, ..base }), BuildError::ReservedHeader(_)),
            "{name}"
        );
    }
    assert_eq!(refused(MessageParts { message_id: "a> <b", ..base }), BuildError::MessageId);
    assert_eq!(refused(MessageParts { date_ms: i64::MAX, ..base }), BuildError::Date);
}

#[test]
fn every_header_occurs_once() {
    let (from, to) = (mailbox("Jürgen <a@b.com>"), [mailbox("\"B, C\" <c@d.com>"), mailbox("e@f.com")]);
    let headers =
        [(HeaderName::parse("X-Posthaste-Id").expect("valid"), HeaderValue::parse("1").expect("valid"))];
    let mut parts = parts(&from, &to);
    parts.cc = &to[..1];
    parts.reply_to = &to[1..];
    parts.headers = &headers;
    parts.subject = "Grüße";
    let raw = write(&parts);
    assert_sound(&raw);
    let message = parse(&raw);
    let mut names: Vec<_> =
        message.headers().iter().map(|header| header.name().to_ascii_lowercase()).collect();
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
    assert_eq!(message.subject(), Some("Grüße"));
    assert_eq!(message.header_raw("X-Posthaste-Id").map(str::trim), Some("1"));
}

#[test]
fn only_a_local_part_needs_smtputf8() {
    let ascii = mailbox("Jürgen <a@bücher.example>");
    let other = mailbox("用户@example.com");
    assert!(!needs_smtputf8([&ascii.address]));
    assert!(needs_smtputf8([&ascii.address, &other.address]));
    assert!(write(&parts(&ascii, &[])).is_ascii());
    let raw = write(&parts(&other, &[]));
    assert!(String::from_utf8(raw).expect("UTF-8").starts_with("From: 用户@example.com\r\n"));
}

#[test]
#[ignore = "measures; run in release with --nocapture"]
fn two_kilobytes_are_written_in_microseconds() {
    let (from, to) = (mailbox("Example <noreply@example.com>"), [mailbox("Ann <a@b.com>")]);
    let line = "The quick brown fox jumps over the lazy dog and runs away.\n";
    for (label, text) in [("ASCII", line.repeat(17)), ("UTF-8", line.replace('q', "ü").repeat(17))] {
        let html = format!("<html><body><p>{text}</p></body></html>");
        let mut parts = parts(&from, &to);
        parts.text = Some(&text);
        parts.html = Some(&html);
        let rounds = 100_000;
        let mut out = Vec::new();
        let start = std::time::Instant::now();
        for _ in 0..rounds {
            out.clear();
            write_message(&parts, &mut out).expect("writes");
            std::hint::black_box(&out);
        }
        println!("{label}: {} octets, {:?} each", out.len(), start.elapsed() / rounds);
    }
}

proptest! {
    #[test]
    fn messages_read_back(
        subject in "[^\\p{Cc}]{1,100}",
        name in "[^\\p{Cc}\\u{2028}\\u{2029}]{1,40}",
        text in proptest::option::of("[^\\r]{0,400}|[a-z \\t.=\\r\\n-]{0,1500}"),
        html in proptest::option::of("[^\\r]{0,400}|[a-z<>é日 \\n]{0,1500}"),
        content in prop::collection::vec(any::<u8>(), 0..2000),
        filename in "[^\\p{Cc}]{1,100}",
        inline in any::<bool>(),
        with_file in any::<bool>(),
        seed in any::<u128>(),
    ) {
        let address = mailbox("a@b.com").address;
        let from = Mailbox::new(Some(&name), address).expect("valid name");
        let to = [mailbox("c@d.com")];
        let file = AttachmentPart { filename: &filename, mime: "application/octet-stream", content: &content, content_id: Some("x@y"), inline };
        let mut parts = parts(&from, &to);
        parts.subject = &subject;
        parts.text = text.as_deref();
        parts.html = html.as_deref();
        parts.boundary_seed = seed;
        let files = [file];
        parts.attachments = if with_file { &files } else { &[] };
        let raw = write(&parts);
        assert_sound(&raw);
        let message = parse(&raw);
        prop_assert_eq!(message.subject(), Some(subject.as_str()));
        // A message of one part ends its last line; within a multipart nothing is added.
        let alone = !with_file && (text.is_none() || html.is_none());
        let read = |body: Option<std::borrow::Cow<'_, str>>| {
            let body = body.unwrap_or_default().into_owned();
            if alone { body.strip_suffix("\r\n").map_or(body.clone(), str::to_owned) } else { body }
        };
        let expect = |body: &str| {
            let body = crlf(body);
            if alone { body.strip_suffix("\r\n").map_or(body.clone(), str::to_owned) } else { body }
        };
        if let Some(text) = &text {
            prop_assert_eq!(read(message.body_text(0)), expect(text));
        }
        if let Some(html) = &html {
            prop_assert_eq!(read(message.body_html(0)), expect(html));
        }
        if with_file {
            let found = message.attachments().find(|part| part.content_id() == Some("x@y")).expect("one file");
            prop_assert_eq!(found.contents(), &content[..]);
            prop_assert_eq!(found.attachment_name(), Some(filename.as_str()));
        }
    }

    #[test]
    fn line_breaks_are_normalized(bytes in prop::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), any::<u8>()], 0..200)) {
        let normal = normalize_crlf(&bytes);
        prop_assert!(!has_stray_line_break(&normal));
        let again = normalize_crlf(&normal);
        prop_assert_eq!(&again, &normal);
        let strip = |bytes: &[u8]| bytes.iter().copied().filter(|byte| !b"\r\n".contains(byte)).collect::<Vec<_>>();
        prop_assert_eq!(strip(&normal), strip(&bytes));
        if is_7bit(&bytes) {
            prop_assert!(!has_stray_line_break(&bytes));
            prop_assert!(bytes.is_ascii());
        }
    }
}
