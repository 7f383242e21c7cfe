//! Pieces of providers' events: ids, addresses, codes, times.

use posthaste_model::email::BlobHash;
use posthaste_model::{Address, EmailId, Mailbox, Timestamp};
use serde_json::Value;

/// The longest text that goes into a timeline, in characters.
const DETAIL_CHARS: usize = 1000;

/// What an event without an id of its own is told apart by.
pub(super) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", BlobHash::of(bytes))
}

/// The email's id at the beginning of `text`.
pub(super) fn own_id(text: &str) -> Option<EmailId> {
    text.trim().trim_start_matches('<').get(..36)?.parse().ok()
}

/// The member `name` of an object as text.
pub(super) fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name)?.as_str().map(str::trim).filter(|text| !text.is_empty())
}

/// An address in canonical form.
pub(super) fn canonical(text: &str) -> Option<String> {
    let address =
        Address::parse(text.trim()).ok().or_else(|| Mailbox::parse(text).ok().map(|to| to.address))?;
    Some(address.canonical().to_owned())
}

/// Seconds since 1970, also with a fraction, also as text.
pub(super) fn seconds(value: &Value) -> Option<Timestamp> {
    let seconds = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    // The year 2000 and later; what lies further ahead than any clock is none.
    (946_684_800.0..1e11).contains(&seconds).then(|| Timestamp::from_millis((seconds * 1000.0) as i64))
}

/// Text for the timeline: the parts that are there, without control characters.
pub(super) fn detail<'t>(parts: impl IntoIterator<Item = Option<&'t str>>) -> Option<String> {
    let parts: Vec<&str> = parts.into_iter().flatten().collect();
    let joined = parts.join(" ");
    let plain = joined.chars().map(|c| if c.is_control() { ' ' } else { c }).take(DETAIL_CHARS);
    Some(plain.collect::<String>()).filter(|text| !text.is_empty())
}

/// Whether an enhanced status code (RFC 3463) of `class` such as `5.1.` stands in `text` as a word.
pub(super) fn has_enhanced_code(text: &str, class: &str) -> bool {
    let words = text.split(|c: char| !(c.is_ascii_digit() || c == '.'));
    let is_of_class = |word: &str| {
        let rest = word.trim_matches('.').strip_prefix(class);
        rest.is_some_and(|rest| {
            !rest.is_empty() && rest.len() <= 3 && rest.bytes().all(|b| b.is_ascii_digit())
        })
    };
    words.into_iter().any(is_of_class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_words() {
        assert!(has_enhanced_code("550 5.1.1 no such user", "5.1."));
        assert!(has_enhanced_code("smtp; 550-5.1.10: null MX", "5.1."));
        assert!(!has_enhanced_code("550 5.7.1 see 15.1.1", "5.1."));
        assert!(!has_enhanced_code("550 5.1. 1", "5.1."));
    }

    #[test]
    fn ids_are_read_from_message_ids() {
        let id = "0192f0c1-2d3e-7abc-8def-0123456789ab";
        assert!(own_id(&format!("<{id}@example.com>")).is_some());
        assert!(own_id(id).is_some());
        assert_eq!(own_id("<20201111.x@example.com>"), None);
        assert_eq!(own_id("é"), None);
    }

    #[test]
    fn times_are_plausible_or_none() {
        assert_eq!(
            seconds(&serde_json::json!(1_600_112_492)),
            Some(Timestamp::from_millis(1_600_112_492_000))
        );
        assert_eq!(
            seconds(&serde_json::json!("1600112492.5")),
            Some(Timestamp::from_millis(1_600_112_492_500))
        );
        for bad in
            [serde_json::json!(-1), serde_json::json!(1e300), serde_json::json!("x"), serde_json::json!(null)]
        {
            assert_eq!(seconds(&bad), None, "{bad}");
        }
    }
}
