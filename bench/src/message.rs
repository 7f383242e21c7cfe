//! The messages of the workload: text and html, a token each. Built once; only the token's digits change.

use serde_json::json;

/// Digits of a token: `t-0000042`.
const DIGITS: usize = 7;

/// Bytes with a place for the token.
pub struct Pattern {
    bytes: Vec<u8>,
    token_at: usize,
}

impl Pattern {
    fn new(bytes: Vec<u8>) -> Self {
        let token_at = memchr::memmem::find(&bytes, placeholder().as_bytes()).unwrap_or(0);
        Self { bytes, token_at: token_at + 2 }
    }

    /// The bytes with the token of `number`.
    pub fn with(&mut self, number: usize) -> &[u8] {
        let mut rest = number;
        for at in (0..DIGITS).rev() {
            self.bytes[self.token_at + at] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        &self.bytes
    }
}

fn placeholder() -> String {
    token(0)
}

/// The token of a message.
pub fn token(number: usize) -> String {
    format!("t-{number:0DIGITS$}")
}

fn filler(bytes: usize) -> String {
    "Thank you for your order. It is on its way and arrives tomorrow. ".chars().cycle().take(bytes).collect()
}

/// A surface by which mail is handed in over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    /// `POST /api/emails`.
    Emails,
    /// `POST /send` with an access token.
    Oauth,
    /// `POST /api/v1/mail/send`.
    MailProxy,
    /// `POST /send` with an API key. One body only: it has all the bytes, as text.
    Aegis,
}

/// A request of a surface with `size` bytes of text and html together: the same message by each.
pub fn http_request(surface: Surface, size: usize, credential: &str) -> Pattern {
    const SUBJECT: &str = "Your order is on its way";
    // The other surfaces take no headers: their token stands in the text.
    let text = |token: &str| token.to_owned() + &filler((size / 2).saturating_sub(token.len()));
    let html = format!("<p>{}</p>", filler(size / 2));
    let in_text = format!("token={} ", placeholder());
    let (path, header, body) = match surface {
        Surface::Emails => {
            let body = json!({
                "from": "Shop <noreply@example.com>", "to": ["customer@example.org"], "subject": SUBJECT,
                "text": text(""), "html": html, "headers": {"X-Bench-Token": placeholder()},
            });
            ("/api/emails", "X-Api-Key: ", body)
        }
        Surface::Oauth => {
            let body = json!({
                "email": "noreply@example.com", "name": "Shop", "to_email": "customer@example.org",
                "subject": SUBJECT, "body": text(&in_text), "html": html,
            });
            ("/send", "Authorization: Bearer ", body)
        }
        Surface::MailProxy => {
            let body = json!({
                "from": "noreply@example.com", "to": ["customer@example.org"], "subject": SUBJECT,
                "body": text(&in_text), "html": html,
            });
            ("/api/v1/mail/send", "Authorization: Bearer ", body)
        }
        Surface::Aegis => {
            let body = json!({
                "to": "customer@example.org", "subject": SUBJECT, "body": filler(size),
                "headers": {"X-Bench-Token": placeholder()},
            });
            ("/send", "X-Api-Key: ", body)
        }
    };
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: bench\r\n{header}{credential}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    Pattern::new((head + &body).into_bytes())
}

/// The same message as SMTP content, with the final dot.
pub fn smtp_content(size: usize) -> Pattern {
    let lines = |text: &str| {
        let bytes: Vec<&[u8]> = text.as_bytes().chunks(72).collect();
        String::from_utf8_lossy(&bytes.join(&b"\r\n"[..])).into_owned()
    };
    let text = lines(&filler(size / 2));
    Pattern::new(
        format!(
            "From: Shop <noreply@example.com>\r\nTo: customer@example.org\r\nSubject: Your order is on its way\r\n\
             X-Bench-Token: {}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n\
             --b\r\nContent-Type: text/plain\r\n\r\n{text}\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>{text}</p>\r\n\
             --b--\r\n.\r\n",
            placeholder()
        )
        .into_bytes(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_surface_is_given_the_token_and_the_size() {
        for (surface, token) in [
            (Surface::Emails, "\"X-Bench-Token\":\"t-0000042\""),
            (Surface::Oauth, "token=t-0000042 Thank"),
            (Surface::MailProxy, "token=t-0000042 Thank"),
            (Surface::Aegis, "\"X-Bench-Token\":\"t-0000042\""),
        ] {
            let mut pattern = http_request(surface, 2048, "credential");
            let request = String::from_utf8_lossy(pattern.with(42)).into_owned();
            assert!(request.contains(token), "{request}");
            assert!((2200..2700).contains(&request.len()), "{surface:?}: {}", request.len());
        }
    }

    #[test]
    fn only_the_token_changes() {
        let mut pattern = smtp_content(2048);
        let first = pattern.with(42).to_vec();
        let second = pattern.with(1_234_567).to_vec();
        assert_eq!(first.len(), second.len());
        assert!(memchr::memmem::find(&first, b"X-Bench-Token: t-0000042\r\n").is_some());
        assert!(memchr::memmem::find(&second, token(1_234_567).as_bytes()).is_some());
        assert!(first.len() > 2048 && first.len() < 2600, "{}", first.len());
    }
}
