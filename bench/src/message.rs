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

/// `POST /api/emails` with `size` bytes of text and html together.
pub fn http_request(size: usize, key: &str) -> Pattern {
    let body = json!({
        "from": "Shop <noreply@example.com>",
        "to": ["customer@example.org"],
        "subject": "Your order is on its way",
        "text": filler(size / 2),
        "html": format!("<p>{}</p>", filler(size / 2)),
        "headers": {"X-Bench-Token": placeholder()},
    })
    .to_string();
    let head = format!(
        "POST /api/emails HTTP/1.1\r\nHost: bench\r\nX-Api-Key: {key}\r\nContent-Type: application/json\r\n\
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
