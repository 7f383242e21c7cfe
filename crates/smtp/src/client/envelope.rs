//! The envelope, and the proof that none of its bytes can end or extend a command.

/// Sender and recipients of one message, and what its content needs.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// The return path; empty is the null sender `<>`.
    pub mail_from: &'a str,
    /// The recipients, in the order of the outcomes.
    pub recipients: &'a [&'a str],
    /// Size of the message, bytes, for the SIZE parameter (RFC 1870).
    pub size: usize,
    /// The content has bytes above 127: `BODY=8BITMIME` where offered, and sent as it is where not, as 8-bit clean
    /// relays have long been the rule.
    pub body_8bit: bool,
    /// The headers or addresses need SMTPUTF8 (RFC 6531). Non-ASCII addresses imply it.
    pub smtputf8: bool,
}

/// Why an address cannot stand in a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressFault {
    /// A recipient without any character.
    #[error("the address is empty")]
    Empty,
    /// RFC 5321 section 4.5.3.1.3 allows 254 octets within the angle brackets.
    #[error("the address is longer than 254 bytes")]
    TooLong,
    /// A control character, a space outside quotes, `<` or `>`.
    #[error("the address has a character that may not stand in an SMTP command")]
    ForbiddenCharacter,
}

/// Longest address, bytes.
const MAX_ADDRESS_BYTES: usize = 254;

/// Checks that `address` can be written between angle brackets without breaking the command: it is no full syntax
/// check, which is the caller's.
pub fn check_address(address: &str) -> Result<(), AddressFault> {
    if address.is_empty() {
        return Err(AddressFault::Empty);
    }
    if address.len() > MAX_ADDRESS_BYTES {
        return Err(AddressFault::TooLong);
    }
    let forbidden = |char: char| char.is_control() || char.is_whitespace() || matches!(char, '<' | '>');
    let quoted = if address.starts_with('"') { address.rfind("\"@").unwrap_or(0) } else { 0 };
    // A quoted local part may hold spaces (RFC 5321 section 4.1.2, qtextSMTP).
    let mut characters = address.char_indices().filter(|(at, char)| *char != ' ' || *at >= quoted);
    if characters.any(|(_, char)| forbidden(char)) {
        return Err(AddressFault::ForbiddenCharacter);
    }
    Ok(())
}

/// Checks a host name or address literal for EHLO.
pub(super) fn is_helo_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 255
        && name.bytes().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'[' | b']' | b':')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_byte_of_an_address_breaks_a_command() {
        for good in [
            "a@b.example",
            "a+b='x'@[192.0.2.1]",
            "jürgen@bücher.example",
            "\"a,b\"@c.example",
            "\"a b\"@c.example",
        ] {
            assert_eq!(check_address(good), Ok(()), "{good}");
        }
        for bad in [
            "a@b\r\nDATA",
            "a\r@b",
            "a\n@b",
            "a\0@b",
            "a b@c",
            "\"a b@c",
            "\"a b\"@c d",
            "\"a\tb\"@c",
            "\"a\" b\"@c>",
            "a@b> SIZE=1",
            "<a@b",
            "a\t@b",
            "a\u{85}@b",
            "a\u{2028}@b",
            "a\u{7f}@b",
        ] {
            assert_eq!(check_address(bad), Err(AddressFault::ForbiddenCharacter), "{bad:?}");
        }
        assert_eq!(check_address(""), Err(AddressFault::Empty));
        assert_eq!(check_address(&"a".repeat(255)), Err(AddressFault::TooLong));
    }

    #[test]
    fn helo_names_are_plain() {
        for (name, good) in [
            ("mail.example.org", true),
            ("[192.0.2.1]", true),
            ("[IPv6:2001:db8::1]", true),
            ("", false),
            ("a b", false),
            ("a\r\nMAIL", false),
            ("ü.example", false),
        ] {
            assert_eq!(is_helo_name(name), good, "{name}");
        }
    }
}
