//! Parameters of Content-Type and Content-Disposition (RFC 2045, 5.1; RFC 2231).

use super::folder::{Folder, MAX_LINE};

impl Folder<'_> {
    /// Writes `; name="value"`, or the RFC 2231 form where the value is not plain ASCII.
    pub(crate) fn parameter(&mut self, name: &str, value: &str) {
        self.push(b';');
        if is_quotable(value) {
            self.space(name.len() + value.len() + 3);
            self.write(name);
            self.write("=\"");
            self.write(value);
            self.push(b'"');
        } else {
            self.extended(name, value);
        }
    }

    /// RFC 2231, 3 and 4: percent-encoded UTF-8, in numbered sections where one line is too short.
    fn extended(&mut self, name: &str, value: &str) {
        const CHARSET: &str = "utf-8''";
        let length: usize = value.bytes().map(encoded_length).sum();
        if name.len() + CHARSET.len() + length + 3 < MAX_LINE {
            self.space(name.len() + CHARSET.len() + length + 2);
            self.write(name);
            self.write("*=utf-8''");
            return self.percent(value);
        }
        let mut rest = value;
        let mut section = 0;
        while !rest.is_empty() {
            if section > 0 {
                self.push(b';');
            }
            self.new_line();
            self.write(&format!("{name}*{section}*="));
            if section == 0 {
                self.write(CHARSET);
            }
            // Keeps a place for the semicolon.
            let room = self.room() - 1;
            let (head, tail) = rest.split_at(fitting(rest, room));
            self.percent(head);
            rest = tail;
            section += 1;
        }
    }

    fn percent(&mut self, text: &str) {
        for byte in text.bytes() {
            if is_attribute_char(byte) {
                self.push(byte);
            } else {
                self.write_hex(b'%', byte);
            }
        }
    }
}

/// Plain ASCII that needs no escapes in a quoted string, which some readers do not undo.
fn is_quotable(value: &str) -> bool {
    value.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\'))
        && !value.contains("=?")
        && !value.starts_with(' ')
        && !value.ends_with(' ')
}

/// How many octets of `text`, in whole characters, fit into `room` when encoded.
fn fitting(text: &str, room: usize) -> usize {
    let mut used = 0;
    for (index, character) in text.char_indices() {
        let end = index + character.len_utf8();
        used += text[index..end].bytes().map(encoded_length).sum::<usize>();
        // The first character always fits: a name is short, and 12 octets are left.
        if used > room && index > 0 {
            return index;
        }
    }
    text.len()
}

fn encoded_length(byte: u8) -> usize {
    if is_attribute_char(byte) { 1 } else { 3 }
}

/// RFC 2231, 7.
fn is_attribute_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$&+-.^_`{|}~".contains(&byte)
}
