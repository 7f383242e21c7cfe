//! Identifiers: UUIDv7 (RFC 9562), each of its own type so that one cannot be passed for another.

use crate::Timestamp;
use std::fmt;
use std::str::FromStr;

/// Text that is no UUID in the usual form of 36 characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an id")]
pub struct IdError;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(uuid::Uuid);

        impl $name {
            /// A new id: the time in its first 48 bits, `chance` in the rest.
            pub fn new(now: Timestamp, chance: [u8; 10]) -> Self {
                let millis = u64::try_from(now.millis()).unwrap_or(0);
                Self(uuid::Builder::from_unix_timestamp_millis(millis, &chance).into_uuid())
            }

            /// The id's 16 bytes, as the store keeps them.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// The id from its 16 bytes.
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(uuid::Uuid::from_bytes(bytes))
            }

            /// The id from bytes read from the store; `None` when there are not 16.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                uuid::Uuid::from_slice(bytes).ok().map(Self)
            }

            /// The id as a number, for seeds.
            pub fn as_u128(&self) -> u128 {
                self.0.as_u128()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                // The uuid crate reads four spellings; one id has one spelling here, so that it has one URL.
                if text.len() != 36 {
                    return Err(IdError);
                }
                uuid::Uuid::try_parse(text).map(Self).map_err(|_| IdError)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// One email.
    EmailId
);
id!(
    /// One client: the tenant boundary.
    ClientId
);
id!(
    /// One credential of a client.
    CredentialId
);
id!(
    /// One sending domain.
    DomainId
);
id!(
    /// One template (all its versions).
    TemplateId
);
id!(
    /// One worker process in one life.
    WorkerId
);
id!(
    /// One message in the inbox transport.
    InboxId
);
id!(
    /// One sender config of a client.
    SenderConfigId
);
id!(
    /// One webhook of a client.
    WebhookId
);
id!(
    /// One thing told to a webhook.
    WebhookDeliveryId
);
id!(
    /// One person with an account.
    UserId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carries_the_time_and_reads_back() {
        let id = EmailId::new(Timestamp::from_millis(1_700_000_000_000), [0xff; 10]);
        let text = id.to_string();
        assert_eq!(&text[14..15], "7", "version 7: {text}");
        assert_eq!(text.parse(), Ok(id));
        let later = EmailId::new(Timestamp::from_millis(1_700_000_000_001), [0; 10]);
        assert!(later > id, "ordered by time");
    }

    #[test]
    fn one_spelling_only() {
        let id = EmailId::new(Timestamp::from_millis(1), [1; 10]);
        for bad in
            [format!("{{{id}}}"), id.to_string().replace('-', ""), "x".into(), "../../etc/passwd".into()]
        {
            assert_eq!(bad.parse::<EmailId>(), Err(IdError), "{bad}");
        }
    }
}
