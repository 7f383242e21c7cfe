//! Attachments that are too large to be carried: the message gets a list of links instead. The links were made at
//! accept and lie with the email, so that the message stays the same on every attempt.

use posthaste_model::email::{Attachment, Email};
use std::borrow::Cow;
use std::fmt::Write as _;

/// The attachments that the message links to, each with its link.
fn linked(email: &Email) -> impl Iterator<Item = (&Attachment, &str)> {
    email.attachments.iter().filter_map(|one| Some((one, one.link.as_deref()?)))
}

/// The HTML with the links at its end, before `</body>` where there is one.
pub(super) fn with_links_html<'a>(html: Cow<'a, str>, email: &Email) -> Cow<'a, str> {
    let mut list = String::new();
    for (attachment, link) in linked(email) {
        let name = escape(&attachment.filename);
        let _ = write!(list, "<li><a href=\"{}\">{name}</a> ({})</li>", escape(link), size(attachment.size));
    }
    if list.is_empty() {
        return html;
    }
    let list = format!("\n<hr><ul>{list}</ul>\n");
    let mut html = html.into_owned();
    // ASCII only: lower-casing keeps every byte in its place.
    let at = html.to_ascii_lowercase().rfind("</body").unwrap_or(html.len());
    html.insert_str(at, &list);
    Cow::Owned(html)
}

/// The text with the links at its end.
pub(super) fn with_links_text<'a>(text: Cow<'a, str>, email: &Email) -> Cow<'a, str> {
    let mut list = String::new();
    for (attachment, link) in linked(email) {
        let _ = write!(list, "\n{} ({}): {link}", attachment.filename, size(attachment.size));
    }
    if list.is_empty() { text } else { Cow::Owned(format!("{text}\n\n--{list}\n")) }
}

/// A size for people, counted in 1,024s.
fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KB", bytes.div_ceil(1024)),
        _ => format!("{:.1} MB", bytes as f64 / 1_048_576.0),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::email;
    use posthaste_model::email::BlobHash;

    fn with_link() -> Email {
        let mut email = email("a@example.com", &["b@example.com"]);
        email.attachments = vec![Attachment {
            filename: "a<b>.pdf".into(),
            mime: "application/pdf".into(),
            size: 3 * 1_048_576,
            sha256: BlobHash([0; 32]),
            content_id: None,
            inline: false,
            link: Some("https://mail.example.com/files/x?a&b".into()),
        }];
        email
    }

    #[test]
    fn stands_inside_the_body_escaped() {
        let html = with_links_html("<html><BODY><p>x</p></BODY></html>".into(), &with_link());
        assert!(
            html.contains("<a href=\"https://mail.example.com/files/x?a&amp;b\">a&lt;b&gt;.pdf</a> (3.0 MB)")
        );
        assert!(html.ends_with("</BODY></html>"), "{html}");
        let text = with_links_text("x".into(), &with_link());
        assert!(text.ends_with("\na<b>.pdf (3.0 MB): https://mail.example.com/files/x?a&b\n"));
    }

    #[test]
    fn without_links_nothing_changes() {
        let mut plain = with_link();
        plain.attachments[0].link = None;
        assert!(matches!(with_links_html("x".into(), &plain), Cow::Borrowed("x")));
    }
}
