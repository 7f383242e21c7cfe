//! An address with the name people see beside it (RFC 5322, 3.4 `mailbox`).

use std::fmt;
use std::str::FromStr;

use super::Address;
use super::error::AddressError;
use super::text::{is_atext, is_name_character};

/// Longer names are abuse; also keeps the header in bounds.
const MAX_NAME_CHARACTERS: usize = 256;
/// A name of 256 four-octet characters, each escaped, and an address.
const MAX_INPUT: usize = 3 * 1024;

/// A display name and an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mailbox {
    /// The name, unquoted and undecorated; `None` where there is none.
    pub name: Option<String>,
    /// The address.
    pub address: Address,
}

impl Mailbox {
    /// Checks `name` (no control characters or line separators, at most 256 characters) and
    /// trims it; an empty name is none.
    pub fn new(name: Option<&str>, address: Address) -> Result<Self, AddressError> {
        let name = match name {
            Some(name) => check_name(name)?,
            None => None,
        };
        Ok(Self { name, address })
    }

    /// Reads `a@b.com`, `<a@b.com>`, `Ann <a@b.com>` or `"Ann, B" <a@b.com>`. Nothing may follow
    /// the closing bracket, and an unquoted name may hold no character that is special in
    /// RFC 5322, dots excepted.
    pub fn parse(input: &str) -> Result<Self, AddressError> {
        if input.len() > MAX_INPUT {
            return Err(AddressError::TooLong);
        }
        let input = input.trim_matches(' ');
        let Some(body) = input.strip_suffix('>') else {
            if input.contains('<') {
                return Err(AddressError::Mailbox);
            }
            return Self::new(None, Address::parse(input)?);
        };
        let (name, address) = body.rsplit_once('<').ok_or(AddressError::Mailbox)?;
        let address = Address::parse(address)?;
        let name = name.trim_matches(' ');
        match name.strip_prefix('"') {
            Some(rest) => Self::new(Some(&unquote(rest)?), address),
            None if name.contains(is_special) => Err(AddressError::Mailbox),
            None => Self::new(Some(name), address),
        }
    }
}

impl From<Address> for Mailbox {
    fn from(address: Address) -> Self {
        Self { name: None, address }
    }
}

impl FromStr for Mailbox {
    type Err = AddressError;

    fn from_str(input: &str) -> Result<Self, Self::Err> {
        Self::parse(input)
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(name) = &self.name else {
            return f.write_str(self.address.as_str());
        };
        if is_phrase(name) {
            return write!(f, "{name} <{}>", self.address);
        }
        f.write_str("\"")?;
        for character in name.chars() {
            if matches!(character, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{character}")?;
        }
        write!(f, "\" <{}>", self.address)
    }
}

fn check_name(name: &str) -> Result<Option<String>, AddressError> {
    // Before trimming: a line break at the end is no less a line break.
    if !name.chars().all(is_name_character) {
        return Err(AddressError::NameControlCharacter);
    }
    let name = name.trim();
    if name.len() > MAX_NAME_CHARACTERS && name.chars().count() > MAX_NAME_CHARACTERS {
        return Err(AddressError::NameTooLong);
    }
    Ok((!name.is_empty()).then(|| name.to_owned()))
}

/// Words of `atext` (or non-ASCII) with single spaces: needs no quotes.
fn is_phrase(name: &str) -> bool {
    name.split(' ').all(|word| !word.is_empty() && word.bytes().all(|byte| is_atext(byte) || byte >= 0x80))
}

/// RFC 5322, 3.2.3 `specials` without the dot (`John Q. Public <...>` is written everywhere).
fn is_special(character: char) -> bool {
    matches!(character, '(' | ')' | '<' | '>' | '[' | ']' | ':' | ';' | '@' | '\\' | ',' | '"')
}

/// Reads the rest of a quoted string, which must end where the text ends.
fn unquote(rest: &str) -> Result<String, AddressError> {
    let mut name = String::with_capacity(rest.len());
    let mut characters = rest.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' if characters.as_str().is_empty() => return Ok(name),
            '"' => return Err(AddressError::Mailbox),
            '\\' => name.push(characters.next().ok_or(AddressError::Mailbox)?),
            _ => name.push(character),
        }
    }
    Err(AddressError::Mailbox)
}
