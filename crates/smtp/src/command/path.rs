//! The path between angle brackets, found without being misled by quotes, and read by the one parser of addresses
//! that policy uses too.

use super::CommandError;
use posthaste_mail::Address;

/// What stands between the brackets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Path<'a> {
    /// `<>`.
    Null,
    /// Anything else.
    Mailbox(&'a str),
}

/// Cuts the path off the start of `text`; the rest follows. `None` when it does not begin with a whole path.
pub(super) fn split(text: &str) -> Option<(Path<'_>, &str)> {
    let inside = text.strip_prefix('<')?;
    let mut quoted = false;
    let mut bytes = inside.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' if quoted => {
                bytes.next();
            }
            b'"' => quoted = !quoted,
            b'>' if !quoted => {
                let path = if at == 0 { Path::Null } else { Path::Mailbox(&inside[..at]) };
                return Some((path, &inside[at + 1..]));
            }
            _ => {}
        }
    }
    None
}

/// The address of a path.
pub(super) fn address(text: &str) -> Result<Address, CommandError> {
    if text.starts_with('@') {
        return Err(CommandError::SourceRoute);
    }
    Ok(Address::parse(text)?)
}
