//! Octets that stand in a record as text: each as the character of its number (U+0000 to U+00FF), so that what is ASCII
//! reads as itself and costs nothing, and every octet comes back.

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;

/// Any octets.
#[derive(Clone, PartialEq, Eq)]
pub struct Octets(pub Bytes);

/// They may be anybody's mail.
impl std::fmt::Debug for Octets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Octets({})", self.0.len())
    }
}

impl Serialize for Octets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) if text.is_ascii() => serializer.serialize_str(text),
            _ => serializer.serialize_str(&self.0.iter().map(|octet| char::from(*octet)).collect::<String>()),
        }
    }
}

impl<'de> Deserialize<'de> for Octets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        if text.is_ascii() {
            return Ok(Self(text.into_owned().into_bytes().into()));
        }
        let octets: Result<Vec<u8>, _> = text.chars().map(u8::try_from).collect();
        octets.map(|octets| Self(octets.into())).map_err(|_| serde::de::Error::custom("not octets as text"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_octet_comes_back(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            let json = serde_json::to_vec(&Octets(octets.clone().into())).unwrap();
            let read: Octets = serde_json::from_slice(&json).unwrap();
            prop_assert_eq!(&read.0[..], &octets[..]);
        }
    }

    #[test]
    fn ascii_reads_as_itself_and_other_text_is_refused() {
        assert_eq!(serde_json::to_string(&Octets("a\r\nb".into())).unwrap(), "\"a\\r\\nb\"");
        assert!(serde_json::from_str::<Octets>("\"\u{20ac}\"").is_err());
    }
}
