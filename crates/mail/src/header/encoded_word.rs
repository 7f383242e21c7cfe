//! Encoded words (RFC 2047), always of UTF-8 and whole characters.

use super::folder::Folder;

/// RFC 2047, 2.
const MAX_WORD: usize = 75;
/// `=?utf-8?Q?` and `?=`.
const OVERHEAD: usize = 12;
/// A word of less is not begun on the rest of a line; the longest character takes 12.
const MIN_PAYLOAD: usize = 16;

impl Folder<'_> {
    /// Writes `text` as encoded words that may stand in text and in phrases (RFC 2047, 5).
    pub(crate) fn encoded_words(&mut self, text: &str) {
        let escaped = text.bytes().filter(|&byte| !is_safe(byte)).count();
        // Q costs two octets for each escape, B one for each three octets.
        let use_q = escaped * 6 <= text.len() * 2;
        let mut rest = text;
        while !rest.is_empty() {
            if self.room() < OVERHEAD + MIN_PAYLOAD {
                self.new_line();
            }
            let room = self.room().min(MAX_WORD) - OVERHEAD;
            let (word, remainder) = rest.split_at(fitting(rest, room, use_q));
            if use_q {
                self.write_q(word);
            } else {
                self.write("=?utf-8?B?");
                self.write_base64(word.as_bytes());
                self.write("?=");
            }
            rest = remainder;
            if !rest.is_empty() {
                self.new_line();
            }
        }
    }

    fn write_q(&mut self, word: &str) {
        self.write("=?utf-8?Q?");
        for byte in word.bytes() {
            match byte {
                b' ' => self.push(b'_'),
                _ if is_safe(byte) => self.push(byte),
                _ => self.write_hex(b'=', byte),
            }
        }
        self.write("?=");
    }
}

/// How many octets of `text`, in whole characters, fit into `room` when encoded.
fn fitting(text: &str, room: usize, use_q: bool) -> usize {
    let mut used = 0;
    for (index, character) in text.char_indices() {
        let end = index + character.len_utf8();
        if use_q {
            let octets = text[index..end].bytes();
            used += octets.map(|byte| if is_safe(byte) { 1 } else { 3 }).sum::<usize>();
        } else {
            used = end.div_ceil(3) * 4;
        }
        if used > room {
            return index;
        }
    }
    text.len()
}

/// What Q leaves as it is, also in phrases (RFC 2047, 5 (3)); the space becomes `_`.
fn is_safe(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'!' | b'*' | b'+' | b'-' | b'/')
}
