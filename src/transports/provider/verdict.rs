//! What a provider's answer means for the message, and the rows of the classification that all providers share.

use super::call::{CallError, Reply};
use jiff::fmt::rfc2822;
use posthaste_model::outcome::{Failure, RecipientOutcome};
use posthaste_model::{FailureCode, Timestamp};
use std::time::Duration;

/// No pause that a provider asks for is longer.
const PAUSE_MAX: Duration = Duration::from_secs(24 * 3600);
/// Characters of a provider's text that are kept.
const TEXT_MAX: usize = 300;

/// What became of one request with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The provider has it.
    Accepted {
        /// Its id, without brackets.
        id: Option<String>,
        /// What it said.
        reply: String,
    },
    /// Not taken, or perhaps; for all recipients alike.
    Not(RecipientOutcome),
    /// Not taken because of these recipients (indexes of the email); the others may go without them.
    Without(Vec<usize>, Failure),
    /// Not tried, and no attempt: how long to wait, and why.
    Wait(String, Duration),
    /// The lease was over.
    LeaseLost,
}

impl Verdict {
    pub fn later(failure: Failure) -> Self {
        Self::Not(RecipientOutcome::Later(failure))
    }

    pub fn refused(failure: Failure) -> Self {
        Self::Not(RecipientOutcome::Refused(failure))
    }

    /// A limit of the provider that the message breaks, seen before anything is sent.
    pub fn over_limit(message: impl Into<String>) -> Self {
        Self::refused(Failure::new(FailureCode::ServerError, message))
    }

    /// No answer to a request that handed a message in.
    pub fn of_error(error: CallError, provider: &str) -> Self {
        match error {
            CallError::LeaseLost => Self::LeaseLost,
            CallError::NotSent(reason) => Self::later(down(format!("{provider}: {reason}"))),
            CallError::Unanswered(reason) => {
                Self::Not(RecipientOutcome::Uncertain(down(format!("{provider} did not answer: {reason}"))))
            }
        }
    }

    /// No answer to a request before the one that hands the message in: it is surely not taken.
    pub fn of_error_before(error: CallError, provider: &str) -> Self {
        match error {
            CallError::LeaseLost => Self::LeaseLost,
            CallError::NotSent(reason) | CallError::Unanswered(reason) => {
                Self::later(down(format!("{provider}: {reason}")))
            }
        }
    }

    /// The pause that the provider asked for, if it did.
    pub fn asked_pause(&self) -> Option<Duration> {
        match self {
            Self::Not(RecipientOutcome::Later(failure)) => failure.retry_after,
            _ => None,
        }
    }
}

/// The way out is in trouble.
fn down(message: String) -> Failure {
    Failure { transport_down: true, ..Failure::new(FailureCode::TransportError, message) }
}

/// The rows of the table that hold for any provider, for an answer with `text`; `None`: the provider's own rows decide
/// (400, 402, 403 and what is not known). 403 and 404 are here too: a provider asks its own rows first.
pub(super) fn common(reply: &Reply, text: &str, now: Timestamp) -> Option<Verdict> {
    let server = |transport_down: bool| Failure {
        transport_down,
        retry_after: retry_after(reply, now),
        ..Failure::new(FailureCode::ServerError, text)
    };
    Some(match reply.status {
        504 => Verdict::Not(RecipientOutcome::Uncertain(Failure {
            transport_down: true,
            ..Failure::new(FailureCode::TransportError, text)
        })),
        429 => Verdict::later(server(false)),
        500..=599 => Verdict::later(server(true)),
        401 | 403 | 404 => Verdict::later(alarm(text)),
        413 => Verdict::refused(Failure::new(FailureCode::ServerError, text)),
        _ => return None,
    })
}

/// The operator must act: transient, so that one bad credential does not fail the whole queue.
pub(super) fn alarm(text: &str) -> Failure {
    Failure { alarm: true, ..Failure::new(FailureCode::ServerError, text) }
}

/// The pause that an answer asks for: `Retry-After` (seconds or a date), else `X-RateLimit-Reset` (Unix seconds).
pub(super) fn retry_after(reply: &Reply, now: Timestamp) -> Option<Duration> {
    let until = |seconds: i64| Timestamp::from_millis(seconds.saturating_mul(1000)).since(now);
    let asked = match reply.header("retry-after").map(str::trim) {
        Some(text) => match text.parse::<u64>() {
            Ok(seconds) => Some(Duration::from_secs(seconds)),
            Err(_) => http_date(text).map(until),
        },
        None => reply.header("x-ratelimit-reset").and_then(|text| text.trim().parse().ok()).map(until),
    };
    asked.map(|pause| pause.min(PAUSE_MAX))
}

/// Unix seconds of an HTTP date (RFC 9110, section 5.6.7: the preferred form).
pub(super) fn http_date(text: &str) -> Option<i64> {
    rfc2822::DateTimeParser::new().parse_timestamp(text).ok().map(jiff::Timestamp::as_second)
}

/// `SendGrid 400: text`, on one line and not too long.
pub(super) fn told(provider: &str, status: u16, text: &str) -> String {
    let clean: String = text.chars().take(TEXT_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let clean = clean.trim();
    if clean.is_empty() {
        format!("{provider} answered {status}")
    } else {
        format!("{provider} {status}: {clean}")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use http::{HeaderMap, HeaderName, HeaderValue};

    pub(in super::super) const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    pub(in super::super) fn reply(
        status: u16,
        headers: &[(&'static str, &'static str)],
        body: &str,
    ) -> Reply {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        Reply { status, headers, body: body.to_owned().into() }
    }

    /// A verdict in a word: T transient, P permanent, U uncertain, with code, and `!` for an alarm, `down` for trouble.
    pub(in super::super) fn word(verdict: &Verdict) -> String {
        let of = |letter: char, failure: &Failure| {
            let alarm = if failure.alarm { "!" } else { "" };
            let down = if failure.transport_down { " down" } else { "" };
            format!("{letter} {}{alarm}{down}", failure.code)
        };
        match verdict {
            Verdict::Accepted { .. } => "accepted".into(),
            Verdict::Not(RecipientOutcome::Accepted(_)) => "accepted?".into(),
            Verdict::Not(RecipientOutcome::Waits { .. }) => "waits?".into(),
            Verdict::Not(RecipientOutcome::Later(failure)) => of('T', failure),
            Verdict::Not(RecipientOutcome::Refused(failure)) => of('P', failure),
            Verdict::Not(RecipientOutcome::Uncertain(failure)) => of('U', failure),
            Verdict::Without(these, failure) => format!("{} without {these:?}", of('P', failure)),
            Verdict::Wait(..) => "wait".into(),
            Verdict::LeaseLost => "lease lost".into(),
        }
    }

    #[test]
    fn the_rows_for_any_provider() {
        for (status, expected) in [
            (401, Some("T server_error!")),
            (403, Some("T server_error!")),
            (404, Some("T server_error!")),
            (413, Some("P server_error")),
            (429, Some("T server_error")),
            (500, Some("T server_error down")),
            (502, Some("T server_error down")),
            (503, Some("T server_error down")),
            (504, Some("U transport_error down")),
            (509, Some("T server_error down")),
            (400, None),
            (302, None),
        ] {
            let verdict = common(&reply(status, &[], ""), "", NOW);
            assert_eq!(verdict.as_ref().map(word).as_deref(), expected, "{status}");
        }
        let lost = CallError::NotSent("refused".into());
        assert_eq!(word(&Verdict::of_error(lost, "X")), "T transport_error down");
        let lost = CallError::Unanswered("reset".into());
        assert_eq!(word(&Verdict::of_error(lost.clone(), "X")), "U transport_error down");
        assert_eq!(word(&Verdict::of_error_before(lost, "X")), "T transport_error down");
    }

    #[test]
    fn a_pause_is_read_in_each_form_and_retry_after_wins() {
        let pause = |headers: &[(&'static str, &'static str)]| {
            retry_after(&reply(429, headers, ""), NOW).map(|pause| pause.as_secs())
        };
        assert_eq!(pause(&[("retry-after", "7")]), Some(7));
        assert_eq!(pause(&[("retry-after", "Tue, 14 Nov 2023 22:14:20 GMT")]), Some(60));
        assert_eq!(pause(&[("x-ratelimit-reset", "1700000009")]), Some(9));
        assert_eq!(pause(&[("x-ratelimit-reset", "1600000000")]), Some(0));
        assert_eq!(pause(&[("x-ratelimit-reset", "1700000009"), ("retry-after", "2")]), Some(2));
        assert_eq!(pause(&[("retry-after", "999999999999")]), Some(86_400));
        assert_eq!(pause(&[("retry-after", "soon")]), None);
        assert_eq!(pause(&[]), None);
    }

    #[test]
    fn a_providers_text_is_cut_and_kept_on_one_line() {
        assert_eq!(told("X", 400, "a\r\nb"), "X 400: a  b");
        assert_eq!(told("X", 400, ""), "X answered 400");
        assert!(told("X", 400, &"x".repeat(1000)).len() < 320);
    }
}
