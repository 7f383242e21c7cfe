//! By what emails are found in lists, the same for every engine: the keys that an email's head holds.

use super::{RecipientIn, damaged, mailbox};
use crate::StoreError;
use crate::emails::EmailFilter;
use posthaste_model::email::BlobHash;
use serde::Deserialize;
use std::borrow::Cow;

/// More words of a subject than any subject has that is meant to be read.
const MAX_WORDS: usize = 64;
/// Longer words are cut.
const MAX_WORD_CHARACTERS: usize = 64;

/// By what emails are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Every = 0,
    Recipient = 1,
    Domain = 2,
    Tag = 3,
    Template = 4,
    Event = 5,
    Word = 6,
}

/// The keys under which all that a filter asks for are found.
pub(crate) fn keys_of(filter: &EmailFilter) -> Vec<(Kind, String)> {
    let given = [
        (Kind::Recipient, filter.recipient.clone()),
        (Kind::Domain, filter.domain.clone()),
        (Kind::Tag, filter.tag.clone()),
        (Kind::Template, filter.template_code.clone()),
        (Kind::Event, filter.event_id.map(|event| event.to_string())),
    ];
    let mut keys: Vec<_> = given.into_iter().filter_map(|(kind, value)| Some((kind, value?))).collect();
    if let Some(q) = &filter.q {
        keys.extend(words(q).into_iter().map(|word| (Kind::Word, word)));
    }
    keys
}

/// The part of an email's head by which it is found.
#[derive(Deserialize)]
pub(crate) struct FinderHead<'a> {
    to: Vec<RecipientIn>,
    #[serde(borrow)]
    subject: Cow<'a, str>,
    #[serde(borrow)]
    domain: Cow<'a, str>,
    #[serde(default)]
    pub(crate) tags: Vec<String>,
    #[serde(default)]
    template: Option<String>,
    #[serde(default)]
    event: Option<i64>,
}

impl<'a> FinderHead<'a> {
    /// Reads it from the `head` column.
    pub(crate) fn read(head: &'a [u8]) -> Result<Self, StoreError> {
        serde_json::from_slice(head).map_err(|_| damaged("head of an email"))
    }

    /// Whether the email is found under this key; the same as looking for it among `keys`, but cheaper.
    pub(crate) fn has(&self, kind: Kind, value: &str) -> bool {
        match kind {
            Kind::Every => true,
            Kind::Recipient => self.to.iter().any(|RecipientIn(_, text, _)| is_mailbox_of(text, value)),
            Kind::Domain => self.domain == value,
            Kind::Tag => self.tags.iter().any(|tag| tag == value),
            Kind::Template => self.template.as_deref() == Some(value),
            Kind::Event => self.event.is_some_and(|event| event.to_string() == value),
            Kind::Word => words(&self.subject).binary_search_by(|word| word.as_str().cmp(value)).is_ok(),
        }
    }

    /// All keys under which the email is found.
    pub(crate) fn keys(&self) -> Result<Vec<(Kind, Cow<'_, str>)>, StoreError> {
        let mut keys = vec![(Kind::Every, Cow::from("")), (Kind::Domain, Cow::from(&*self.domain))];
        for RecipientIn(_, text, _) in &self.to {
            keys.push((Kind::Recipient, mailbox(text)?.address.canonical().to_owned().into()));
        }
        keys.extend(self.tags.iter().map(|tag| (Kind::Tag, tag.into())));
        keys.extend(self.template.iter().map(|code| (Kind::Template, code.into())));
        keys.extend(self.event.iter().map(|event| (Kind::Event, event.to_string().into())));
        keys.extend(words(&self.subject).into_iter().map(|word| (Kind::Word, word.into())));
        Ok(keys)
    }
}

/// Whether a mailbox has this canonical address.
fn is_mailbox_of(text: &str, canonical: &str) -> bool {
    // Most are told apart without reading them: the domain is the same in both forms.
    let domain = canonical.rsplit_once('@').map_or(canonical, |(_, domain)| domain);
    let bare = text.strip_suffix('>').unwrap_or(text);
    bare.ends_with(domain) && mailbox(text).is_ok_and(|mailbox| mailbox.address.canonical() == canonical)
}

/// The words of a text, in lower case, each once: runs of letters and digits.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .take(MAX_WORDS)
        .map(|word| word.chars().flat_map(char::to_lowercase).take(MAX_WORD_CHARACTERS).collect())
        .collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// The number under which a key stands in an index of numbers: the first 64 bits of a digest. Two keys may
/// share one; whoever finds an email by it asks the email's head (`FinderHead::has`).
pub(crate) fn finder_key(kind: Kind, value: &str) -> i64 {
    let mut bytes = Vec::with_capacity(value.len() + 1);
    bytes.push(kind as u8);
    bytes.extend_from_slice(value.as_bytes());
    let BlobHash([a, b, c, d, e, f, g, h, ..]) = BlobHash::of(&bytes);
    i64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// The numbers under which an email stands in `finders`; its being there at all is no key there.
pub(crate) fn numbers_of(head: &[u8]) -> Result<Vec<i64>, StoreError> {
    let head = FinderHead::read(head)?;
    let keys = head.keys()?;
    let named = keys.iter().filter(|(kind, _)| *kind != Kind::Every);
    let mut numbers: Vec<i64> = named.map(|(kind, value)| finder_key(*kind, value)).collect();
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_email_has_its_keys_and_no_others() {
        let head = br#"{"to":[["to","Ann <Ann@b.example>"],["bcc","x@y.example"]],"subject":"Order 42",
            "domain":"b.example","tags":["t"],"template":"w","event":7}"#;
        let head = FinderHead::read(head).unwrap();
        let keys = head.keys().unwrap();
        assert_eq!(keys.len(), 9);
        assert!(keys.iter().all(|(kind, value)| head.has(*kind, value)), "{keys:?}");
        for (kind, value) in [
            (Kind::Recipient, "nn@b.example"),
            (Kind::Recipient, "b.example"),
            (Kind::Domain, "example"),
            (Kind::Tag, ""),
            (Kind::Template, "x"),
            (Kind::Event, "8"),
            (Kind::Word, "orde"),
        ] {
            assert!(!head.has(kind, value), "{kind:?} {value}");
        }
    }

    #[test]
    fn a_key_has_one_number_that_never_changes() {
        assert_eq!(finder_key(Kind::Tag, "july"), finder_key(Kind::Tag, "july"));
        assert_ne!(finder_key(Kind::Tag, "july"), finder_key(Kind::Word, "july"));
        assert_eq!(finder_key(Kind::Every, ""), 0x6e34_0b9c_ffb3_7a98);
    }

    #[test]
    fn words_are_runs_of_letters_and_digits_in_lower_case() {
        assert_eq!(words("Selamat datang, ANDI! (Order #42)"), ["42", "andi", "datang", "order", "selamat"]);
        assert_eq!(words("Grüße GRÜSSE naïve"), ["grüsse", "grüße", "naïve"]);
        assert!(words(" -- !").is_empty());
        assert_eq!(words(&"x".repeat(1000))[0].len(), 64);
    }

    #[test]
    fn an_email_has_each_number_once() {
        let head =
            br#"{"to":[["to","a@b.example"],["cc","a@b.example"]],"subject":"x x","domain":"d.example"}"#;
        assert_eq!(numbers_of(head).unwrap().len(), 3);
    }
}
