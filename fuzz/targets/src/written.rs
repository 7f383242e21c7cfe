//! A message that was written is whole and reads as it was meant.

use posthaste_mail::view::read_message;
use posthaste_mail::{AttachmentPart, HeaderName, HeaderValue, Mailbox, MessageParts, write_message};

/// From one to another, with nothing in it.
fn empty<'p>(from: &'p Mailbox, to: &'p [Mailbox]) -> MessageParts<'p> {
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
        message_id: "1@example.com",
        date_ms: 0,
        boundary_seed: 7,
    }
}

fn people() -> (Mailbox, [Mailbox; 1]) {
    let from = Mailbox::parse("Ann <ann@example.com>").expect("a mailbox");
    (from, [Mailbox::parse("bob@example.org").expect("a mailbox")])
}

/// The message, unless it cannot be written; without a stray line end and without a long line.
fn written(parts: &MessageParts<'_>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    write_message(parts, &mut out).ok()?;
    assert!(!posthaste_mail::message::has_stray_line_break(&out));
    assert!(out.split(|byte| *byte == b'\n').all(|line| line.len() <= 999));
    Some(out)
}

/// A body as it may come back: line ends are one, and those at its end may go.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n").trim_end_matches('\n').to_owned()
}

/// A message that was written holds no stray line end, no long line and no header but ours, and reads as it was meant.
pub fn message(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut pieces = text.splitn(4, '\u{1}');
    let mut piece = || pieces.next().unwrap_or_default();
    let (subject, name, value, body) = (piece(), piece(), piece(), piece());
    let headers: Vec<_> = HeaderName::parse(&format!("X-{name}"))
        .and_then(|name| Ok(vec![(name, HeaderValue::parse(value)?)]))
        .unwrap_or_default();
    let (from, to) = people();
    let parts = MessageParts { subject, text: Some(body), headers: &headers, ..empty(&from, &to) };
    let Some(out) = written(&parts) else { return };
    let view = read_message(&out);
    // From, To, Subject, Date, Message-ID, MIME-Version, Content-Type, Content-Transfer-Encoding.
    assert!(view.fields.len() <= 8 + headers.len(), "{:?}", view.fields);
    // A view shows a tab as a space.
    let flat = |text: &str| text.replace('\t', " ").trim().to_owned();
    assert_eq!(flat(view.field("Subject").unwrap_or_default()), flat(subject));
    let read = view.text.map(|text| text.content).unwrap_or_default();
    assert_eq!(lines(&read), lines(body));
}

/// Text, HTML, a file's name and its content, with `\u{1}` between: written, read, and the same again.
pub fn mime(data: &[u8]) {
    let mut pieces = data.splitn(4, |byte| *byte == 1);
    let mut text = || String::from_utf8_lossy(pieces.next().unwrap_or_default()).into_owned();
    let (plain, html, filename) = (text(), text(), text());
    let content = pieces.next().unwrap_or_default();
    let file = AttachmentPart {
        filename: &filename,
        mime: "application/octet-stream",
        content,
        content_id: None,
        inline: false,
    };
    let (from, to) = people();
    let files = [file];
    let parts =
        MessageParts { text: Some(&plain), html: Some(&html), attachments: &files, ..empty(&from, &to) };
    let Some(out) = written(&parts) else { return };
    let view = read_message(&out);
    for (read, written) in [(&view.text, &plain), (&view.html, &html)] {
        let read = read.as_ref().map(|body| body.content.as_str()).unwrap_or_default();
        assert_eq!(lines(read), lines(written));
    }
    let [read] = &view.attachments[..] else { panic!("{} files", view.attachments.len()) };
    assert_eq!(read.content(&out), content);
    assert!(!read.filename.chars().any(|c| c.is_control() || matches!(c, '/' | '\\')), "{:?}", read.filename);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::smoke;

    #[test]
    fn messages_with_files() {
        smoke(
            mime,
            &[
                "Hello\u{1}<p>Hello</p>\u{1}a.pdf\u{1}%PDF-1.4\r\n\0\u{7f}",
                "--7\r\n.\r\nFrom x\u{1}<p title=\"=3D\">ü</p>\r\r\n\u{1}größe \"x\"; a=b.txt\u{1}--b--\r\n\r\n.\r\n",
                "\u{1}\u{1}../../etc/passwd\u{1}",
                "日本語\n\n\n\u{1}<!--\u{1}日本語のとても長い名前のファイル、長い名前のファイル、長い名前のファイル.pdf\u{1}x",
            ],
        );
    }
}
