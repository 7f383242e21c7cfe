//! The content of one message as it comes in: kept as it is, or not at all.
//!
//! A stray CR or LF, NUL, or a line over 998 octets (RFC 5321 sections 2.3.8 and 4.5.3.1.6, RFC 5322 section 2.1.1)
//! spoil the whole message; what was kept is let go at once, and the rest is looked at no further.

use crate::reply::Reply;
use memchr::memchr3;

/// Longest line without its CRLF (RFC 5322 section 2.1.1).
pub const MAX_LINE_BYTES: usize = 998;

/// Why content is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContentFault {
    /// A CR without LF, or a LF without CR.
    StrayLineEnd,
    /// NUL.
    Nul,
    /// A line of more than [`MAX_LINE_BYTES`].
    LongLine,
    /// More than the limit.
    TooLarge,
    /// There is no room for it now; what to say.
    NoRoom(Reply),
}

/// Content so far.
#[derive(Debug)]
pub struct Content {
    bytes: Vec<u8>,
    limit: usize,
    /// Octets of the line under way.
    line: usize,
    after_cr: bool,
    fault: Option<ContentFault>,
    /// Octets that came, kept or not.
    received: u64,
}

impl Content {
    /// Nothing yet; at most `limit` octets will be kept.
    pub fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), limit, line: 0, after_cr: false, fault: None, received: 0 }
    }

    /// Takes the next piece, cut anywhere.
    pub fn push(&mut self, piece: &[u8]) {
        self.received = self.received.saturating_add(piece.len() as u64);
        if self.fault.is_some() {
            return;
        }
        if self.bytes.len() + piece.len() > self.limit {
            self.fail(ContentFault::TooLarge);
        } else if let Some(fault) = self.look_at(piece) {
            self.fail(fault);
        } else {
            self.bytes.extend_from_slice(piece);
        }
    }

    /// Refuses the content; the first reason stays.
    pub fn fail(&mut self, fault: ContentFault) {
        if self.fault.is_none() {
            self.fault = Some(fault);
            self.bytes = Vec::new();
        }
    }

    /// Octets that are kept.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Octets that came, kept or not.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Why it is refused already.
    pub fn fault(&self) -> Option<&ContentFault> {
        self.fault.as_ref()
    }

    /// The whole content.
    pub fn finish(self) -> Result<Vec<u8>, ContentFault> {
        match self.fault {
            Some(fault) => Err(fault),
            None if self.after_cr => Err(ContentFault::StrayLineEnd),
            None => Ok(self.bytes),
        }
    }

    fn look_at(&mut self, piece: &[u8]) -> Option<ContentFault> {
        let mut rest = piece;
        while let Some(&first) = rest.first() {
            if self.after_cr {
                if first != b'\n' {
                    return Some(ContentFault::StrayLineEnd);
                }
                (self.after_cr, self.line) = (false, 0);
                rest = &rest[1..];
                continue;
            }
            let found = memchr3(b'\r', b'\n', 0, rest);
            self.line += found.unwrap_or(rest.len());
            if self.line > MAX_LINE_BYTES {
                return Some(ContentFault::LongLine);
            }
            let at = found?;
            match rest[at] {
                b'\r' => self.after_cr = true,
                b'\n' => return Some(ContentFault::StrayLineEnd),
                _ => return Some(ContentFault::Nul),
            }
            rest = &rest[at + 1..];
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn taken(bytes: &[u8], piece: usize) -> Result<Vec<u8>, ContentFault> {
        let mut content = Content::new(4096);
        bytes.chunks(piece.max(1)).for_each(|piece| content.push(piece));
        content.finish()
    }

    #[test]
    fn clean_content_is_kept_wherever_it_is_cut() {
        let longest = [&[b'x'; MAX_LINE_BYTES][..], b"\r\n"].concat();
        for clean in [&b""[..], b"\r\n", b"a\r\n\r\nb", b"a\r\n.\r\n.b\r\n", b"\xff\xfe\r\n", &longest] {
            for piece in 1..=clean.len().max(1) {
                assert_eq!(taken(clean, piece).as_deref(), Ok(clean), "pieces of {piece}");
            }
        }
    }

    #[test]
    fn every_fault_is_found_wherever_it_is_cut() {
        let long = [&b"a\r\n"[..], &[b'x'; MAX_LINE_BYTES + 1], b"\r\n"].concat();
        for (bytes, fault) in [
            (&b"a\nb\r\n"[..], ContentFault::StrayLineEnd),
            (b"a\rb\r\n", ContentFault::StrayLineEnd),
            (b"a\r\r\n", ContentFault::StrayLineEnd),
            (b"a\r\n\n", ContentFault::StrayLineEnd),
            (b"a\r\n\r", ContentFault::StrayLineEnd),
            (b"\n", ContentFault::StrayLineEnd),
            (b"a\0b\r\n", ContentFault::Nul),
            (&long, ContentFault::LongLine),
        ] {
            for piece in 1..=bytes.len() {
                assert_eq!(taken(bytes, piece), Err(fault.clone()), "{bytes:?} in pieces of {piece}");
            }
        }
        let large = b"abc\r\n".repeat(820);
        assert_eq!(taken(&large, 7), Err(ContentFault::TooLarge));
    }

    proptest! {
        #[test]
        fn taken_means_clean(lines in proptest::collection::vec("[a\r\n\0.]{0,3}", 0..20), piece in 1..30_usize) {
            let bytes = lines.join("\r\n").into_bytes();
            let stray = String::from_utf8_lossy(&bytes).replace("\r\n", "").contains(['\r', '\n', '\0']);
            prop_assert_eq!(taken(&bytes, piece).is_ok(), !stray);
        }
    }
}
