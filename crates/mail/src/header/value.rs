//! Header values as text.

use std::fmt;
use std::str::FromStr;

use super::error::HeaderError;

/// In octets; a hundred lines. Relays refuse headers of about 100 KB in all.
const MAX_VALUE: usize = 8192;

/// The text of an unstructured header: no control characters but TAB, at most 8 KB. Line folding
/// and encoding are not part of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HeaderValue(Box<str>);

impl HeaderValue {
    /// Checks a value.
    pub fn parse(input: &str) -> Result<Self, HeaderError> {
        if input.len() > MAX_VALUE {
            return Err(HeaderError::ValueTooLong);
        }
        if !is_header_text(input) {
            return Err(HeaderError::ControlCharacter);
        }
        Ok(Self(input.into()))
    }

    /// The text as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether `text` may stand in a header (a subject, a value): no CR, LF, NUL or other control
/// character but TAB. U+2028 and the like are legal text and become encoded words.
pub fn is_header_text(text: &str) -> bool {
    let allowed = |byte: u8| !byte.is_ascii_control() || byte == b'\t';
    if text.is_ascii() {
        return text.bytes().all(allowed);
    }
    !text.chars().any(|character| character.is_control() && character != '\t')
}

impl fmt::Display for HeaderValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for HeaderValue {
    type Err = HeaderError;

    fn from_str(input: &str) -> Result<Self, Self::Err> {
        Self::parse(input)
    }
}
