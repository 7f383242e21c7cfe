//! Replies as values: what a server says to a command (RFC 5321 section 4.2, RFC 2034).
//!
//! Nothing here does I/O. A peer is not trusted: what it says is bounded, made valid UTF-8 and freed of
//! control characters before anyone can log or show it.

mod parser;

pub use parser::{Fed, MAX_LINE_BYTES, MAX_LINES, MAX_REPLY_BYTES, ReplyError, ReplyParser};

use std::fmt;
use std::io::Write as _;

/// Most bytes of text that a [`Reply`] keeps, unless the parser was told otherwise.
pub const MAX_TEXT_BYTES: usize = 2048;

/// An enhanced status code such as `5.1.1` (RFC 3463).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EnhancedCode {
    /// 2 success, 4 transient, 5 permanent.
    pub class: u8,
    /// What it is about: 1 address, 2 mailbox, 3 mail system, 4 network, 5 protocol, 6 content, 7 policy.
    pub subject: u16,
    /// The detail within the subject.
    pub detail: u16,
}

impl EnhancedCode {
    /// The code `class.subject.detail`.
    pub const fn new(class: u8, subject: u16, detail: u16) -> Self {
        Self { class, subject, detail }
    }

    /// Reads a code at the start of `text`; answers it and how many bytes it took, the space after it included.
    /// Nothing unless it is followed by a space or the end (RFC 2034 section 4).
    pub fn parse_prefix(text: &[u8]) -> Option<(Self, usize)> {
        let class = match text.first()? {
            digit @ (b'2' | b'4' | b'5') => digit - b'0',
            _ => return None,
        };
        let (subject, after_subject) = number_after_dot(text, 1)?;
        let (detail, end) = number_after_dot(text, after_subject)?;
        match text.get(end) {
            None => Some((Self { class, subject, detail }, end)),
            Some(b' ') => Some((Self { class, subject, detail }, end + 1)),
            Some(_) => None,
        }
    }
}

impl fmt::Display for EnhancedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// Reads `.` and one to three digits at `at`.
fn number_after_dot(text: &[u8], at: usize) -> Option<(u16, usize)> {
    if text.get(at) != Some(&b'.') {
        return None;
    }
    let mut end = at + 1;
    let mut number = 0_u16;
    while let Some(digit @ b'0'..=b'9') = text.get(end) {
        if end > at + 3 {
            return None;
        }
        number = number * 10 + u16::from(digit - b'0');
        end += 1;
    }
    (end > at + 1).then_some((number, end))
}

/// One whole reply, its lines joined by `\n`, the enhanced code cut off each line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The three digits, 200 to 599.
    pub code: u16,
    /// The enhanced code, when it agrees with the first digit of `code` (RFC 2034 section 4).
    pub enhanced: Option<EnhancedCode>,
    /// What the peer wrote, safe to show: valid UTF-8, no control character but `\n`, bounded.
    pub text: String,
}

impl Reply {
    /// A reply to say, or to expect in a test.
    pub fn new(code: u16, enhanced: Option<EnhancedCode>, text: impl Into<String>) -> Self {
        Self { code, enhanced, text: text.into() }
    }

    /// 2yz: the command did what it should.
    pub fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }

    /// 4yz or 5yz: the command was refused, for now or for good.
    pub fn is_negative(&self) -> bool {
        matches!(self.code / 100, 4 | 5)
    }

    /// The lines, without codes.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.split('\n')
    }

    /// Writes the reply as a server sends it: every line with the code, and with the enhanced code if there is one.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut lines = self.lines().peekable();
        while let Some(line) = lines.next() {
            let separator = if lines.peek().is_some() { '-' } else { ' ' };
            // Writing into a Vec cannot fail.
            let _ = match self.enhanced {
                Some(enhanced) => write!(out, "{}{separator}{enhanced} {line}\r\n", self.code),
                None => write!(out, "{}{separator}{line}\r\n", self.code),
            };
        }
    }
}

/// On one line, as people quote it: `550 5.1.1 no such user`.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(enhanced) = self.enhanced {
            write!(f, " {enhanced}")?;
        }
        for line in self.lines().map(str::trim).filter(|line| !line.is_empty()) {
            write!(f, " {line}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enhanced_codes_are_read_only_when_whole() {
        let code = |text: &str| EnhancedCode::parse_prefix(text.as_bytes());
        assert_eq!(code("5.1.1 no such user"), Some((EnhancedCode::new(5, 1, 1), 6)));
        assert_eq!(code("2.0.0"), Some((EnhancedCode::new(2, 0, 0), 5)));
        assert_eq!(code("5.7.509 x"), Some((EnhancedCode::new(5, 7, 509), 8)));
        for not_one in ["5.1 x", "5.1.1x", "3.1.1 x", "5..1 x", "5.1. x", "5.1.1234 x", "", "5"] {
            assert_eq!(code(not_one), None, "{not_one}");
        }
    }

    #[test]
    fn displays_on_one_line() {
        let reply = Reply::new(550, Some(EnhancedCode::new(5, 1, 1)), "no such\nuser");
        assert_eq!(reply.to_string(), "550 5.1.1 no such user");
        assert_eq!(Reply::new(250, None, "").to_string(), "250");
    }

    #[test]
    fn encodes_what_the_parser_reads_back() {
        let reply = Reply::new(550, Some(EnhancedCode::new(5, 1, 1)), "no such\nuser");
        let mut wire = Vec::new();
        reply.encode(&mut wire);
        assert_eq!(wire, b"550-5.1.1 no such\r\n550 5.1.1 user\r\n");
        let fed = ReplyParser::new().feed(&wire).expect("our own reply");
        assert_eq!((fed.consumed, fed.reply), (wire.len(), Some(reply)));
    }
}
