//! Addresses that a client must not write to: what returned for good, complained, unsubscribed, or was entered by a
//! person. Per client; everything, or one stream of its mail.

use crate::email::BlobHash;
use crate::{ClientId, Timestamp};

/// Why an address is suppressed, in the words that this program itself uses. A person may use others.
pub mod reason {
    /// It returned for good.
    pub const BOUNCE: &str = "bounce";
    /// Its owner complained.
    pub const COMPLAINT: &str = "complaint";
    /// Its owner unsubscribed.
    pub const UNSUBSCRIBE: &str = "unsubscribe";
    /// The provider says that it does not exist.
    pub const INVALID: &str = "invalid";
    /// A person entered it and gave no other reason.
    pub const MANUAL: &str = "manual";
}

/// The longest reason, in characters.
pub const REASON_CHARS: usize = 100;
/// The longest name of a stream, in characters: that of a tag.
pub const STREAM_CHARS: usize = 100;
/// The longest evidence, in characters.
pub const EVIDENCE_CHARS: usize = 1000;

/// What an address is found by: SHA-256 of its canonical form, so that it stays suppressed when the address itself
/// was erased.
pub fn address_key(canonical: &str) -> [u8; 32] {
    BlobHash::of(canonical.as_bytes()).0
}

/// One suppressed address of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppression {
    /// Whose list it stands on.
    pub client_id: ClientId,
    /// SHA-256 of the canonical address.
    pub address_key: [u8; 32],
    /// The canonical address; `None`: erased.
    pub email: Option<String>,
    /// Only mail of this stream or tag; `None`: all mail.
    pub stream: Option<String>,
    /// Why, in a word.
    pub reason: String,
    /// What it rests on: a reply, a report.
    pub evidence: Option<String>,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when; `None`: for good.
    pub expires_at: Option<Timestamp>,
}

impl Suppression {
    /// A suppression of an address in canonical form, of all mail and for good.
    pub fn new(client_id: ClientId, canonical: &str, reason: &str, now: Timestamp) -> Self {
        Self {
            client_id,
            address_key: address_key(canonical),
            email: Some(canonical.to_owned()),
            stream: None,
            reason: reason.to_owned(),
            evidence: None,
            created_at: now,
            expires_at: None,
        }
    }

    /// What it rests on, cut to [`EVIDENCE_CHARS`].
    pub fn with_evidence(mut self, evidence: Option<&str>) -> Self {
        self.evidence = evidence.map(|text| text.chars().take(EVIDENCE_CHARS).collect());
        self
    }

    /// Whether it holds for an email of these tags.
    pub fn holds_for(&self, tags: &[String]) -> bool {
        self.stream.as_ref().is_none_or(|stream| tags.contains(stream))
    }

    /// What the recipient's last reply says.
    pub fn in_words(&self) -> String {
        match &self.stream {
            None => format!("on the suppression list: {}", self.reason),
            Some(stream) => format!("on the suppression list of {stream}: {}", self.reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_holds_for_mail_that_has_it_as_a_tag() {
        let client = ClientId::new(Timestamp::from_millis(1), [1; 10]);
        let mut entry = Suppression::new(client, "a@b.example", reason::BOUNCE, Timestamp::from_millis(1));
        assert!(entry.holds_for(&[]) && entry.holds_for(&["x".to_owned()]));
        entry.stream = Some("news".to_owned());
        assert!(!entry.holds_for(&[]) && entry.holds_for(&["x".to_owned(), "news".to_owned()]));
        assert_eq!(entry.in_words(), "on the suppression list of news: bounce");
    }
}
