//! The HTML of a message in its frame. The frame is a sandbox without any permission, and its policy lets nothing run
//! and nothing load but what the message itself brings along: inline styles, `data:` pictures, and its own parts by
//! `cid:`, which are pointed at their attachments here.

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue};
use posthaste_mail::view::AttachmentView;

const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'none'; img-src 'self' data:; font-src data:; style-src 'unsafe-inline'; \
     form-action 'none'; base-uri 'none'; frame-ancestors 'self'; sandbox",
);
const X_DNS_PREFETCH_CONTROL: HeaderName = HeaderName::from_static("x-dns-prefetch-control");

/// Elements that act outside the policy (a look-up or connection ahead of time, a refresh), and the inert one they
/// become.
const ACTING: [&str; 3] = ["link", "meta", "base"];
const INERT: &str = "param";

/// The answer that fills the frame. The message's own parts lie under the path `parts_at`.
pub(in crate::surfaces) fn answer(html: &str, parts_at: &str, attachments: &[AttachmentView]) -> Response {
    let mut response = Response::new(Body::from(tame(html, parts_at, attachments)));
    let headers = response.headers_mut();
    // The charset here outranks any in the document.
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_DNS_PREFETCH_CONTROL, HeaderValue::from_static("off"));
    response
}

/// The HTML with its own parts shown and without the elements that act outside the policy. Works on the text: a tag
/// always begins with `<` and its name, so none is missed, whatever surrounds it.
fn tame(html: &str, parts_at: &str, attachments: &[AttachmentView]) -> String {
    let mut out = String::with_capacity(html.len() + 256);
    let mut rest = html;
    while let Some(at) = rest.find(['<', 'c', 'C']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let taken = if rest.starts_with('<') {
            acting_tag(rest, &mut out)
        } else {
            own_part(rest, parts_at, attachments, &mut out)
        };
        if taken == 0 {
            out.push_str(&rest[..1]);
        }
        rest = &rest[taken.max(1)..];
    }
    out.push_str(rest);
    out
}

/// Writes the inert name for a tag that acts; the bytes read, 0 when it is another.
fn acting_tag(rest: &str, out: &mut String) -> usize {
    let name = &rest[1..];
    let length = name.bytes().take_while(u8::is_ascii_alphabetic).count();
    let is_whole = name[length..].starts_with(|c: char| c.is_ascii_whitespace() || c == '/' || c == '>');
    if !is_whole || !ACTING.iter().any(|acting| name[..length].eq_ignore_ascii_case(acting)) {
        return 0;
    }
    out.push('<');
    out.push_str(INERT);
    1 + length
}

/// Writes the address of the part that a `cid:` URL (RFC 2392) names; the bytes read, 0 when it names none.
fn own_part(rest: &str, parts_at: &str, attachments: &[AttachmentView], out: &mut String) -> usize {
    const SCHEME: &str = "cid:";
    if !rest.get(..SCHEME.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME)) {
        return 0;
    }
    let name = &rest[SCHEME.len()..];
    let length = name
        .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '>' | '<' | ')' | '&'))
        .unwrap_or(name.len());
    let wanted = percent_decoded(&name[..length]);
    let found = attachments.iter().position(|part| part.content_id.as_deref() == Some(&wanted));
    let Some(index) = found else { return 0 };
    out.push_str(&format!("{parts_at}/{index}"));
    SCHEME.len() + length
}

fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let digits = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let decoded =
            digits.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(decoded.unwrap_or(*first));
        rest = if decoded.is_some() { &behind[2..] } else { behind };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use posthaste_mail::view::read_message;
    use proptest::prelude::*;

    fn tamed(html: &str) -> String {
        let raw = b"Content-Type: multipart/related; boundary=b\n\n--b\nContent-ID: <logo+1@x>\nContent-Type: image/png\n\nx\n--b--";
        tame(html, "/parts", &read_message(raw).attachments).replace("/parts/", "PART")
    }

    #[test]
    fn own_parts_are_shown_and_others_left() {
        assert_eq!(tamed("<img src=\"cid:logo+1@x\">"), "<img src=\"PART0\">");
        assert_eq!(tamed("<img src=CID:logo%2B1@x>"), "<img src=PART0>");
        assert_eq!(tamed("<p style='background:url(cid:logo+1@x)'>"), "<p style='background:url(PART0)'>");
        assert_eq!(tamed("<img src='cid:other@x'> cid: %zz c"), "<img src='cid:other@x'> cid: %zz c");
    }

    #[test]
    fn what_acts_outside_the_policy_is_inert() {
        assert_eq!(
            tamed("<LINK rel=preconnect href=//x><meta/http-equiv=refresh content=0><base href=//x>"),
            "<param rel=preconnect href=//x><param/http-equiv=refresh content=0><param href=//x>"
        );
        assert_eq!(tamed("<!--<link\n>--><linkx><metal>< link>"), "<!--<param\n>--><linkx><metal>< link>");
    }

    proptest! {
        #[test]
        fn any_text_is_tamed(html in "(<link |<meta/|cid:|CID:logo|%|<|>|é|c|[a-z%<:]){0,60}") {
            let out = tamed(&html).to_ascii_lowercase();
            prop_assert!(!out.contains("<link ") && !out.contains("<meta/"), "{}", out);
        }
    }
}
