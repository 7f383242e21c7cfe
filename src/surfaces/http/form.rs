//! Fields of a form or a query string (`application/x-www-form-urlencoded`, WHATWG URL, section 5.1), read strictly:
//! a broken escape, text that is not UTF-8 and a NUL are faults, not replacement characters.

use std::borrow::Cow;

/// Fields beyond this number are refused.
const MAX_FIELDS: usize = 1_000;

/// The fields in the order given; a name may stand more than once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

/// Text that is no form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// `%` without two hexadecimal digits.
    #[error("a % is not followed by two hexadecimal digits")]
    BrokenEscape,
    /// The decoded bytes are not UTF-8.
    #[error("the text is not UTF-8")]
    InvalidUtf8,
    /// A NUL, which no field means and no database stores.
    #[error("the text holds a NUL")]
    Nul,
    /// Too many fields.
    #[error("there are more than {MAX_FIELDS} fields")]
    TooManyFields,
}

impl<'a> Fields<'a> {
    /// Reads a form's body.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FormError> {
        Self::parse_with_nuls(bytes)?.without_nuls()
    }

    /// Reads a form's body, and leaves a NUL in a value to the reader, who can say which field it stands in.
    pub fn parse_with_nuls(bytes: &'a [u8]) -> Result<Self, FormError> {
        let text = std::str::from_utf8(bytes).map_err(|_| FormError::InvalidUtf8)?;
        Self::decoded(text)
    }

    /// Reads a query string, without its `?`.
    pub fn of_query(query: &'a str) -> Result<Self, FormError> {
        Self::decoded(query)?.without_nuls()
    }

    fn decoded(query: &'a str) -> Result<Self, FormError> {
        let mut fields = Vec::new();
        for field in query.split('&').filter(|field| !field.is_empty()) {
            if fields.len() == MAX_FIELDS {
                return Err(FormError::TooManyFields);
            }
            let (name, value) = field.split_once('=').unwrap_or((field, ""));
            fields.push((checked(decode(name)?)?, decode(value)?));
        }
        Ok(Self(fields))
    }

    fn without_nuls(self) -> Result<Self, FormError> {
        if self.0.iter().any(|(_, value)| value.contains('\0')) { Err(FormError::Nul) } else { Ok(self) }
    }

    /// Fields that were read another way.
    pub fn of_pairs(pairs: Vec<(String, String)>) -> Fields<'static> {
        Fields(pairs.into_iter().map(|(name, value)| (Cow::Owned(name), Cow::Owned(value))).collect())
    }

    /// The first value of `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_ref())
    }

    /// The first value of `name` without the space around it, unless nothing is left of it.
    pub fn given(&self, name: &str) -> Option<&str> {
        self.get(name).map(str::trim).filter(|value| !value.is_empty())
    }

    /// All values of `name`.
    pub fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s str> {
        self.0.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.as_ref())
    }

    /// A name that stands more than once, if any (RFC 6749, section 3.2, forbids it).
    pub fn repeated(&self) -> Option<&str> {
        let mut names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_ref()).collect();
        names.sort_unstable();
        names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
    }

    /// Every name and value, in the order given.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }
}

/// Text without a NUL.
pub(super) fn checked(text: Cow<'_, str>) -> Result<Cow<'_, str>, FormError> {
    if text.contains('\0') { Err(FormError::Nul) } else { Ok(text) }
}

fn decode(text: &str) -> Result<Cow<'_, str>, FormError> {
    if !text.contains(['%', '+']) {
        return Ok(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (&[high, low], behind) = rest.split_first_chunk().ok_or(FormError::BrokenEscape)?;
                rest = behind;
                let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(FormError::BrokenEscape);
                (digit(high)? * 16 + digit(low)?) as u8
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| FormError::InvalidUtf8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_fields_in_order_and_finds_repeats() {
        let fields =
            Fields::parse(b"grant_type=client_credentials&scope=a+b%2Bc&empty=&flag&&n=%C3%A9").unwrap();
        assert_eq!(fields.get("grant_type"), Some("client_credentials"));
        assert_eq!(fields.get("scope"), Some("a b+c"));
        assert_eq!((fields.get("empty"), fields.get("flag"), fields.get("none")), (Some(""), Some(""), None));
        assert_eq!(fields.get("n"), Some("é"));
        let spaced = Fields::parse(b"a=+b++c+&blank=++").unwrap();
        assert_eq!(
            (spaced.given("a"), spaced.given("blank"), spaced.given("none")),
            (Some("b  c"), None, None)
        );
        assert_eq!(fields.repeated(), None);
        let twice = Fields::of_query("status=a&x=1&st%61tus=b").unwrap();
        assert_eq!(twice.all("status").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(twice.repeated(), Some("status"));
    }

    #[test]
    fn broken_text_is_a_fault() {
        for (text, fault) in [
            (&b"a=%"[..], FormError::BrokenEscape),
            (b"a=%4", FormError::BrokenEscape),
            (b"a=%zz", FormError::BrokenEscape),
            (b"a=%+1", FormError::BrokenEscape),
            (b"a=%ff", FormError::InvalidUtf8),
            (b"a=\xff", FormError::InvalidUtf8),
            (b"%c3=1", FormError::InvalidUtf8),
            (b"a=x%00y", FormError::Nul),
            (b"a%00=1", FormError::Nul),
            (b"a=\0", FormError::Nul),
        ] {
            assert_eq!(Fields::parse(text), Err(fault), "{text:?}");
        }
        let left = Fields::parse_with_nuls(b"a=x%00y").unwrap();
        assert_eq!(left.get("a"), Some("x\0y"));
        assert_eq!(Fields::parse_with_nuls(b"a%00=1"), Err(FormError::Nul));
        assert_eq!(Fields::parse("a&".repeat(1_001).as_bytes()), Err(FormError::TooManyFields));
        assert!(Fields::parse("a&".repeat(1_000).as_bytes()).is_ok());
    }

    proptest! {
        #[test]
        fn what_was_escaped_reads_back(name in "[^\\x00]{0,40}", value in "[^\\x00]{0,40}") {
            let escape = |text: &str| text.bytes().fold(String::new(), |all, byte| all + &format!("%{byte:02X}"));
            let text = format!("{}={}", escape(&name), escape(&value));
            let fields = Fields::parse(text.as_bytes()).unwrap();
            prop_assert_eq!(fields.iter().collect::<Vec<_>>(), [(name.as_str(), value.as_str())]);
        }

        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = Fields::parse(&bytes);
        }
    }
}
