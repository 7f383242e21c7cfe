//! The account that all connections of a sink write to.

use memchr::{memchr2, memmem};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;
use tokio::time::timeout;

/// A message as it was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The return path.
    pub sender: String,
    /// The recipients, in order.
    pub recipients: Vec<String>,
    /// The content, dots unstuffed.
    pub content: Vec<u8>,
    /// When its end came, microseconds since 1970.
    pub at_micros: u64,
}

/// The account in figures.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Connections taken.
    pub connections: u64,
    /// Messages taken.
    pub received: u64,
    /// Recipients of them all.
    pub recipients: u64,
    /// Bytes of content.
    pub bytes: u64,
    /// Tokens seen.
    pub distinct_tokens: u64,
    /// Messages whose token had been seen before.
    pub duplicates: u64,
    /// Messages without a token.
    pub without_token: u64,
    /// Bare CR or LF, commands out of order.
    pub violations: u64,
    /// Arrival of the first message, milliseconds since 1970; zero before.
    pub first_ms: u64,
    /// Arrival of the last message, milliseconds since 1970; zero before.
    pub last_ms: u64,
}

/// As JSON.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            connections,
            received,
            recipients,
            bytes,
            distinct_tokens,
            duplicates,
            without_token,
            violations,
            first_ms,
            last_ms,
        } = self;
        write!(
            f,
            "{{\"connections\":{connections},\"received\":{received},\"recipients\":{recipients},\
             \"bytes\":{bytes},\"distinct_tokens\":{distinct_tokens},\"duplicates\":{duplicates},\
             \"without_token\":{without_token},\"violations\":{violations},\
             \"first_ms\":{first_ms},\"last_ms\":{last_ms}}}"
        )
    }
}

#[derive(Debug, Default)]
struct Books {
    summary: Summary,
    tokens: HashMap<Box<[u8]>, u32>,
    messages: Vec<Message>,
    stamps: Vec<(Box<[u8]>, u64)>,
}

/// Counts, tokens and, if wanted, messages.
#[derive(Debug)]
pub struct Tally {
    keep_messages: bool,
    keep_stamps: bool,
    books: Mutex<Books>,
    received: watch::Sender<u64>,
}

impl Tally {
    /// An empty account.
    pub fn new(keep_messages: bool, keep_stamps: bool) -> Self {
        Self { keep_messages, keep_stamps, books: Mutex::default(), received: watch::Sender::new(0) }
    }

    pub(super) fn count_connection(&self) {
        self.books().summary.connections += 1;
    }

    pub(super) fn count_violation(&self) {
        self.books().summary.violations += 1;
    }

    /// Writes a message down. `stuffed` content still has its doubled dots.
    pub(super) fn count_message(&self, sender: &[u8], recipients: &[Vec<u8>], content: &[u8], stuffed: bool) {
        let at_micros = now_micros();
        let token = find_token(content);
        let mut guard = self.books();
        let books = &mut *guard;
        let summary = &mut books.summary;
        summary.received += 1;
        summary.recipients += recipients.len() as u64;
        summary.bytes += content.len() as u64;
        summary.violations += u64::from(has_stray_line_end(content));
        summary.last_ms = at_micros / 1000;
        if summary.first_ms == 0 {
            summary.first_ms = at_micros / 1000;
        }
        match token {
            None => summary.without_token += 1,
            Some(token) => {
                if let Some(seen) = books.tokens.get_mut(token) {
                    *seen += 1;
                    summary.duplicates += 1;
                } else {
                    books.tokens.insert(token.into(), 1);
                    summary.distinct_tokens += 1;
                }
                if self.keep_stamps {
                    books.stamps.push((token.into(), at_micros));
                }
            }
        }
        if self.keep_messages {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            books.messages.push(Message {
                sender: text(sender),
                recipients: recipients.iter().map(|recipient| text(recipient)).collect(),
                content: if stuffed { unstuff(content) } else { content.to_vec() },
                at_micros,
            });
        }
        let received = summary.received;
        // Who waits looks into the books: they must be free when he is woken.
        drop(guard);
        // A wake-up only when somebody waits.
        if self.received.receiver_count() > 0 {
            self.received.send_replace(received);
        }
    }

    /// The figures so far.
    pub fn summary(&self) -> Summary {
        self.books().summary.clone()
    }

    /// The messages so far, if they are kept.
    pub fn messages(&self) -> Vec<Message> {
        self.books().messages.clone()
    }

    /// The token and arrival time of each message, as lines `token micros`, if they are kept.
    pub fn stamps(&self) -> String {
        let line = |(token, at): &(Box<[u8]>, u64)| format!("{} {at}\n", String::from_utf8_lossy(token));
        self.books().stamps.iter().map(line).collect()
    }

    /// Forgets everything.
    pub fn reset(&self) {
        *self.books() = Books::default();
    }

    /// Waits until `count` messages were received, no longer than `within`; answers whether they were.
    pub async fn wait_for(&self, count: u64, within: Duration) -> bool {
        let mut received = self.received.subscribe();
        // A message may have come before anybody subscribed, unannounced.
        let enough = |_: &u64| self.summary().received >= count;
        timeout(within, received.wait_for(enough)).await.is_ok()
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(clippy::disallowed_methods, reason = "the sink measures; its clock is the machine's")]
fn now_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// Any CR without LF or LF without CR.
pub(crate) fn has_stray_line_end(content: &[u8]) -> bool {
    let mut at = 0;
    while let Some(found) = memchr2(b'\r', b'\n', &content[at..]) {
        if content[at + found] == b'\n' || content.get(at + found + 1) != Some(&b'\n') {
            return true;
        }
        at += found + 2;
    }
    false
}

/// Takes the doubled dots back.
pub(crate) fn unstuff(content: &[u8]) -> Vec<u8> {
    let lines = content.split_inclusive(|byte| *byte == b'\n');
    lines.flat_map(|line| line.strip_prefix(b".").unwrap_or(line)).copied().collect()
}

/// The value of `X-Bench-Token:`, else what follows the first `token=` (quoted-printable writes `token=3D`).
fn find_token(content: &[u8]) -> Option<&[u8]> {
    let header_end = memmem::find(content, b"\r\n\r\n").unwrap_or(content.len());
    let header = memmem::find(&content[..header_end], b"X-Bench-Token: ").map(|at| &content[at + 15..]);
    let value = header.or_else(|| {
        let value = &content[memmem::find(content, b"token=")? + 6..];
        let quoted = memmem::find(content, b"quoted-printable").is_some();
        Some(if quoted { value.strip_prefix(b"3D").unwrap_or(value) } else { value })
    })?;
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let length = value.iter().position(|byte| !is_token(byte)).unwrap_or(value.len());
    (length > 0).then_some(&value[..length])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_token() {
        for (content, token) in [
            ("Subject: x\r\nX-Bench-Token: ab-1\r\n\r\ntoken=other", Some("ab-1")),
            ("\r\n<p>token=ab-2</p>", Some("ab-2")),
            ("Content-Transfer-Encoding: quoted-printable\r\n\r\ntoken=3Dab-3 x", Some("ab-3")),
            ("\r\ntoken=3Dab", Some("3Dab")),
            ("\r\ntoken= x", None),
            ("Subject: x\r\n\r\nX-Bench-Token: body", None),
        ] {
            assert_eq!(find_token(content.as_bytes()), token.map(str::as_bytes), "{content}");
        }
    }

    #[tokio::test]
    async fn waiting_ends_when_enough_came() {
        let tally = Tally::new(false, false);
        tally.count_message(b"", &[vec![]], b"token=a", false);
        assert!(tally.wait_for(1, Duration::from_secs(5)).await);
        assert!(!tally.wait_for(2, Duration::ZERO).await);
        tally.count_message(b"", &[vec![]], b"token=a", false);
        let summary = tally.summary();
        assert_eq!((summary.received, summary.distinct_tokens, summary.duplicates), (2, 1, 1));
    }
}
