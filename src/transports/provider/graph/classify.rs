//! What Graph's answers mean: by the innermost code that is known, never by the text, then by the status.

use crate::transports::Outgoing;
use crate::transports::provider::call::Reply;
use crate::transports::provider::content::named_in;
use crate::transports::provider::verdict::{Verdict, alarm, common, retry_after, told};
use posthaste_model::outcome::{Failure, RecipientOutcome};
use posthaste_model::{FailureCode, Timestamp};
use serde_json::Value;

/// Levels of `innerError` that are looked into.
const LEVELS_MAX: usize = 8;

/// What a code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Recipient,
    Message,
    Permission,
    Mailbox,
    Quota,
    Throttled,
    Token,
}

fn meaning(code: &str) -> Option<Meaning> {
    Some(match code {
        "ErrorInvalidRecipients" => Meaning::Recipient,
        "ErrorMimeContentInvalidBase64String"
        | "ErrorMimeContentInvalid"
        | "InvalidInternetMessageHeaderCollection"
        | "InvalidInternetMessageHeader"
        | "ErrorMessageSizeExceeded" => Meaning::Message,
        "ErrorAccessDenied" | "Authorization_RequestDenied" => Meaning::Permission,
        "ErrorSendAsDenied"
        | "MailboxNotEnabledForRESTAPI"
        | "MailboxNotHostedInExchangeOnline"
        | "ErrorInvalidUser"
        | "ResourceNotFound"
        | "Request_ResourceNotFound"
        | "ErrorNonExistentMailbox" => Meaning::Mailbox,
        "ErrorQuotaExceeded" | "ErrorSubmissionQuotaExceeded" | "ErrorExceededMessageLimit" => Meaning::Quota,
        "ApplicationThrottled" | "ErrorServerBusy" | "TooManyRequests" | "activityLimitReached" => {
            Meaning::Throttled
        }
        "InvalidAuthenticationToken" => Meaning::Token,
        _ => return None,
    })
}

/// The verdict, and whether an alarm in it is of this mailbox alone.
pub(super) fn verdict(reply: &Reply, outgoing: &Outgoing<'_>, now: Timestamp) -> (Verdict, bool) {
    // Final whatever its headers say.
    if reply.status == 202 || reply.is_success() {
        let id = reply.header("request-id").map(|id| format!(" (request-id {id})")).unwrap_or_default();
        let reply = format!("{} accepted by Microsoft Graph{id}", reply.status);
        return (Verdict::Accepted { id: None, reply }, false);
    }
    let answer = reply.json();
    let code = code(&answer["error"]);
    let message = answer["error"]["message"].as_str().unwrap_or_default();
    let text = told("Microsoft Graph", reply.status, format!("{code} {message}").trim());
    let failure = || Failure::new(FailureCode::ServerError, text.as_str());
    let pause = retry_after(reply, now);
    let verdict = match meaning(&code) {
        // The gateway gave up waiting: what stands behind it may have gone on.
        _ if reply.status == 504 => None,
        Some(Meaning::Recipient) => {
            let named = named_in(outgoing, message);
            let refused = if named.is_empty() { outgoing.due.to_vec() } else { named };
            Some(Verdict::Without(refused, Failure { code: FailureCode::InvalidEmail, ..failure() }))
        }
        Some(Meaning::Message) => Some(Verdict::refused(failure())),
        Some(Meaning::Permission | Meaning::Mailbox | Meaning::Token) => Some(Verdict::later(alarm(&text))),
        Some(Meaning::Quota) => Some(Verdict::later(Failure { retry_after: pause, ..failure() })),
        Some(Meaning::Throttled) => Some(Verdict::later(Failure {
            retry_after: pause,
            transport_down: reply.status >= 500,
            ..failure()
        })),
        None => None,
    };
    let verdict =
        verdict.or_else(|| common(reply, &text, now)).unwrap_or_else(|| Verdict::refused(failure()));
    (verdict, meaning(&code) == Some(Meaning::Mailbox))
}

/// The verdict on a request before the one that sends: 504 is certain here.
pub(super) fn before_sending(reply: &Reply, outgoing: &Outgoing<'_>, now: Timestamp) -> (Verdict, bool) {
    match verdict(reply, outgoing, now) {
        (Verdict::Not(RecipientOutcome::Uncertain(failure)), of_mailbox) => {
            (Verdict::later(failure), of_mailbox)
        }
        other => other,
    }
}

/// The innermost code that is known, else the outermost.
fn code(error: &Value) -> String {
    let mut codes = Vec::new();
    let mut level = error;
    for _ in 0..LEVELS_MAX {
        codes.extend(level["code"].as_str());
        level = if level["innerError"].is_object() { &level["innerError"] } else { &level["innererror"] };
    }
    let known = codes.iter().rev().find(|code| meaning(code).is_some());
    known.or_else(|| codes.first()).copied().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transports::provider::content::tests::{outgoing, raw_claim};
    use crate::transports::provider::verdict::tests::{NOW, reply, word};
    use posthaste_model::email::RecipientKind;

    fn judged(status: u16, code: &str, message: &str) -> String {
        let kinds = [("b@b.example", RecipientKind::To), ("c@b.example", RecipientKind::To)];
        let (claim, bytes) = raw_claim("A: b\r\n\r\nx", &kinds);
        let body = serde_json::json!({"error": {"code": code, "message": message, "innerError": {"request-id": "r"}}});
        let (verdict, of_mailbox) = verdict(
            &reply(status, &[("retry-after", "3")], &body.to_string()),
            &outgoing(&claim, &bytes, &[0, 1]),
            NOW,
        );
        format!("{}{}", word(&verdict), if of_mailbox { " mailbox" } else { "" })
    }

    #[test]
    fn every_row_of_the_table() {
        for (status, code, message, expected) in [
            (202, "", "", "accepted"),
            (400, "ErrorInvalidRecipients", "c@b.example is bad", "P invalid_email without [1]"),
            (400, "ErrorInvalidRecipients", "At least one is bad", "P invalid_email without [0, 1]"),
            (400, "ErrorMimeContentInvalidBase64String", "", "P server_error"),
            (400, "InvalidInternetMessageHeaderCollection", "", "P server_error"),
            (400, "SomethingElse", "", "P server_error"),
            (401, "InvalidAuthenticationToken", "", "T server_error!"),
            (403, "ErrorAccessDenied", "", "T server_error!"),
            (403, "ErrorSendAsDenied", "", "T server_error! mailbox"),
            (404, "MailboxNotEnabledForRESTAPI", "", "T server_error! mailbox"),
            (404, "ErrorInvalidUser", "", "T server_error! mailbox"),
            (404, "Other", "", "T server_error!"),
            (405, "", "", "P server_error"),
            (406, "", "", "P server_error"),
            (413, "", "", "P server_error"),
            (415, "", "", "P server_error"),
            (400, "ErrorMessageSizeExceeded", "", "P server_error"),
            (403, "ErrorQuotaExceeded", "", "T server_error"),
            (429, "ApplicationThrottled", "", "T server_error"),
            (503, "ErrorServerBusy", "", "T server_error down"),
            (500, "", "", "T server_error down"),
            (504, "UnknownError", "", "U transport_error down"),
            (509, "", "", "T server_error down"),
        ] {
            assert_eq!(judged(status, code, message), expected, "{status} {code}");
        }
    }

    #[test]
    fn the_innermost_known_code_counts() {
        let nested = serde_json::json!({"code": "BadRequest", "innerError": {"code": "ErrorInvalidRecipients",
            "innerError": {"code": "Unheard"}}});
        assert_eq!(code(&nested), "ErrorInvalidRecipients");
        assert_eq!(code(&serde_json::json!({"code": "New", "innererror": {"code": "Newer"}})), "New");
        assert_eq!(code(&Value::Null), "");
    }

    #[test]
    fn a_timeout_before_the_message_went_is_certain() {
        let (claim, bytes) = raw_claim("A: b\r\n\r\nx", &[("b@b.example", RecipientKind::To)]);
        let (verdict, _) = before_sending(&reply(504, &[], ""), &outgoing(&claim, &bytes, &[0]), NOW);
        assert_eq!(word(&verdict), "T transport_error down");
    }
}
