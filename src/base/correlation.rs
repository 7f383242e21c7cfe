//! The id that ties a request to every log line, attempt and event that came of it.

use super::chance::Chance;
use std::fmt;
use std::sync::Arc;

/// The longest correlation id taken from a request, in characters.
pub const MAX_LENGTH: usize = 128;

/// 1-128 visible ASCII characters, taken from a request or made here. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CorrelationId(Arc<str>);

impl CorrelationId {
    /// Takes `text` as it is when it is 1-128 visible ASCII characters (no space), else nothing.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        fits.then(|| Self(text.into()))
    }

    /// A new one: 32 hexadecimal digits.
    pub fn generate(chance: &Chance) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = String::with_capacity(32);
        for byte in chance.bytes::<16>() {
            text.push(char::from(DIGITS[usize::from(byte >> 4)]));
            text.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
        Self(text.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn takes_only_visible_ascii_up_to_128() {
        for good in ["a", "req-1/2:{x}~!", &"x".repeat(128)] {
            assert_eq!(CorrelationId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a\r\nX-Evil: 1", "tab\t", "nul\0", "é", "\u{7f}", &"x".repeat(129)] {
            assert_eq!(CorrelationId::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_made_one_is_new_and_can_be_taken_back() {
        let chance = Chance::new();
        let (one, two) = (CorrelationId::generate(&chance), CorrelationId::generate(&chance));
        assert_ne!(one, two);
        assert_eq!(one.as_str().len(), 32);
        assert_eq!(CorrelationId::parse(one.as_str()), Some(one));
    }

    proptest! {
        #[test]
        fn nothing_taken_can_break_a_header(text in ".{0,200}") {
            if let Some(id) = CorrelationId::parse(&text) {
                prop_assert!(id.as_str().bytes().all(|b| (0x21..=0x7e).contains(&b)));
            }
        }
    }
}
