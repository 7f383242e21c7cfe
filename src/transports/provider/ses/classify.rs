//! What Amazon's answers mean: by the error's type, then by the status.

use super::QUOTA_PAUSE;
use crate::transports::Outgoing;
use crate::transports::provider::call::Reply;
use crate::transports::provider::content::named_in;
use crate::transports::provider::verdict::{Verdict, alarm, common, retry_after, told};
use posthaste_model::outcome::Failure;
use posthaste_model::{FailureCode, Timestamp};
use std::time::Duration;

/// How long a rate of so many a second asks to wait.
const RATE_PAUSE: Duration = Duration::from_secs(2);

/// The verdict on a message.
pub(super) fn verdict(reply: &Reply, outgoing: &Outgoing<'_>, now: Timestamp) -> Verdict {
    let answer = reply.json();
    if reply.is_success() {
        let id = answer["MessageId"].as_str().map(str::to_owned);
        return Verdict::Accepted { id, reply: format!("{} accepted by Amazon SES", reply.status) };
    }
    let kind = kind(reply);
    let message = answer["message"].as_str().or_else(|| answer["Message"].as_str()).unwrap_or_default();
    let text = told("Amazon SES", reply.status, format!("{kind} {message}").trim());
    let failure = || Failure::new(FailureCode::ServerError, text.as_str());
    let asked = retry_after(reply, now);
    let lower = message.to_ascii_lowercase();
    if reply.status == 504 {
        return common(reply, &text, now).unwrap_or_else(|| Verdict::later(failure()));
    }
    // Whatever they call it: of these two texts the quota runs for 24 hours, and mail waits.
    if lower.contains("daily message quota exceeded") {
        return Verdict::Wait(text, asked.unwrap_or(QUOTA_PAUSE));
    }
    let throttled =
        |pause| Verdict::later(Failure { retry_after: Some(asked.unwrap_or(pause)), ..failure() });
    if lower.contains("maximum sending rate exceeded") {
        return throttled(RATE_PAUSE);
    }
    match &*kind {
        "TooManyRequests" | "Throttling" => throttled(RATE_PAUSE),
        "LimitExceeded" | "SendingPaused" => throttled(QUOTA_PAUSE),
        "MessageRejected" | "MailFromDomainNotVerified" | "AccountSuspended" => Verdict::refused(failure()),
        "BadRequest" => {
            let named = named_in(outgoing, message);
            if named.is_empty() {
                return Verdict::refused(failure());
            }
            Verdict::Without(named, Failure { code: FailureCode::InvalidEmail, ..failure() })
        }
        // With a clock that was wrong it was put right before this.
        "RequestExpired" | "RequestTimeTooSkewed" => Verdict::later(failure()),
        "InvalidClientTokenId"
        | "UnrecognizedClient"
        | "ExpiredToken"
        | "SignatureDoesNotMatch"
        | "InvalidSignature"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "AccessDenied"
        | "NotAuthorized"
        | "OptInRequired" => Verdict::later(alarm(&text)),
        _ => common(reply, &text, now).unwrap_or_else(|| Verdict::refused(failure())),
    }
}

/// Whether an error may come of a clock that is wrong.
pub(super) fn may_be_the_clock(reply: &Reply) -> bool {
    !reply.is_success()
        && matches!(
            &*kind(reply),
            "RequestExpired" | "RequestTimeTooSkewed" | "SignatureDoesNotMatch" | "InvalidSignature"
        )
}

/// The error's type without its namespace, what follows it, and the word `Exception`.
fn kind(reply: &Reply) -> String {
    let answer = reply.json();
    let in_body = || ["__type", "code", "Code"].iter().find_map(|key| answer[*key].as_str());
    let kind = reply.header("x-amzn-errortype").or_else(in_body).unwrap_or_default();
    let kind = kind.split(':').next().unwrap_or_default();
    let kind = kind.rsplit('#').next().unwrap_or_default().trim();
    kind.strip_suffix("Exception").unwrap_or(kind).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transports::provider::content::tests::{outgoing, raw_claim};
    use crate::transports::provider::verdict::tests::{NOW, reply, word};
    use posthaste_model::email::RecipientKind;

    fn judged(reply: &Reply) -> Verdict {
        let kinds = [("b@b.example", RecipientKind::To), ("c@b.example", RecipientKind::To)];
        let (claim, bytes) = raw_claim("A: b\r\n\r\nx", &kinds);
        verdict(reply, &outgoing(&claim, &bytes, &[0, 1]), NOW)
    }

    #[test]
    fn every_row_of_the_table() {
        for (status, kind, message, expected) in [
            (200, "", "", "accepted"),
            (400, "BadRequestException", "Illegal address: c@b.example", "P invalid_email without [1]"),
            (400, "BadRequestException", "Missing final '@domain'", "P server_error"),
            (400, "MessageRejected", "Email address is not verified: b@b.example", "P server_error"),
            (400, "MailFromDomainNotVerifiedException", "", "P server_error"),
            (400, "AccountSuspendedException", "", "P server_error"),
            (400, "SendingPausedException", "", "T server_error"),
            (400, "LimitExceededException", "", "T server_error"),
            (429, "TooManyRequestsException", "", "T server_error"),
            (400, "ThrottlingException", "Maximum sending rate exceeded.", "T server_error"),
            (429, "TooManyRequestsException", "Daily message quota exceeded.", "wait"),
            (400, "RequestExpired", "", "T server_error"),
            (403, "SignatureDoesNotMatchException", "", "T server_error!"),
            (403, "InvalidClientTokenId", "", "T server_error!"),
            (403, "ExpiredTokenException", "", "T server_error!"),
            (404, "NotFoundException", "Configuration set <x> does not exist", "T server_error!"),
            (413, "", "", "P server_error"),
            (415, "", "", "P server_error"),
            (500, "InternalServiceErrorException", "", "T server_error down"),
            (503, "ServiceUnavailable", "", "T server_error down"),
            (504, "", "", "U transport_error down"),
        ] {
            let body = serde_json::json!({"message": message, "__type": kind}).to_string();
            assert_eq!(word(&judged(&reply(status, &[], &body))), expected, "{status} {kind} {message}");
        }
    }

    #[test]
    fn the_type_is_read_from_header_or_body() {
        let header = [("x-amzn-errortype", "MessageRejected:http://internal.amazon.com/x")];
        assert_eq!(kind(&reply(400, &header, "{}")), "MessageRejected");
        assert_eq!(kind(&reply(400, &[], r#"{"__type":"com.amazonaws#BadRequestException"}"#)), "BadRequest");
        assert_eq!(kind(&reply(400, &[], "?")), "");
    }

    #[test]
    fn rates_wait_for_seconds_and_quotas_for_minutes() {
        let pause = |kind: &str, headers: &[(&'static str, &'static str)]| {
            let body = serde_json::json!({"code": kind}).to_string();
            judged(&reply(400, headers, &body)).asked_pause().map(|pause| pause.as_secs())
        };
        assert_eq!(pause("ThrottlingException", &[]), Some(2));
        assert_eq!(pause("LimitExceededException", &[]), Some(500));
        assert_eq!(pause("ThrottlingException", &[("retry-after", "5")]), Some(5));
        let taken = judged(&reply(200, &[], r#"{"MessageId":"0100"}"#));
        assert!(matches!(taken, Verdict::Accepted { id: Some(id), .. } if id == "0100"));
    }
}
