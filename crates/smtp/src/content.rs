//! The message on the wire: line ends are CRLF or the message does not leave (a stray CR or LF is how mail is
//! smuggled past a relay, RFC 5321 section 2.3.8), and lines that begin with a dot are stuffed (section 4.5.2).

/// A CR without LF, or a LF without CR: such a message is refused, never repaired here, because a repair would
/// break its signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message has a stray CR or LF at byte {offset}")]
pub struct StrayLineEnd {
    /// Where it stands.
    pub offset: usize,
}

/// What a look over the whole message found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Whether the message ends its last line; if not, CRLF must be added when it is sent.
    pub ends_line: bool,
    /// Whether any line begins with a dot.
    pub has_leading_dot: bool,
}

/// Checks every line end of `message`.
pub fn inspect(message: &[u8]) -> Result<Shape, StrayLineEnd> {
    let mut has_leading_dot = message.first() == Some(&b'.');
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'\r', b'\n', &message[at..]) {
        let offset = at + found;
        if message[offset] == b'\n' || message.get(offset + 1) != Some(&b'\n') {
            return Err(StrayLineEnd { offset });
        }
        at = offset + 2;
        has_leading_dot |= message.get(at) == Some(&b'.');
    }
    Ok(Shape { ends_line: at == message.len() && at > 0, has_leading_dot })
}

/// Dot-stuffing of a message that comes in pieces cut anywhere.
#[derive(Debug)]
pub struct Stuffer {
    at_line_start: bool,
}

impl Default for Stuffer {
    fn default() -> Self {
        Self { at_line_start: true }
    }
}

impl Stuffer {
    /// Appends `piece` to `out`, a dot added before each line that begins with one.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        out.reserve(piece.len() + 8);
        let mut written = 0;
        let mut line = 0;
        loop {
            if self.at_line_start && piece.get(line) == Some(&b'.') {
                out.extend_from_slice(&piece[written..line]);
                out.push(b'.');
                written = line;
            }
            let Some(length) = memchr::memchr(b'\n', &piece[line..]) else {
                self.at_line_start &= line == piece.len();
                break;
            };
            self.at_line_start = true;
            line += length + 1;
        }
        out.extend_from_slice(&piece[written..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stuff_in_pieces(message: &[u8], size: usize) -> Vec<u8> {
        let (mut stuffer, mut out) = (Stuffer::default(), Vec::new());
        message.chunks(size).for_each(|piece| stuffer.push(piece, &mut out));
        out
    }

    /// What RFC 5321 section 4.5.2 says, line by line.
    fn stuff_by_the_book(message: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for line in message.split_inclusive(|byte| *byte == b'\n') {
            if line.first() == Some(&b'.') {
                out.push(b'.');
            }
            out.extend_from_slice(line);
        }
        out
    }

    #[test]
    fn finds_every_stray_line_end() {
        for (message, offset) in [
            (&b"a\nb\r\n"[..], 1),
            (b"a\rb\r\n", 1),
            (b"a\r\r\n", 1),
            (b"a\r\n\n", 3),
            (b"a\r", 1),
            (b"\n.\n", 0),
            (b"a\r\n.\r\r\n", 4),
        ] {
            assert_eq!(inspect(message), Err(StrayLineEnd { offset }), "{message:?}");
        }
    }

    #[test]
    fn sees_the_shape() {
        let shape = |ends_line, has_leading_dot| Ok(Shape { ends_line, has_leading_dot });
        assert_eq!(inspect(b"a\r\nb\r\n"), shape(true, false));
        assert_eq!(inspect(b"a\r\nb"), shape(false, false));
        assert_eq!(inspect(b""), shape(false, false));
        assert_eq!(inspect(b".a\r\n"), shape(true, true));
        assert_eq!(inspect(b"a\r\n.\r\n"), shape(true, true));
        assert_eq!(inspect(b"a.\r\nb.c"), shape(false, false));
    }

    #[test]
    fn stuffs_dots_at_every_edge() {
        let message = b".\r\n..\r\na.b\r\n\r\n.\r\n.x";
        for size in 1..=message.len() {
            assert_eq!(
                stuff_in_pieces(message, size),
                b"..\r\n...\r\na.b\r\n\r\n..\r\n..x",
                "pieces of {size}"
            );
        }
    }

    proptest! {
        #[test]
        fn stuffing_is_by_the_book(lines in proptest::collection::vec("[.a\r]{0,4}", 0..40), size in 1..50_usize) {
            let message = lines.join("\r\n").into_bytes();
            prop_assert_eq!(stuff_in_pieces(&message, size), stuff_by_the_book(&message));
        }

        #[test]
        fn inspect_never_panics(message in proptest::collection::vec(any::<u8>(), 0..300)) {
            let clean = inspect(&message).is_ok();
            let by_hand = String::from_utf8_lossy(&message).replace("\r\n", "");
            prop_assert_eq!(clean, !by_hand.contains(['\r', '\n']));
        }
    }
}
