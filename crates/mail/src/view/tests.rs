//! Messages as they are, and as they are made to harm.

use super::*;
use crate::address::Mailbox;
use crate::message::{AttachmentPart, MessageParts, write_message};
use proptest::prelude::*;

fn crlf(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

fn content(body: Option<&BodyView>) -> Option<&str> {
    body.map(|body| &*body.content)
}

#[test]
fn a_plain_message() {
    let view = read_message(&crlf(
        "From: =?utf-8?q?J=C3=B6rg?= <j@example.com>\nSubject: =?iso-8859-1?B?R3L832U=?=\n folded\n\nHi =F0\nthere\n",
    ));
    assert_eq!(view.field("from"), Some("Jörg <j@example.com>"));
    assert_eq!(view.field("SUBJECT"), Some("Grüße folded"));
    assert_eq!(content(view.text.as_ref()), Some("Hi =F0\nthere\n"));
    let folded = read_message(b"Content-Type: text/plain;\r\n charset=utf-8\r\n\r\n");
    assert_eq!(folded.field("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!((view.html, view.attachments, view.parts.len(), view.is_cut), (None, vec![], 1, false));
}

#[test]
fn bodies_attachments_and_the_tree() {
    let raw = crlf(concat!(
        "Content-Type: multipart/mixed; boundary=\"o u t\"\n\npreamble\n--o u t\n",
        "Content-Type: multipart/related; boundary=in\n\n--in\n",
        "Content-Type: multipart/alternative; boundary=alt\n\n--alt\n",
        "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\n",
        "caf=E9 =\nbar 1=2\n--alt\n",
        "Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: base64\n\nPGI+\nw6Q8L2I+\n--alt--\n--in\n",
        "Content-Type: image/png; name=\"x.png\"\nContent-ID: <logo@x>\nContent-Disposition: inline\n",
        "Content-Transfer-Encoding: base64\n\niVBORw==\n--in--\n--o u t  \n",
        "Content-Type: text/plain\nContent-Disposition: attachment; filename*=utf-8''..%2Fk%C3%A4.txt\n\nraw\n",
        "--o u t\nContent-Type: message/rfc822\n\nSubject: inner\n\ninner body\n--o u t--\nepilogue\n",
    ));
    let view = read_message(&raw);
    assert_eq!(content(view.text.as_ref()), Some("café bar 1=2"));
    assert_eq!(content(view.html.as_ref()), Some("<b>ä</b>"));
    let files: Vec<_> = view
        .attachments
        .iter()
        .map(|file| (&*file.filename, &*file.mime, file.size, file.content_id.as_deref()))
        .collect();
    assert_eq!(
        files,
        [
            ("x.png", "image/png", 4, Some("logo@x")),
            ("kä.txt", "text/plain", 3, None),
            ("attachment-3.eml", "message/rfc822", 28, None),
        ]
    );
    assert_eq!(&*view.attachments[0].content(&raw), b"\x89PNG");
    assert_eq!(&*view.attachments[2].content(&raw), b"Subject: inner\r\n\r\ninner body");
    let tree: Vec<(usize, &str)> = view.parts.iter().map(|part| (part.depth, &*part.mime)).collect();
    assert_eq!(
        tree,
        [
            (0, "multipart/mixed"),
            (1, "multipart/related"),
            (2, "multipart/alternative"),
            (3, "text/plain"),
            (3, "text/html"),
            (2, "image/png"),
            (1, "text/plain"),
            (1, "message/rfc822"),
            (2, "text/plain"),
        ]
    );
    assert!(!view.is_cut);
    let saved: Vec<&str> = view.parts.iter().map(|part| &*part.save_as).collect();
    assert_eq!(
        saved,
        [
            "part-0.mime",
            "part-1.mime",
            "part-2.mime",
            "part-3.txt",
            "part-4.html",
            "x.png",
            "kä.txt",
            "attachment-3.eml",
            "part-8.txt",
        ]
    );
    assert_eq!(&*view.parts[4].content(&raw), "<b>ä</b>".as_bytes());
    assert_eq!(&*view.parts[5].content(&raw), b"\x89PNG");
    assert_eq!(&*view.parts[8].content(&raw), b"inner body");
    let related = view.parts[1].content(&raw);
    assert!(related.starts_with(b"--in\r\n") && related.ends_with(b"--in--"), "{related:?}");
    assert_eq!(&*view.parts[5].content(b"another message"), b"");
}

#[test]
fn what_this_crate_writes_reads_back() {
    let html = "<p>Ä".repeat(400);
    let from = Mailbox::parse("Ann <ann@example.com>").expect("a mailbox");
    let parts = MessageParts {
        from: &from,
        to: &[],
        cc: &[],
        reply_to: &[],
        subject: "Größe und Länge eines langen Betreffs, der gefaltet werden muss",
        text: Some("Hallo\nWelt"),
        html: Some(&html),
        attachments: &[AttachmentPart {
            filename: "größe.pdf",
            mime: "application/pdf",
            content: b"%PDF-1.7 \0\xff",
            content_id: Some("doc@example.com"),
            inline: false,
        }],
        headers: &[],
        message_id: "1@example.com",
        date_ms: 0,
        boundary_seed: 1,
    };
    let mut raw = Vec::new();
    write_message(&parts, &mut raw).expect("a message");
    let view = read_message(&raw);
    assert_eq!(view.field("subject"), Some(parts.subject));
    assert_eq!(content(view.text.as_ref()).map(str::trim_end), Some("Hallo\nWelt"));
    assert_eq!(content(view.html.as_ref()).map(str::trim_end), Some(&*html));
    assert_eq!(view.attachments[0].filename, "größe.pdf");
    assert_eq!(&*view.attachments[0].content(&raw), b"%PDF-1.7 \0\xff");
}

#[test]
fn deep_nesting_ends_at_the_limit() {
    let mut raw = String::new();
    for depth in 0..200 {
        raw.push_str(&format!("Content-Type: multipart/mixed; boundary=b{depth}\n\n--b{depth}\n"));
    }
    raw.push_str("Content-Type: text/plain\n\nbottom\n");
    let view = read_message(&crlf(&raw));
    assert!(view.is_cut);
    assert!(view.parts.iter().all(|part| part.depth < MAX_DEPTH), "{:?}", view.parts.len());
    let nested = "Content-Type: message/rfc822\n\n".repeat(1_000);
    let view = read_message(&crlf(&nested));
    assert!(view.is_cut && view.parts.len() <= MAX_DEPTH);
}

#[test]
fn many_parts_and_many_fields_end_at_the_limit() {
    let mut raw = "Content-Type: multipart/mixed; boundary=b\n\n".to_owned();
    raw.push_str(&"--b\n\nx\n".repeat(20_000));
    let view = read_message(&crlf(&raw));
    assert_eq!((view.parts.len(), view.is_cut), (MAX_PARTS, true));
    let view = read_message(&crlf(&format!("{}\nbody", "X-Y: __proto__:\n".repeat(10_000))));
    assert_eq!((view.fields.len(), view.is_cut), (MAX_FIELDS, true));
    assert_eq!(content(view.text.as_ref()), Some("body"));
}

#[test]
fn large_bodies_are_cut_on_a_character() {
    let raw = format!("Content-Type: text/html; charset=utf-8\n\n{}", "ä".repeat(MAX_BODY));
    let html = read_message(raw.as_bytes()).html.expect("html");
    assert!(html.is_cut && html.content.len() <= MAX_BODY && html.content.ends_with('ä'));
}

#[test]
fn malformed_messages_are_shown_as_they_stand() {
    assert_eq!(content(read_message(b"no header at all").text.as_ref()), Some("no header at all"));
    assert_eq!(read_message(b"").parts.len(), 1);
    for (raw, text) in [
        // The missing end, a boundary in the text, two types, a boundary that is missing.
        ("Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n", Some("x\n")),
        ("Content-Type: multipart/mixed; boundary=b\n\n--b\n\n--bb\nx\n--b--", Some("--bb\nx")),
        ("Content-Type: text/plain\nContent-Type: text/html\n\nx", Some("x")),
        ("Content-Type: multipart/mixed\n\nx", None),
        ("Content-Type: ;;;=\n\nx", Some("x")),
        ("Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n--b--\n", Some("")),
    ] {
        let view = read_message(&crlf(raw));
        assert_eq!(content(view.text.as_ref()).map(str::to_owned), text.map(str::to_owned), "{raw}");
    }
    let view = read_message(
        b"Content-Type: a/b\r\nContent-Disposition: attachment; filename=\"a\0/../b\r\n c\"\r\n\r\n",
    );
    assert_eq!(view.attachments.len(), 1);
    assert!(!view.attachments[0].filename.contains(['/', '\0', '\n']), "{:?}", view.attachments[0].filename);
}

fn hostile_line() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("Content-Type: multipart/mixed; boundary=b".to_owned()),
        Just("Content-Type: multipart/digest; boundary=\"c\"".to_owned()),
        Just("Content-Type: message/rfc822".to_owned()),
        Just("Content-Transfer-Encoding: base64".to_owned()),
        Just("Content-Transfer-Encoding: quoted-printable".to_owned()),
        Just("--b".to_owned()),
        Just("--c".to_owned()),
        Just("--b--".to_owned()),
        Just("--c--".to_owned()),
        Just(String::new()),
        "Content-Type: [a-z;=\"' /*0-9%\\\\(),\t]{0,40}",
        "Content-Disposition: [a-z;=\"' /*0-9%\\\\()]{0,40}",
        "Content-Type: text/plain; charset=[a-z0-9-]{0,12}",
        "Subject: [=?a-zQ_ 0-9*-]{0,40}",
        "[ -~\\x00\u{80}\u{ff}=]{0,30}",
    ]
}

proptest! {
    #[test]
    fn any_octets_are_read(raw in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        check(&raw);
    }

    #[test]
    fn any_lines_are_read(lines in proptest::collection::vec(hostile_line(), 0..60), is_crlf: bool) {
        check(lines.join(if is_crlf { "\r\n" } else { "\n" }).as_bytes());
    }

    #[test]
    fn encodings_read_back(octets in proptest::collection::vec(any::<u8>(), 0..400)) {
        use base64::Engine as _;
        let coded = base64::engine::general_purpose::STANDARD.encode(&octets);
        prop_assert_eq!(&*decode::transfer(coded.as_bytes(), Encoding::Base64), &octets[..]);
        let coded = octets.iter().fold(String::new(), |coded, octet| format!("{coded}={octet:02X}"));
        prop_assert_eq!(&*decode::transfer(coded.as_bytes(), Encoding::QuotedPrintable), &octets[..]);
    }
}

fn check(raw: &[u8]) {
    let view = read_message(raw);
    assert!(view.parts.len() <= MAX_PARTS && view.fields.len() <= MAX_FIELDS);
    for file in &view.attachments {
        assert_eq!(file.content(raw).len(), file.size);
        assert!(!file.filename.is_empty() && !file.filename.contains(char::is_control));
    }
    for part in &view.parts {
        assert!(part.content(raw).len() <= part.size, "{part:?}");
        assert!(!part.save_as.is_empty() && !part.save_as.contains(char::is_control));
        assert!(!part.save_as.contains(['/', '\\']), "{}", part.save_as);
    }
}
