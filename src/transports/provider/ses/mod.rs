//! Amazon SES v2, `POST /v2/email/outbound-emails` with the raw message. Requests are signed with the time, so a clock
//! that is wrong is put right by the answer's `Date`.

mod classify;
pub mod sigv4;

use super::call::{Call, CallError, Http, Reply};
use super::verdict::{Verdict, http_date};
use crate::base::clock::Clock;
use crate::transports::{LeaseGuard, Outgoing};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Method;
use posthaste_model::email::{Recipient, RecipientKind};
use posthaste_model::outcome::Failure;
use posthaste_model::{FailureCode, Secret, Timestamp};
use reqwest::Url;
use serde_json::{Value, json};
use sigv4::{Keys, Request};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// For one message in base64, in bytes.
const MESSAGE_MAX: usize = 40 * 1024 * 1024;
/// Recipients of one request.
pub(super) const RECIPIENTS_MAX: usize = 50;
/// The longest line of a raw message, without its break.
const LINE_MAX: usize = 1000;
/// A clock that differs by less is right; Amazon allows 15 minutes.
const SKEW_MIN_MS: i64 = 60_000;

/// An account at Amazon, in one region.
#[derive(Clone, Debug)]
pub struct SesAccount {
    /// The region's name.
    pub region: String,
    /// Access key.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: Secret,
    /// Of temporary keys.
    pub session_token: Option<Secret>,
    /// Without a slash at its end.
    pub base_url: String,
    /// The configuration set by which events are told.
    pub configuration_set: Option<String>,
}

/// Amazon SES as a way out.
#[derive(Debug)]
pub struct Ses {
    http: Http,
    account: SesAccount,
    url: Url,
    clock: Clock,
    /// What has to be added to our clock, in milliseconds.
    skew_ms: AtomicI64,
}

impl Ses {
    /// The account.
    pub fn new(account: SesAccount, clock: Clock) -> Result<Self, String> {
        let url = format!("{}/v2/email/outbound-emails", account.base_url.trim_end_matches('/'));
        let url = Url::parse(&url).map_err(|error| format!("base_url {error}"))?;
        Ok(Self { http: Http::new()?, account, url, clock, skew_ms: AtomicI64::new(0) })
    }

    pub(super) fn base_url(&self) -> &str {
        &self.account.base_url
    }

    pub(super) async fn send(&self, outgoing: &Outgoing<'_>, lease: &LeaseGuard) -> Verdict {
        if let Some(verdict) = over_limit(outgoing) {
            return verdict;
        }
        let body: Bytes = self.body(outgoing).to_string().into();
        match self.call(&body, lease).await {
            // Refused because of the time: nothing was taken, and now the time is right.
            Ok(reply) if self.corrected(&reply) => match self.call(&body, lease).await {
                Ok(reply) => classify::verdict(&reply, outgoing, self.clock.now()),
                Err(error) => Verdict::of_error(error, "Amazon SES"),
            },
            Ok(reply) => classify::verdict(&reply, outgoing, self.clock.now()),
            Err(error) => Verdict::of_error(error, "Amazon SES"),
        }
    }

    /// The envelope stands beside the raw message: blind copies are named nowhere else.
    fn body(&self, outgoing: &Outgoing<'_>) -> Value {
        let email = &outgoing.claim.email;
        let of = |kind| -> Vec<&str> {
            due(outgoing)
                .filter(|(_, to)| to.kind == kind)
                .map(|(_, to)| to.mailbox.address.as_str())
                .collect()
        };
        let mut destination = json!({});
        for (field, kind) in [
            ("ToAddresses", RecipientKind::To),
            ("CcAddresses", RecipientKind::Cc),
            ("BccAddresses", RecipientKind::Bcc),
        ] {
            let addresses = of(kind);
            if !addresses.is_empty() {
                destination[field] = addresses.into();
            }
        }
        let mut body = json!({
            "FromEmailAddress": email.from.address.as_str(),
            "Destination": destination,
            "Content": {"Raw": {"Data": STANDARD.encode(outgoing.message)}},
            "EmailTags": [{"Name": "posthaste_id", "Value": email.id.to_string()}],
        });
        if let Some(set) = &self.account.configuration_set {
            body["ConfigurationSetName"] = set.as_str().into();
        }
        body
    }

    async fn call(&self, body: &Bytes, lease: &LeaseGuard) -> Result<Reply, CallError> {
        let keys = Keys {
            access_key_id: &self.account.access_key_id,
            secret_access_key: &self.account.secret_access_key,
            session_token: self.account.session_token.as_ref(),
            region: &self.account.region,
            service: "ses",
        };
        let mut headers = vec![("Content-Type", "application/json".to_owned())];
        let host = authority(&self.url);
        let request = Request {
            method: "POST",
            path: self.url.path(),
            query: "",
            host: &host,
            headers: &headers,
            body,
        };
        headers.extend(sigv4::sign(&request, &keys, self.now()));
        let url = self.url.as_str();
        let call = Call { method: Method::POST, url, headers, body: vec![body.clone()], lease: Some(lease) };
        self.http.call(call).await
    }

    /// The time as Amazon has it.
    fn now(&self) -> Timestamp {
        let skew = self.skew_ms.load(Ordering::Acquire);
        Timestamp::from_millis(self.clock.now().millis().saturating_add(skew))
    }

    /// Whether a refusal came of a wrong clock that was now put right.
    fn corrected(&self, reply: &Reply) -> bool {
        if !classify::may_be_the_clock(reply) {
            return false;
        }
        let Some(theirs) = reply.header("date").and_then(http_date) else { return false };
        let theirs = theirs.saturating_mul(1000);
        if (theirs - self.now().millis()).abs() < SKEW_MIN_MS {
            return false;
        }
        let skew = theirs - self.clock.now().millis();
        tracing::warn!(
            seconds = skew / 1000,
            "this machine's clock differs from Amazon's, requests are signed with theirs"
        );
        self.skew_ms.store(skew, Ordering::Release);
        true
    }
}

fn due<'a>(outgoing: &'a Outgoing<'_>) -> impl Iterator<Item = (usize, &'a Recipient)> {
    let recipients = &outgoing.claim.email.recipients;
    outgoing.due.iter().filter_map(|index| Some((*index, recipients.get(*index)?)))
}

/// As it stands in the `Host` header: with a port that is not the scheme's own.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// What SES does not take, said before it is asked.
fn over_limit(outgoing: &Outgoing<'_>) -> Option<Verdict> {
    if !outgoing.claim.email.from.address.is_ascii() {
        return Some(Verdict::over_limit("Amazon SES takes no sender with other than ASCII before the @"));
    }
    let international: Vec<usize> =
        due(outgoing).filter(|(_, to)| !to.mailbox.address.is_ascii()).map(|(index, _)| index).collect();
    if !international.is_empty() {
        let message = "Amazon SES takes no recipient with other than ASCII before the @ (5.6.7)";
        return Some(Verdict::Without(international, Failure::new(FailureCode::InvalidEmail, message)));
    }
    let size = outgoing.message.len().div_ceil(3) * 4;
    if size > MESSAGE_MAX {
        let message = format!("Amazon SES takes {MESSAGE_MAX} bytes in base64, this message has {size}");
        return Some(Verdict::over_limit(message));
    }
    let is_long = |line: &[u8]| line.strip_suffix(b"\r").unwrap_or(line).len() > LINE_MAX - 2;
    outgoing.message.split(|byte| *byte == b'\n').any(is_long).then(|| {
        Verdict::over_limit(format!(
            "Amazon SES takes lines of {LINE_MAX} bytes, this message has longer ones"
        ))
    })
}

/// How long mail waits when the quota of 24 hours is used up, before it is asked about again: ten minutes at most, the
/// fifth included by which pauses are drawn out.
const QUOTA_PAUSE: Duration = Duration::from_secs(500);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transports::provider::content::tests::{outgoing, raw_claim};
    use crate::transports::provider::verdict::tests::{reply, word};
    use posthaste_model::email::RecipientKind::{Bcc, Cc, To};

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn ses() -> Ses {
        let account = SesAccount {
            region: "eu-west-1".into(),
            access_key_id: "AKID".into(),
            secret_access_key: Secret::new("secret"),
            session_token: None,
            base_url: "http://127.0.0.1:9/aws/".into(),
            configuration_set: Some("events".into()),
        };
        Ses::new(account, Clock::manual(NOW)).unwrap()
    }

    #[test]
    fn the_envelope_stands_beside_the_raw_message() {
        let kinds = [("b@b.example", To), ("c@b.example", Cc), ("d@b.example", Bcc)];
        let (claim, bytes) = raw_claim("Subject: s\r\n\r\nx\r\n", &kinds);
        let (ses, out) = (ses(), outgoing(&claim, &bytes, &[0, 2]));
        let body = ses.body(&out);
        assert_eq!(
            body["Destination"],
            json!({"ToAddresses": ["b@b.example"], "BccAddresses": ["d@b.example"]})
        );
        assert_eq!(body["Content"]["Raw"]["Data"], STANDARD.encode(&bytes));
        assert_eq!(body["ConfigurationSetName"], "events");
        assert_eq!(body["EmailTags"][0]["Value"], claim.email.id.to_string());
        assert_eq!(
            (authority(&ses.url).as_str(), ses.url.path()),
            ("127.0.0.1:9", "/aws/v2/email/outbound-emails")
        );
    }

    #[test]
    fn limits_are_named_before_anything_is_sent() {
        let (claim, bytes) = raw_claim("S: s\r\n\r\nx", &[("b@b.example", To), ("jörg@b.example", To)]);
        let found = over_limit(&outgoing(&claim, &bytes, &[0, 1])).map(|verdict| word(&verdict));
        assert_eq!(found.as_deref(), Some("P invalid_email without [1]"));
        assert!(over_limit(&outgoing(&claim, &bytes, &[0])).is_none());
        let (claim, bytes) = raw_claim(&format!("S: s\r\n\r\n{}", "x".repeat(1001)), &[("b@b.example", To)]);
        assert!(over_limit(&outgoing(&claim, &bytes, &[0])).is_some());
    }

    #[test]
    fn a_wrong_clock_is_put_right_once() {
        let ses = ses();
        let body = r#"{"message":"Signature expired"}"#;
        let headers = [("x-amzn-errortype", "RequestExpired"), ("date", "Tue, 14 Nov 2023 23:13:20 GMT")];
        let expired = reply(400, &headers, body);
        assert!(ses.corrected(&expired));
        assert_eq!(ses.now(), Timestamp::from_millis(NOW.millis() + 3_600_000));
        assert!(!ses.corrected(&expired), "the clock is not what is wrong");
        assert!(!ses.corrected(&reply(403, &[("x-amzn-errortype", "AccessDenied"), headers[1]], body)));
    }
}
