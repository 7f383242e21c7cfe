//! The tree of a message's parts (RFC 2045), for people, and each part as a file to save.

use crate::surfaces::http::answer;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, StatusCode};
use posthaste_mail::view::MessageView;

/// Types under which a file may be handed to a browser; any other goes out as bytes. None of them can run.
const SAFE_TYPES: [&str; 7] =
    ["image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", "application/pdf", "text/plain"];
/// Indents that the style knows.
const DEPTHS: usize = 8;

/// A line of the tree.
pub(in crate::surfaces) struct PartLine {
    /// Its number in the tree, from 0.
    pub(in crate::surfaces) number: usize,
    /// Its indent.
    pub(in crate::surfaces) depth: usize,
    /// Its level in words, for who does not see the indent; from 1.
    pub(in crate::surfaces) level: usize,
    /// Its type.
    pub(in crate::surfaces) mime: String,
    /// Its size as transferred.
    pub(in crate::surfaces) size: String,
    /// The name it is saved under.
    pub(in crate::surfaces) name: String,
}

/// The tree, parents before their children.
pub(in crate::surfaces) fn lines(view: &MessageView) -> Vec<PartLine> {
    let each = view.parts.iter().enumerate().map(|(number, part)| PartLine {
        number,
        depth: part.depth.min(DEPTHS),
        level: part.depth + 1,
        mime: part.mime.clone(),
        size: size(part.size),
        name: part.save_as.clone(),
    });
    each.collect()
}

/// The part of that number, decoded; `None`: the message has none such.
pub(in crate::surfaces) fn download(view: &MessageView, raw: &[u8], number: &str) -> Option<Response> {
    let part = number.parse().ok().and_then(|number: usize| view.parts.get(number))?;
    Some(file(Bytes::from(part.content(raw).into_owned()), safe_type(&part.mime), &part.save_as))
}

/// The type under which a browser may have a file that says it is of type `mime`.
pub(super) fn safe_type(mime: &str) -> &'static str {
    SAFE_TYPES.into_iter().find(|safe| *safe == mime).unwrap_or("application/octet-stream")
}

/// A file to be saved, never to be shown: its content is a stranger's.
pub(super) fn file(content: Bytes, media_type: &'static str, name: &str) -> Response {
    let mut response = answer::bytes_as(StatusCode::OK, HeaderValue::from_static(media_type), content);
    let headers = response.headers_mut();
    headers.insert(CONTENT_DISPOSITION, answer::disposition(name));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    response
}

/// A size for people, in units of 1000; number and unit stay on one line.
pub(super) fn size(bytes: usize) -> String {
    match bytes {
        0..1_000 => format!("{bytes}\u{a0}B"),
        1_000..1_000_000 => format!("{:.1}\u{a0}kB", bytes as f64 / 1e3),
        _ => format!("{:.1}\u{a0}MB", bytes as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use posthaste_mail::view::read_message;

    #[test]
    fn sizes_for_people() {
        assert_eq!([999, 1_500, 2_345_678].map(size), ["999\u{a0}B", "1.5\u{a0}kB", "2.3\u{a0}MB"]);
    }

    #[test]
    fn parts_are_files_of_a_safe_type() {
        let raw = b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html\n\n<p>\n--b\n\
            Content-Type: image/png; name=\"../x.png\"\n\n1\n--b--";
        let view = read_message(raw);
        let found: Vec<(usize, usize, String, String)> =
            lines(&view).into_iter().map(|line| (line.number, line.depth, line.mime, line.name)).collect();
        let line = |number, depth, mime: &str, name: &str| (number, depth, mime.into(), name.into());
        assert_eq!(
            found,
            [
                line(0, 0, "multipart/mixed", "part-0.mime"),
                line(1, 1, "text/html", "part-1.html"),
                line(2, 1, "image/png", "x.png"),
            ]
        );
        let kind = |number: &str| {
            let response = download(&view, raw, number)?;
            let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
            assert!(header(CONTENT_DISPOSITION)?.starts_with("attachment; "));
            Some(header(http::header::CONTENT_TYPE)?.to_owned())
        };
        assert_eq!(kind("1").as_deref(), Some("application/octet-stream"));
        assert_eq!(kind("2").as_deref(), Some("image/png"));
        for none in ["3", "-1", "", "x", "99999999999999999999"] {
            assert_eq!(kind(none), None, "{none}");
        }
    }
}
