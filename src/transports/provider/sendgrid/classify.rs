//! What SendGrid's answers mean.

use super::body::Places;
use crate::transports::provider::call::Reply;
use crate::transports::provider::verdict::{Verdict, common, retry_after, told};
use posthaste_model::outcome::Failure;
use posthaste_model::{FailureCode, Timestamp};

/// The verdict on a message that was offered to the recipients in `places`.
pub(super) fn verdict(reply: &Reply, places: &Places, now: Timestamp) -> Verdict {
    if reply.is_success() {
        let id = reply.header("x-message-id").map(str::to_owned);
        return Verdict::Accepted { id, reply: format!("{} accepted by SendGrid", reply.status) };
    }
    let answer = reply.json();
    let errors = answer["errors"].as_array().cloned().unwrap_or_default();
    let messages: Vec<&str> = errors.iter().filter_map(|error| error["message"].as_str()).collect();
    let text = told("SendGrid", reply.status, &messages.join("; "));
    if reply.status == 400 {
        let fields: Vec<&str> = errors.iter().filter_map(|error| error["field"].as_str()).collect();
        return bad_request(&fields, places, text);
    }
    // "too many bad requests, temporary block"
    if reply.status == 403 && messages.iter().any(|message| message.to_ascii_lowercase().contains("temporar"))
    {
        let retry_after = retry_after(reply, now);
        return Verdict::later(Failure { retry_after, ..Failure::new(FailureCode::ServerError, text) });
    }
    common(reply, &text, now)
        .unwrap_or_else(|| Verdict::refused(Failure::new(FailureCode::ServerError, text)))
}

/// The message as it stands will never be taken; when a recipient is the reason, the others may go without it.
fn bad_request(fields: &[&str], places: &Places, text: String) -> Verdict {
    let is_recipient = |field: &str| {
        let mut steps = field.split(['.', '[']);
        steps.next() == Some("personalizations") && matches!(steps.nth(1), Some("to" | "cc" | "bcc"))
    };
    if fields.is_empty() || !fields.iter().all(|field| is_recipient(field)) {
        return Verdict::refused(Failure::new(FailureCode::ServerError, text));
    }
    let named: Option<Vec<usize>> = fields.iter().map(|field| places.find(field)).collect();
    let failure = Failure::new(FailureCode::InvalidEmail, text);
    Verdict::Without(named.unwrap_or_else(|| places.all()), failure)
}

#[cfg(test)]
mod tests {
    use super::super::body;
    use super::*;
    use crate::transports::provider::content;
    use crate::transports::provider::content::tests::{outgoing, raw_claim};
    use crate::transports::provider::verdict::tests::{NOW, reply, word};
    use posthaste_model::email::RecipientKind;
    use std::time::Duration;

    fn places() -> Places {
        let kinds = [("b@b.example", RecipientKind::To), ("c@b.example", RecipientKind::To)];
        let (claim, bytes) = raw_claim("Subject: s\r\n\r\nx", &kinds);
        let out = outgoing(&claim, &bytes, &[0, 1]);
        body::of(&out, &content::read(&out).unwrap()).unwrap().1
    }

    fn error(message: &str, field: &str) -> String {
        let field = if field.is_empty() { "null".to_owned() } else { format!("\"{field}\"") };
        format!("{{\"errors\":[{{\"message\":\"{message}\",\"field\":{field},\"help\":null}}]}}")
    }

    #[test]
    fn every_row_of_the_table() {
        let places = places();
        for (status, message, field, expected) in [
            (
                400,
                "Does not contain a valid address.",
                "personalizations.0.to.1.email",
                "P invalid_email without [1]",
            ),
            (
                400,
                "Does not contain a valid address.",
                "personalizations.0.to",
                "P invalid_email without [0, 1]",
            ),
            (400, "The from email does not contain a valid address.", "from.email", "P server_error"),
            (400, "Bad Request", "", "P server_error"),
            (401, "The provided authorization grant is invalid", "", "T server_error!"),
            (403, "The from address does not match a verified Sender Identity.", "from", "T server_error!"),
            (403, "Too many bad requests, temporary block", "", "T server_error"),
            (404, "not found", "", "T server_error!"),
            (405, "method not allowed", "", "P server_error"),
            (406, "", "", "P server_error"),
            (413, "too large", "", "P server_error"),
            (415, "", "", "P server_error"),
            (429, "too many requests", "", "T server_error"),
            (500, "", "", "T server_error down"),
            (503, "", "", "T server_error down"),
            (504, "", "", "U transport_error down"),
            (302, "", "", "P server_error"),
        ] {
            let verdict = verdict(&reply(status, &[], &error(message, field)), &places, NOW);
            assert_eq!(word(&verdict), expected, "{status} {message} {field}");
        }
    }

    #[test]
    fn an_acceptance_brings_the_id_and_a_pause_is_kept() {
        let taken = verdict(&reply(202, &[("x-message-id", "abc")], ""), &places(), NOW);
        assert_eq!(
            taken,
            Verdict::Accepted { id: Some("abc".into()), reply: "202 accepted by SendGrid".into() }
        );
        let slow = verdict(&reply(429, &[("x-ratelimit-reset", "1700000030")], "?"), &places(), NOW);
        assert_eq!(slow.asked_pause(), Some(Duration::from_secs(30)));
    }
}
