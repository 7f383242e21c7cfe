//! The search of emails: `to:ann@example.com status:failed tag:welcome after:2026-11-01 before:2026-11-30 event:12
//! domain:example.com template:welcome`, and words of the subject.

use crate::eo::Days;
use posthaste_model::{Address, Status};
use posthaste_store::EmailFilter;

/// What is looked for, or what cannot be.
pub(super) fn read(text: &str, days: &Days) -> Result<EmailFilter, String> {
    let mut filter = EmailFilter::default();
    let mut words = Vec::new();
    for token in text.split_whitespace() {
        let Some((name, value)) = token.split_once(':').filter(|(_, value)| !value.is_empty()) else {
            words.push(token);
            continue;
        };
        match name {
            "to" => {
                let address =
                    Address::parse(value).map_err(|error| format!("to:{value}: the address {error}"))?;
                filter.recipient = Some(address.canonical().to_owned());
            }
            "status" => {
                for word in value.split(',') {
                    let status = Status::parse(word).ok_or_else(|| format!("status:{word}: is no status"))?;
                    filter.statuses.push(status);
                }
            }
            "tag" => filter.tag = Some(value.to_owned()),
            "domain" => filter.domain = Some(value.to_lowercase()),
            "template" => filter.template_code = Some(value.to_owned()),
            "event" => {
                let id = value.parse().map_err(|_| format!("event:{value}: is no number"))?;
                filter.event_id = Some(id);
            }
            "after" => {
                let begin =
                    days.begin(value).ok_or_else(|| format!("after:{value}: write after:2026-01-31"))?;
                filter.date_from = Some(begin);
            }
            "before" => {
                let begin =
                    days.begin(value).ok_or_else(|| format!("before:{value}: write before:2026-01-31"))?;
                filter.date_to = Some(begin);
            }
            _ => words.push(token),
        }
    }
    filter.q = (!words.is_empty()).then(|| words.join(" "));
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_words_are_told_apart() {
        let text = "Selamat to:Ann@Example.com status:failed,bounced tag:welcome re: event:7 http://x datang";
        let filter = read(text, &Days::of("UTC")).unwrap();
        assert_eq!(filter.statuses, [Status::Failed, Status::Bounced]);
        assert_eq!(filter.recipient.as_deref(), Some(Address::parse("Ann@Example.com").unwrap().canonical()));
        assert_eq!((filter.tag.as_deref(), filter.event_id), (Some("welcome"), Some(7)));
        assert_eq!(filter.q.as_deref(), Some("Selamat re: http://x datang"));
        let dates = read("after:2026-11-01 before:2026-11-02", &Days::of("Asia/Jakarta")).unwrap();
        assert_eq!(dates.date_from.unwrap().to_string(), "2026-10-31T17:00:00.000Z");
        assert_eq!(dates.date_to.unwrap().to_string(), "2026-11-01T17:00:00.000Z");
        assert_eq!(dates.q, None);
    }

    #[test]
    fn what_cannot_be_looked_for_is_said() {
        for bad in ["to:x", "status:gone", "event:x", "after:yesterday", "before:2026-02-30"] {
            assert!(read(bad, &Days::of("UTC")).is_err(), "{bad}");
        }
    }
}
