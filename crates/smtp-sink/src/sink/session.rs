//! The fast sink's side of the protocol: bytes in, answers out, no I/O.

use super::tally::Tally;
use memchr::{memchr, memchr2, memmem};
use std::sync::Arc;

/// What the next bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expecting {
    Command,
    Content,
    /// So many bytes of a chunk, and whether it is the last.
    Chunk(usize, bool),
    Nothing,
}

/// One connection's state.
pub(super) struct Session {
    ehlo_reply: Vec<u8>,
    tally: Arc<Tally>,
    expecting: Expecting,
    has_sender: bool,
    sender: Vec<u8>,
    recipients: Vec<Vec<u8>>,
    content: Vec<u8>,
}

impl Session {
    pub fn new(ehlo_reply: Vec<u8>, tally: Arc<Tally>) -> Self {
        Self {
            ehlo_reply,
            tally,
            expecting: Expecting::Command,
            has_sender: false,
            sender: Vec::new(),
            recipients: Vec::new(),
            content: Vec::new(),
        }
    }

    /// QUIT was answered.
    pub fn is_over(&self) -> bool {
        self.expecting == Expecting::Nothing
    }

    /// Takes what it can of `input`, appends the answers to `output`, and says how much it took.
    pub fn feed(&mut self, input: &[u8], output: &mut Vec<u8>) -> usize {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            match self.expecting {
                Expecting::Nothing => return used,
                Expecting::Command => {
                    let Some(end) = memchr(b'\n', rest) else { return used };
                    self.command(&rest[..=end], output);
                    used += end + 1;
                }
                Expecting::Chunk(bytes, last) => {
                    let taken = bytes.min(rest.len());
                    self.content.extend_from_slice(&rest[..taken]);
                    used += taken;
                    if taken < bytes {
                        self.expecting = Expecting::Chunk(bytes - taken, last);
                        return used;
                    }
                    self.expecting = Expecting::Command;
                    if last {
                        self.finish(false, output);
                    } else {
                        output.extend_from_slice(b"250 2.0.0 go on\r\n");
                    }
                }
                Expecting::Content => {
                    let Some(taken) = self.content_end(rest) else { return used + rest.len() };
                    used += taken;
                    self.expecting = Expecting::Command;
                    self.finish(true, output);
                }
            }
        }
    }

    /// Adds `rest` to the content; if the end is in it, cuts it off and says how much of `rest` was used.
    fn content_end(&mut self, rest: &[u8]) -> Option<usize> {
        let before = self.content.len();
        self.content.extend_from_slice(rest);
        let from = before.saturating_sub(4);
        let end = if self.content.starts_with(b".\r\n") {
            Some((0, 3))
        } else {
            memmem::find(&self.content[from..], b"\r\n.\r\n").map(|at| (from + at + 2, from + at + 5))
        };
        let (length, used) = end?;
        self.content.truncate(length);
        Some(used - before)
    }

    fn command(&mut self, line: &[u8], output: &mut Vec<u8>) {
        let Some(line) = line.strip_suffix(b"\r\n").filter(|line| memchr2(b'\r', b'\n', line).is_none())
        else {
            self.tally.count_violation();
            output.extend_from_slice(b"500 5.5.2 bare CR or LF\r\n");
            return;
        };
        let verb = line.split(|byte| *byte == b' ').next().unwrap_or_default().to_ascii_uppercase();
        let answer: &[u8] = match verb.as_slice() {
            b"MAIL" if !self.has_sender => {
                self.has_sender = true;
                path(line).clone_into(&mut self.sender);
                b"250 2.1.0 ok\r\n"
            }
            b"RCPT" if self.has_sender => {
                self.recipients.push(path(line).to_vec());
                b"250 2.1.5 ok\r\n"
            }
            b"DATA" if !self.recipients.is_empty() => {
                self.expecting = Expecting::Content;
                b"354 go on\r\n"
            }
            b"BDAT" => return self.bdat(line, output),
            b"EHLO" | b"HELO" => {
                self.reset();
                output.extend_from_slice(&self.ehlo_reply);
                return;
            }
            b"RSET" => {
                self.reset();
                b"250 2.0.0 ok\r\n"
            }
            b"NOOP" => b"250 2.0.0 ok\r\n",
            b"QUIT" => {
                self.expecting = Expecting::Nothing;
                b"221 2.0.0 bye\r\n"
            }
            _ => {
                self.tally.count_violation();
                b"503 5.5.1 not now\r\n"
            }
        };
        output.extend_from_slice(answer);
    }

    fn bdat(&mut self, line: &[u8], output: &mut Vec<u8>) {
        let mut words = line.split(|byte| *byte == b' ').skip(1);
        let size =
            words.next().and_then(|word| std::str::from_utf8(word).ok()).and_then(|word| word.parse().ok());
        if let Some(size) = size {
            let last = words.next().is_some_and(|word| word.eq_ignore_ascii_case(b"LAST"));
            self.expecting = Expecting::Chunk(size, last);
        } else {
            self.tally.count_violation();
            output.extend_from_slice(b"501 5.5.4 BDAT needs a size\r\n");
        }
    }

    fn finish(&mut self, stuffed: bool, output: &mut Vec<u8>) {
        if self.recipients.is_empty() {
            self.tally.count_violation();
            output.extend_from_slice(b"503 5.5.1 no recipients\r\n");
        } else {
            self.tally.count_message(&self.sender, &self.recipients, &self.content, stuffed);
            output.extend_from_slice(b"250 2.0.0 taken\r\n");
        }
        self.reset();
    }

    fn reset(&mut self) {
        self.has_sender = false;
        self.recipients.clear();
        self.content.clear();
    }
}

/// What stands between the angle brackets.
fn path(line: &[u8]) -> &[u8] {
    let Some(start) = memchr(b'<', line) else { return b"" };
    let Some(length) = memchr(b'>', &line[start..]) else { return b"" };
    &line[start + 1..start + length]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `wire` in pieces of `size` and answers what was said.
    fn talk(wire: &[u8], size: usize, tally: &Arc<Tally>) -> String {
        let mut session = Session::new(b"250 sink\r\n".to_vec(), tally.clone());
        let (mut pending, mut output) = (Vec::new(), Vec::new());
        for piece in wire.chunks(size) {
            pending.extend_from_slice(piece);
            let used = session.feed(&pending, &mut output);
            pending.drain(..used);
        }
        String::from_utf8(output).expect("ASCII")
    }

    const TWO_MESSAGES: &[u8] = b"EHLO me\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n\
        X-Bench-Token: one\r\n\r\n..dot\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<e@f.example>\r\nBDAT 18 LAST\r\n\
        \r\ntoken=two a\r\n.\r\nQUIT\r\n";

    #[test]
    fn takes_messages_in_pieces_of_any_size() {
        for size in 1..=TWO_MESSAGES.len() {
            let tally = Arc::new(Tally::new(true, false));
            let answers = talk(TWO_MESSAGES, size, &tally);
            let codes: Vec<&str> = answers.lines().map(|line| &line[..3]).collect();
            assert_eq!(
                codes,
                ["250", "250", "250", "354", "250", "250", "250", "250", "221"],
                "pieces of {size}"
            );
            let messages = tally.messages();
            assert_eq!(messages[0].content, b"X-Bench-Token: one\r\n\r\n.dot\r\n");
            assert_eq!(messages[1].content, b"\r\ntoken=two a\r\n.\r\n");
            assert_eq!(
                (messages[0].sender.as_str(), messages[1].recipients[0].as_str()),
                ("a@b.example", "e@f.example")
            );
            let summary = tally.summary();
            assert_eq!((summary.received, summary.distinct_tokens, summary.violations), (2, 2, 0));
        }
    }

    #[test]
    fn counts_stray_line_ends() {
        let tally = Arc::new(Tally::new(false, false));
        let wire = b"EHLO me\nMAIL FROM:<a@b.c>\r\nRCPT TO:<c@d.e>\r\nDATA\r\na\nb\rc\r\n\n.\n\r\n.\r\n";
        talk(wire, wire.len(), &tally);
        let summary = tally.summary();
        assert_eq!((summary.received, summary.violations), (1, 2));
    }
}
