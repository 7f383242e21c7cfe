//! Address headers (RFC 5322, 3.4).

use super::folder::Folder;
use crate::address::Mailbox;

/// A longer name is written as encoded words, which can be folded.
const MAX_QUOTED: usize = 70;

impl Folder<'_> {
    /// Writes mailboxes, a comma between each two.
    pub(crate) fn mailboxes<'m>(&mut self, mailboxes: impl IntoIterator<Item = &'m Mailbox>) {
        for (index, mailbox) in mailboxes.into_iter().enumerate() {
            if index > 0 {
                self.push(b',');
                self.space(first_length(mailbox));
            }
            self.mailbox(mailbox);
        }
    }

    fn mailbox(&mut self, mailbox: &Mailbox) {
        let address = mailbox.address.as_str();
        match mailbox.name.as_deref() {
            None | Some("") => self.write(address),
            Some(name) => {
                self.phrase(name);
                self.space(address.len() + 3);
                self.push(b'<');
                self.write(address);
                self.push(b'>');
            }
        }
    }

    /// RFC 5322, 3.2.5, or encoded words.
    fn phrase(&mut self, name: &str) {
        if is_atoms(name) {
            return self.text(name);
        }
        let quotable = name.len() <= MAX_QUOTED
            && name.bytes().all(|byte| matches!(byte, b' '..=b'~'))
            && !name.contains("=?")
            && !name.contains("  ");
        if !quotable {
            return self.encoded_words(name);
        }
        self.push(b'"');
        for byte in name.bytes() {
            if matches!(byte, b'"' | b'\\') {
                self.push(b'\\');
            }
            self.push(byte);
        }
        self.push(b'"');
    }
}

/// ASCII atoms and single spaces, nothing like an encoded word.
fn is_atoms(name: &str) -> bool {
    name.split(' ').all(|word| {
        !word.is_empty()
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte))
    }) && !name.contains("=?")
}

/// What stands on the line before a mailbox can first be broken, a guess for encoded names.
fn first_length(mailbox: &Mailbox) -> usize {
    let address = mailbox.address.as_str().len() + 3;
    match &mailbox.name {
        None => address,
        Some(name) => (name.len() + 2 + address).min(40),
    }
}
