//! Where content given by DATA ends: at CR LF `.` CR LF and nowhere else (RFC 5321 section 4.1.1.4), the dots of
//! transparency taken off on the way (section 4.5.2). Whatever else stands around a dot is content; [`Content`] judges
//! it.

use super::content::Content;
use memchr::memchr;

/// Finds the end of one message.
#[derive(Debug, Default)]
pub struct Frame {
    state: State,
}

/// What stood before the next octet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// A CR LF, or the command itself.
    #[default]
    LineStart,
    /// A dot at the start of a line.
    Dot,
    /// A dot at the start of a line, and CR.
    DotCr,
    /// Anything else of a line.
    Inside {
        /// The last octet was CR.
        after_cr: bool,
    },
}

impl Frame {
    /// Passes on what belongs to the content. Answers how many octets of `input` are done with, and whether the
    /// content ended there; the rest then belongs to the next command.
    pub fn feed(&mut self, input: &[u8], content: &mut Content) -> (usize, bool) {
        let mut at = 0;
        while let Some(&byte) = input.get(at) {
            self.state = match (self.state, byte) {
                (State::LineStart, b'.') => {
                    at += 1;
                    State::Dot
                }
                (State::Dot, b'\r') => {
                    at += 1;
                    State::DotCr
                }
                (State::DotCr, b'\n') => return (at + 1, true),
                (State::DotCr, _) => {
                    content.push(b"\r");
                    State::Inside { after_cr: true }
                }
                (State::LineStart | State::Dot, _) => State::Inside { after_cr: false },
                (State::Inside { after_cr }, _) => {
                    let rest = &input[at..];
                    let Some(length) = memchr(b'\n', rest) else {
                        content.push(rest);
                        self.state = State::Inside { after_cr: rest.ends_with(b"\r") };
                        return (input.len(), false);
                    };
                    let is_end = if length == 0 { after_cr } else { rest[length - 1] == b'\r' };
                    content.push(&rest[..=length]);
                    at += length + 1;
                    if is_end { State::LineStart } else { State::Inside { after_cr: false } }
                }
            };
        }
        (at, false)
    }
}

#[cfg(test)]
mod tests {
    use super::super::content::ContentFault;
    use super::*;
    use crate::content::Stuffer;
    use proptest::prelude::*;

    /// Content, or why there is none, and what stood behind its end.
    type Read = (Result<Vec<u8>, ContentFault>, Vec<u8>);

    /// Feeds `wire` in pieces; answers the content and what stood behind its end, `None` when it has none.
    fn read(wire: &[u8], piece: usize) -> Option<Read> {
        let (mut frame, mut content) = (Frame::default(), Content::new(1 << 20));
        let mut at = 0;
        for piece in wire.chunks(piece.max(1)) {
            let (used, ended) = frame.feed(piece, &mut content);
            at += used;
            if ended {
                return Some((content.finish(), wire[at..].to_vec()));
            }
            assert_eq!(used, piece.len());
        }
        None
    }

    #[test]
    fn only_the_true_end_ends() {
        for (wire, body, rest) in [
            (&b".\r\n"[..], &b""[..], &b""[..]),
            (b"a\r\n.\r\nQUIT\r\n", b"a\r\n", b"QUIT\r\n"),
            (b"..\r\n.\r\n", b".\r\n", b""),
            (b".a\r\n..b\r\n.\r\n", b"a\r\n.b\r\n", b""),
            (b"a.\r\n.\r\n", b"a.\r\n", b""),
            (b"\r\n\r\n.\r\n", b"\r\n\r\n", b""),
        ] {
            for piece in 1..=wire.len() {
                assert_eq!(
                    read(wire, piece),
                    Some((Ok(body.to_vec()), rest.to_vec())),
                    "{wire:?} by {piece}"
                );
            }
        }
    }

    /// Every sequence that some server takes for an end: here all of it is content, which is refused.
    #[test]
    fn no_other_sequence_ends() {
        for fake in [
            &b"\n.\n"[..],
            b"\n.\r\n",
            b"\r\n.\n",
            b"\r.\r",
            b"\r\n.\r",
            b"\n.\r",
            b"\r.\r\n",
            b"\r\n.\r\r\n",
            b"\r\n\0.\r\n",
            b"\r\n.\0\r\n",
            b"\0\r\n.\0\r\n",
            b"\r.\n",
            b"\n.\r\r\n",
        ] {
            let wire =
                [b"body", fake, b"MAIL FROM:<x@evil.example>\r\nDATA\r\ninner\r\n.\r\nQUIT\r\n"].concat();
            for piece in 1..=wire.len() {
                let (content, rest) = read(&wire, piece).expect("an end");
                assert!(content.is_err(), "{fake:?} by {piece}");
                assert_eq!(rest, b"QUIT\r\n", "{fake:?} by {piece}");
            }
        }
    }

    proptest! {
        #[test]
        fn reads_what_was_stuffed(lines in proptest::collection::vec("[.a]{0,4}", 0..30), piece in 1..40_usize) {
            let message: Vec<u8> = lines.iter().flat_map(|line| format!("{line}\r\n").into_bytes()).collect();
            let mut wire = Vec::new();
            Stuffer::default().push(&message, &mut wire);
            wire.extend_from_slice(b".\r\nNOOP\r\n");
            prop_assert_eq!(read(&wire, piece), Some((Ok(message), b"NOOP\r\n".to_vec())));
        }

        #[test]
        fn cutting_changes_nothing(wire in proptest::collection::vec(proptest::sample::select(b"\r\n.a\0".to_vec()), 0..60), piece in 1..9_usize) {
            prop_assert_eq!(read(&wire, piece), read(&wire, wire.len()));
        }
    }
}
