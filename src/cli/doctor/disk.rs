//! Room on the disk, by the system's own `df` (POSIX): there is no other way to ask without unsafe code.

use std::path::Path;
use std::process::{Command, Stdio};

/// Bytes free for us on the file system that holds `path`; nothing when `df` cannot say.
pub fn free_bytes(path: &Path) -> Option<u64> {
    let output = Command::new("df").arg("-Pk").arg("--").arg(path).stdin(Stdio::null()).output().ok()?;
    parse(&String::from_utf8(output.stdout).ok()?)
}

/// The fourth column of the second line; the file system's name may hold blanks, so it is counted from the end.
fn parse(text: &str) -> Option<u64> {
    let line = text.lines().nth(1)?;
    let kilobytes: u64 = line.split_ascii_whitespace().rev().nth(2)?.parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_portable_shape() {
        let text = "Filesystem     1024-blocks     Used Available Capacity Mounted on\n\
                    /dev/my disk   102400          1        2048       1% /\n";
        assert_eq!(parse(text), Some(2048 * 1024));
        assert_eq!(parse("df: not found"), None);
    }

    #[test]
    fn this_machine_has_some_room() {
        assert!(free_bytes(Path::new("/")).is_some_and(|bytes| bytes > 0));
    }
}
