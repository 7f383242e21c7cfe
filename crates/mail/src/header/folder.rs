//! Writes a header line and breaks it where it may be broken (RFC 5322, 2.2.3).

/// RFC 2047, 2: no line with an encoded word is longer than this. Used for all lines.
pub(super) const MAX_LINE: usize = 76;
/// A word without a space is left whole up to here; with the header's name and the parts around
/// it the line stays under the 998 octets of RFC 5322, 2.1.1.
pub(super) const MAX_WORD: usize = 880;

/// A header being written.
pub(crate) struct Folder<'a> {
    out: &'a mut Vec<u8>,
    /// Octets on the current line.
    column: usize,
}

impl<'a> Folder<'a> {
    /// Writes the name and `: `.
    pub(crate) fn start(out: &'a mut Vec<u8>, name: &str) -> Self {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        Self { out, column: name.len() + 2 }
    }

    /// Ends the header.
    pub(crate) fn finish(self) {
        self.out.extend_from_slice(b"\r\n");
    }

    /// Writes text that must not be broken.
    pub(crate) fn write(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
        self.column += text.len();
    }

    pub(super) fn push(&mut self, byte: u8) {
        self.out.push(byte);
        self.column += 1;
    }

    /// A space, or a line break and a space where `length` more octets would not fit.
    pub(super) fn space(&mut self, length: usize) {
        if self.column + 1 + length > MAX_LINE && self.column > 1 {
            self.new_line();
        } else {
            self.push(b' ');
        }
    }

    /// A line break and the space that makes it part of the same header.
    pub(super) fn new_line(&mut self) {
        self.out.extend_from_slice(b"\r\n ");
        self.column = 1;
    }

    /// How many octets fit on this line.
    pub(super) fn room(&self) -> usize {
        MAX_LINE.saturating_sub(self.column)
    }

    /// Writes base64 of `bytes` without line breaks.
    pub(super) fn write_base64(&mut self, bytes: &[u8]) {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(bytes);
        self.write(&text);
    }

    /// Writes `mark` and two upper-case hexadecimal digits.
    pub(super) fn write_hex(&mut self, mark: u8, byte: u8) {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        self.push(mark);
        self.push(DIGITS[usize::from(byte >> 4)]);
        self.push(DIGITS[usize::from(byte & 15)]);
    }

    /// Writes unstructured text (RFC 5322, 2.2.1): as it is where that reads back the same,
    /// else as encoded words.
    pub(crate) fn text(&mut self, text: &str) {
        if !is_plain(text) {
            return self.encoded_words(text);
        }
        if text.len() <= self.room() {
            return self.write(text);
        }
        // Some readers drop a space at a fold; with a run of them the text would change.
        if text.contains("  ") || text.split(' ').any(|word| word.len() > MAX_WORD) {
            return self.encoded_words(text);
        }
        for (index, word) in text.split(' ').enumerate() {
            if index > 0 {
                self.space(word.len());
            }
            self.write(word);
        }
    }
}

/// Printable ASCII that no reader changes: no blanks at the ends, nothing like an encoded word.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && !text.starts_with(' ')
        && !text.ends_with(' ')
        && !text.contains("=?")
}
