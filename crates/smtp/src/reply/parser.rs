//! The incremental reply parser: bytes as they come, replies when they are whole, and an error as soon as a peer
//! goes past a bound, so that no peer decides how much memory we use.

use super::{EnhancedCode, MAX_TEXT_BYTES, Reply};

/// Longest line of a reply, line end included. RFC 5321 section 4.5.3.1.5 says 512; some relays write more.
pub const MAX_LINE_BYTES: usize = 4096;
/// Most bytes of one reply over all its lines.
pub const MAX_REPLY_BYTES: usize = 64 * 1024;
/// Most lines of one reply.
pub const MAX_LINES: usize = 100;

/// Why bytes are no reply. The stream cannot be trusted after it: close the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// A line without an end within [`MAX_LINE_BYTES`].
    #[error("the reply has a line of more than {MAX_LINE_BYTES} bytes")]
    LineTooLong,
    /// More than [`MAX_REPLY_BYTES`] in one reply.
    #[error("the reply has more than {MAX_REPLY_BYTES} bytes")]
    ReplyTooLong,
    /// More than [`MAX_LINES`] lines in one reply.
    #[error("the reply has more than {MAX_LINES} lines")]
    TooManyLines,
    /// A line that does not begin with three digits 200-599 and a space, a hyphen or the line's end.
    #[error("the reply does not begin with a reply code")]
    NoCode,
    /// The lines of one reply carry different codes (RFC 5321 section 4.2.1 forbids it).
    #[error("the lines of the reply carry different codes")]
    CodesDiffer,
}

/// What one call of [`ReplyParser::feed`] did.
#[derive(Debug, PartialEq, Eq)]
pub struct Fed {
    /// Bytes of the input that are done with; the rest must be offered again, with more behind it.
    pub consumed: usize,
    /// The reply that became whole, if one did. Bytes after it are not looked at.
    pub reply: Option<Reply>,
}

/// Reads replies line by line.
#[derive(Debug)]
pub struct ReplyParser {
    text_limit: usize,
    code: Option<u16>,
    enhanced: Option<EnhancedCode>,
    text: String,
    lines: usize,
    bytes: usize,
}

impl Default for ReplyParser {
    fn default() -> Self {
        Self::new()
    }
}

impl ReplyParser {
    /// A parser whose replies keep [`MAX_TEXT_BYTES`] of text.
    pub fn new() -> Self {
        Self::with_text_limit(MAX_TEXT_BYTES)
    }

    /// A parser whose replies keep `text_limit` bytes of text (EHLO's list is longer than what is shown to people).
    pub fn with_text_limit(text_limit: usize) -> Self {
        Self { text_limit, code: None, enhanced: None, text: String::new(), lines: 0, bytes: 0 }
    }

    /// Looks at `input` up to the end of the next reply. A bare LF ends a line too: old relays send it, and a
    /// client is not confused by it.
    pub fn feed(&mut self, input: &[u8]) -> Result<Fed, ReplyError> {
        let mut consumed = 0;
        while let Some(length) = memchr::memchr(b'\n', &input[consumed..]) {
            let line = &input[consumed..consumed + length];
            consumed += length + 1;
            if let Some(reply) = self.line(line)? {
                return Ok(Fed { consumed, reply: Some(reply) });
            }
        }
        if input.len() - consumed >= MAX_LINE_BYTES {
            return Err(ReplyError::LineTooLong);
        }
        Ok(Fed { consumed, reply: None })
    }

    /// Takes one line without its LF; answers the reply if this was its last line.
    fn line(&mut self, line: &[u8]) -> Result<Option<Reply>, ReplyError> {
        self.bytes += line.len() + 1;
        self.lines += 1;
        if line.len() >= MAX_LINE_BYTES {
            return Err(ReplyError::LineTooLong);
        }
        if self.bytes > MAX_REPLY_BYTES {
            return Err(ReplyError::ReplyTooLong);
        }
        if self.lines > MAX_LINES {
            return Err(ReplyError::TooManyLines);
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (code, last, text) = split_line(line).ok_or(ReplyError::NoCode)?;
        if self.code.is_some_and(|first| first != code) {
            return Err(ReplyError::CodesDiffer);
        }
        let text = self.cut_enhanced(code, text);
        if self.code.is_some() {
            append_clean(&mut self.text, "\n".as_bytes(), self.text_limit);
        }
        self.code = Some(code);
        append_clean(&mut self.text, text, self.text_limit);
        Ok(last.then(|| self.finish(code)))
    }

    /// Cuts the enhanced code off a line's text. The first line's counts; one that contradicts the reply code is text.
    fn cut_enhanced<'a>(&mut self, code: u16, text: &'a [u8]) -> &'a [u8] {
        match EnhancedCode::parse_prefix(text) {
            Some((enhanced, length)) if u16::from(enhanced.class) == code / 100 => {
                if self.lines == 1 {
                    self.enhanced = Some(enhanced);
                }
                if self.enhanced == Some(enhanced) { &text[length..] } else { text }
            }
            _ => text,
        }
    }

    fn finish(&mut self, code: u16) -> Reply {
        self.code = None;
        self.lines = 0;
        self.bytes = 0;
        Reply { code, enhanced: self.enhanced.take(), text: std::mem::take(&mut self.text) }
    }
}

/// Splits `250-text`: the code, whether it is the last line, the text.
fn split_line(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let [hundreds @ b'2'..=b'5', tens @ b'0'..=b'9', ones @ b'0'..=b'9', rest @ ..] = line else {
        return None;
    };
    let code = u16::from(hundreds - b'0') * 100 + u16::from(tens - b'0') * 10 + u16::from(ones - b'0');
    match rest {
        [] => Some((code, true, rest)),
        [b' ', text @ ..] => Some((code, true, text)),
        [b'-', text @ ..] => Some((code, false, text)),
        _ => None,
    }
}

/// Appends text as UTF-8 without control characters (a lone `\n` is ours: the joint between lines), up to `limit`.
fn append_clean(out: &mut String, text: &[u8], limit: usize) {
    if text == b"\n" {
        if out.len() < limit {
            out.push('\n');
        }
        return;
    }
    if let Ok(plain) = std::str::from_utf8(text)
        && out.len() + plain.len() <= limit
        && text.iter().all(|byte| (0x20..0x7f).contains(byte))
    {
        out.push_str(plain);
        return;
    }
    for char in String::from_utf8_lossy(text).chars() {
        let clean = match char {
            '\t' => ' ',
            control if control.is_control() => char::REPLACEMENT_CHARACTER,
            other => other,
        };
        if out.len() + clean.len_utf8() > limit {
            return;
        }
        out.push(clean);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Feeds all of `wire` and answers the replies, or the error.
    fn parse(wire: &[u8]) -> Result<Vec<Reply>, ReplyError> {
        let mut parser = ReplyParser::new();
        let mut replies = Vec::new();
        let mut at = 0;
        loop {
            let fed = parser.feed(&wire[at..])?;
            at += fed.consumed;
            match fed.reply {
                Some(reply) => replies.push(reply),
                None => return Ok(replies),
            }
        }
    }

    #[test]
    fn reads_pipelined_and_multiline_replies() {
        let replies =
            parse(b"250 2.1.0 Ok\r\n250\r\n550-5.1.1 no\r\n550-5.1.1 such\r\n550 user\r\n354 go\r\n25");
        let expected = vec![
            Reply::new(250, Some(EnhancedCode::new(2, 1, 0)), "Ok"),
            Reply::new(250, None, ""),
            Reply::new(550, Some(EnhancedCode::new(5, 1, 1)), "no\nsuch\nuser"),
            Reply::new(354, None, "go"),
        ];
        assert_eq!(replies, Ok(expected));
    }

    #[test]
    fn an_enhanced_code_of_another_class_is_text() {
        assert_eq!(parse(b"550 4.2.1 later\r\n"), Ok(vec![Reply::new(550, None, "4.2.1 later")]));
    }

    #[test]
    fn text_is_made_safe_to_show() {
        let reply = parse(b"550 caf\xe9 \x1b[31m\tx\0\r\n").expect("a reply").remove(0);
        assert_eq!(reply.text, "caf\u{fffd} \u{fffd}[31m x\u{fffd}");
    }

    #[test]
    fn refuses_what_is_no_reply() {
        for (wire, error) in [
            (&b"hello\r\n"[..], ReplyError::NoCode),
            (b"\r\n", ReplyError::NoCode),
            (b"150 x\r\n", ReplyError::NoCode),
            (b"600 x\r\n", ReplyError::NoCode),
            (b"2500 x\r\n", ReplyError::NoCode),
            (b"250+x\r\n", ReplyError::NoCode),
            (b"250-a\r\n251 b\r\n", ReplyError::CodesDiffer),
        ] {
            assert_eq!(parse(wire), Err(error), "{}", String::from_utf8_lossy(wire));
        }
    }

    #[test]
    fn every_bound_holds() {
        let long_line = vec![b'2'; MAX_LINE_BYTES];
        assert_eq!(parse(&long_line), Err(ReplyError::LineTooLong));
        let endless = b"250-x\r\n".repeat(MAX_LINES + 1);
        assert_eq!(parse(&endless), Err(ReplyError::TooManyLines));
        let mut wide = b"250-".to_vec();
        wide.extend(vec![b'x'; 4000]);
        wide.extend(b"\r\n");
        assert_eq!(parse(&wide.repeat(17)), Err(ReplyError::ReplyTooLong));
        let capped = [&b"250 "[..], &[b'x'; 4000], b"\r\n"].concat();
        assert_eq!(parse(&capped).expect("a reply")[0].text.len(), MAX_TEXT_BYTES);
    }

    proptest! {
        #[test]
        fn never_panics_and_stays_bounded(wire in proptest::collection::vec(any::<u8>(), 0..2000)) {
            if let Ok(replies) = parse(&wire) {
                for reply in replies {
                    prop_assert!((200..600).contains(&reply.code) && reply.text.len() <= MAX_TEXT_BYTES);
                    prop_assert!(reply.text.chars().all(|c| c == '\n' || !c.is_control()));
                }
            }
        }

        #[test]
        fn cutting_the_stream_anywhere_changes_nothing(cuts in proptest::collection::vec(1..9_usize, 1..60)) {
            let wire = b"220 hi\r\n250-5 a\r\n250-2.0.0 b\n250 c\r\n550 5.1.1 \xff\r\n354\r\n";
            let whole = parse(wire);
            let mut parser = ReplyParser::new();
            let (mut pending, mut replies, mut at) = (Vec::new(), Vec::new(), 0);
            let mut cuts = cuts.into_iter().cycle();
            while at < wire.len() {
                let end = (at + cuts.next().unwrap_or(1)).min(wire.len());
                pending.extend_from_slice(&wire[at..end]);
                at = end;
                loop {
                    let fed = parser.feed(&pending).expect("a good stream");
                    pending.drain(..fed.consumed);
                    match fed.reply {
                        Some(reply) => replies.push(reply),
                        None => break,
                    }
                }
            }
            prop_assert_eq!(Ok(replies), whole);
        }
    }
}
