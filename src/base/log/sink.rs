//! Where lines end up: stderr and the file of the day, in large writes; and the hashing of addresses on the way.

use super::daily::DailyFile;
use aws_lc_rs::digest;
use std::fmt::Write as _;
use std::io::{self, Write};

/// Bytes gathered before a write, while lines keep coming.
const WRITE_BYTES: usize = 64 * 1024;
/// Bytes of the hash shown for an address.
const HASH_SHOWN: usize = 6;

/// Writes the same lines to the console and, if there is one, the file. The writer thread flushes whenever no
/// further line waits, so a quiet log is never held back.
pub(super) struct Tee<C> {
    console: C,
    file: Option<DailyFile>,
    /// The file may end within a line: its disk was full.
    is_torn: bool,
    pending: Vec<u8>,
}

impl<C: Write> Tee<C> {
    pub(super) fn new(console: C, file: Option<DailyFile>) -> Self {
        Self { console, file, is_torn: false, pending: Vec::with_capacity(WRITE_BYTES) }
    }
}

impl<C: Write> Write for Tee<C> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.pending.extend_from_slice(line);
        if self.pending.len() >= WRITE_BYTES {
            self.flush()?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // A full disk must not silence the console, nor a closed console the file; both are tried, neither stops us.
        let _ = self.console.write_all(&self.pending).and_then(|()| self.console.flush());
        if let Some(file) = &mut self.file {
            // The next line is not to become the rest of one that was cut off.
            let ended = if self.is_torn { file.write_all(b"\n") } else { Ok(()) };
            self.is_torn = ended.and_then(|()| file.write_all(&self.pending)).is_err();
        }
        self.pending.clear();
        Ok(())
    }
}

/// Replaces each email address in `line` by the start of the SHA-256 of its lower-case form, which an operator who
/// looks for an address computes with `printf %s ann@example.org | sha256sum`.
pub(super) fn hash_addresses(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find('@') {
        let start = rest[..at].rfind(ends_local_part).map_or(0, |i| i + 1);
        let end = rest[at + 1..].find(ends_domain).map_or(rest.len(), |i| at + 1 + i);
        out.push_str(&rest[..start]);
        let hash = digest::digest(&digest::SHA256, rest[start..end].to_lowercase().as_bytes());
        out.push_str("sha256:");
        for byte in &hash.as_ref()[..HASH_SHOWN] {
            let _ = write!(out, "{byte:02x}");
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

fn ends_local_part(c: char) -> bool {
    // One byte each, so that the next character starts right after.
    c.is_ascii_whitespace() || c.is_ascii_control() || "\"\\<>()[],;:=".contains(c)
}

fn ends_domain(c: char) -> bool {
    !(c.is_alphanumeric() || c == '-' || c == '.' || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_are_found_between_other_text() {
        let hashed = hash_addresses("to=ann@example.org, <bob@müller.de>; @ c@");
        assert_eq!(hashed.matches("sha256:").count(), 4, "{hashed}");
        assert!(!hashed.contains("ann") && !hashed.contains("müller"), "{hashed}");
        assert_eq!(hash_addresses("nothing here"), "nothing here");
        assert_eq!(hash_addresses("x@y.z").len(), "sha256:".len() + 12);
        assert_eq!(hash_addresses("X@Y.Z"), hash_addresses("x@y.z"));
    }

    #[test]
    fn one_dead_place_does_not_silence_the_other() {
        struct Dead;
        impl Write for Dead {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
        let mut tee = Tee::new(Dead, None);
        tee.write_all(b"a line\n").unwrap();
        tee.flush().unwrap();
        assert!(tee.pending.is_empty());
    }

    proptest! {
        #[test]
        fn any_text_is_hashed_without_a_trace_of_an_at(text in "(\\PC|@| ){0,60}") {
            prop_assert!(!hash_addresses(&text).contains('@'));
        }
    }
}
