//! A message that was written reads as it was meant: both bodies, and a file under its own name.

use posthaste_mail::view::read_message;
use posthaste_mail::{AttachmentPart, Mailbox, MessageParts, write_message};

/// Text, HTML, a file's name and its content, with `\u{1}` between: written, read, and the same again.
pub fn mime(data: &[u8]) {
    let mut pieces = data.splitn(4, |byte| *byte == 1);
    let mut text = || String::from_utf8_lossy(pieces.next().unwrap_or_default()).into_owned();
    let (plain, html, filename) = (text(), text(), text());
    let content = pieces.next().unwrap_or_default();
    let from = Mailbox::parse("Ann <ann@example.com>").expect("a mailbox");
    let to = [Mailbox::parse("bob@example.org").expect("a mailbox")];
    let file = AttachmentPart {
        filename: &filename,
        mime: "application/octet-stream",
        content,
        content_id: None,
        inline: false,
    };
    let parts = MessageParts {
        from: &from,
        to: &to,
        cc: &[],
        reply_to: &[],
        subject: "Hello",
        text: Some(&plain),
        html: Some(&html),
        attachments: &[file],
        headers: &[],
        message_id: "1@example.com",
        date_ms: 0,
        boundary_seed: 7,
    };
    let mut out = Vec::new();
    if write_message(&parts, &mut out).is_err() {
        return;
    }
    assert!(!posthaste_mail::message::has_stray_line_break(&out));
    assert!(out.split(|byte| *byte == b'\n').all(|line| line.len() <= 999));
    let view = read_message(&out);
    let lines = |text: &str| text.replace("\r\n", "\n").replace('\r', "\n").trim_end_matches('\n').to_owned();
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
