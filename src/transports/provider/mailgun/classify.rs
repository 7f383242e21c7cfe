//! What Mailgun's answers mean.

use crate::transports::Outgoing;
use crate::transports::provider::call::Reply;
use crate::transports::provider::content::named_in;
use crate::transports::provider::verdict::{Verdict, common, retry_after, told};
use posthaste_model::outcome::Failure;
use posthaste_model::{FailureCode, Timestamp};

/// The verdict on a message.
pub(super) fn verdict(reply: &Reply, outgoing: &Outgoing<'_>, now: Timestamp) -> Verdict {
    let answer = reply.json();
    if reply.is_success() {
        // Its news names the id without the brackets.
        let id = answer["id"].as_str().map(|id| id.trim_matches(['<', '>']).to_owned());
        return Verdict::Accepted { id, reply: format!("{} accepted by Mailgun", reply.status) };
    }
    let raw = String::from_utf8_lossy(&reply.body);
    let message = answer["message"].as_str().unwrap_or(if answer.is_null() { &raw } else { "" });
    let text = told("Mailgun", reply.status, message);
    let failure = |code| Failure::new(code, text.as_str());
    match reply.status {
        400 if message.contains("not a valid address") => {
            let named = named_in(outgoing, message);
            let refused = if named.is_empty() { outgoing.due.to_vec() } else { named };
            Verdict::Without(refused, failure(FailureCode::InvalidEmail))
        }
        402 => {
            let retry_after = retry_after(reply, now);
            Verdict::later(Failure { retry_after, ..failure(FailureCode::ServerError) })
        }
        _ => common(reply, &text, now).unwrap_or_else(|| Verdict::refused(failure(FailureCode::ServerError))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transports::provider::content::tests::{outgoing, raw_claim};
    use crate::transports::provider::verdict::tests::{NOW, reply, word};
    use posthaste_model::email::RecipientKind;

    fn judged(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Verdict {
        let kinds = [("b@b.example", RecipientKind::To), ("c@b.example", RecipientKind::To)];
        let (claim, bytes) = raw_claim("A: b\r\n\r\nx", &kinds);
        verdict(&reply(status, headers, body), &outgoing(&claim, &bytes, &[0, 1]), NOW)
    }

    #[test]
    fn every_row_of_the_table() {
        for (status, message, expected) in [
            (200, "Queued. Thank you.", "accepted"),
            (
                400,
                "'c@b.example' is not a valid address. please check documentation",
                "P invalid_email without [1]",
            ),
            (
                400,
                "to parameter is not a valid address. please check documentation",
                "P invalid_email without [0, 1]",
            ),
            (400, "message parameter is missing", "P server_error"),
            (401, "Forbidden", "T server_error!"),
            (402, "parameters valid but request failed", "T server_error"),
            (403, "Domain is disabled", "T server_error!"),
            (404, "Domain not found", "T server_error!"),
            (405, "", "P server_error"),
            (406, "", "P server_error"),
            (413, "", "P server_error"),
            (415, "", "P server_error"),
            (429, "", "T server_error"),
            (500, "", "T server_error down"),
            (503, "", "T server_error down"),
            (504, "", "U transport_error down"),
        ] {
            let body = serde_json::json!({"message": message}).to_string();
            assert_eq!(word(&judged(status, &[], &body)), expected, "{status} {message}");
        }
    }

    #[test]
    fn the_id_has_no_brackets_and_plain_text_is_read_too() {
        let taken = judged(200, &[], r#"{"id":"<1.2@mg.example>","message":"Queued. Thank you."}"#);
        assert!(matches!(taken, Verdict::Accepted { id: Some(id), .. } if id == "1.2@mg.example"));
        assert_eq!(word(&judged(401, &[], "Forbidden")), "T server_error!");
        let slow = judged(429, &[("x-ratelimit-reset", "1700000010")], "{}");
        assert_eq!(slow.asked_pause().map(|pause| pause.as_secs()), Some(10));
    }
}
