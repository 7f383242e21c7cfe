//! Mailgun's webhooks (documentation.mailgun.com, "Securing Webhooks"). The signature covers only timestamp and token, so
//! a token is good once, on all nodes and across restarts: the identical body again is a retry, another one is forged.

use super::text::{canonical, detail, digest, has_enhanced_code, own_id, seconds, text};
use super::{Desk, NewsError};
use aws_lc_rs::hmac;
use posthaste_model::email::BlobHash;
use posthaste_model::news::{News, NewsKind, NewsSource};
use posthaste_model::suppression::reason;
use posthaste_model::{FailureCode, Secret, Timestamp};
use posthaste_store::{NewsResult, WebhookToken};
use serde_json::Value;
use std::time::Duration;

/// Mailgun retries for eight hours.
const OLDEST: Duration = Duration::from_secs(9 * 3600);
/// How far its clock may be ahead of ours.
const AHEAD: Duration = Duration::from_secs(15 * 60);
/// How long a token is remembered: as long as any signature with it is taken.
const KEEP: Duration = Duration::from_secs(24 * 3600);
/// The longest token and timestamp that are looked at.
const LONGEST_PART: usize = 256;
/// HMAC-SHA256 in hexadecimal.
const SIGNATURE_LEN: usize = 64;

impl Desk {
    /// Takes a request of Mailgun's.
    pub async fn mailgun(&self, body: &[u8]) -> Result<(), NewsError> {
        let unsigned = NewsError::Forged("the signature is missing or cannot be read");
        let Ok(json) = serde_json::from_slice::<Value>(body) else { return Err(unsigned) };
        let Some(signed) = json.get("signature").and_then(Signed::read) else { return Err(unsigned) };
        let keys = &self.proofs.mailgun_signing_keys;
        // Every key is asked, so that the time taken does not tell which one holds.
        if keys.iter().filter(|key| signed.is_by(key)).count() == 0 {
            return Err(NewsError::Forged("the signature is not by a configured key"));
        }
        let now = self.clock.now();
        let at = seconds(&Value::from(signed.timestamp.as_str()));
        if at.is_none_or(|at| at < now.minus(OLDEST) || at > now.plus(AHEAD)) {
            return Err(NewsError::Forged("the signature is too old, or from the future"));
        }
        let token = WebhookToken {
            token: format!("mailgun:{}", signed.token),
            body: BlobHash::of(body).0,
            keep_until: now.plus(KEEP),
        };
        let news = match json.get("event-data").filter(|data| data.is_object()) {
            Some(data) => news_of(data, now),
            None => self.unreadable(NewsSource::Mailgun, body),
        };
        match self.record_step(vec![news], Some(token)).await? {
            NewsResult::Recorded(_) | NewsResult::Repeated => Ok(()),
            NewsResult::TokenUsed => Err(NewsError::Forged("the token was used with another body")),
        }
    }
}

/// The three parts of a signature.
struct Signed {
    timestamp: String,
    token: String,
    signature: String,
}

impl Signed {
    fn read(value: &Value) -> Option<Self> {
        let part = |name: &str| match value.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let signed =
            Self { timestamp: part("timestamp")?, token: part("token")?, signature: part("signature")? };
        let fits = |part: &str| {
            (1..=LONGEST_PART).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_graphic())
        };
        // Both are signed as one text: were `e0` of a token taken for the end of a time, the rest would be a new token.
        let is_time = signed.timestamp.bytes().all(|b| b.is_ascii_digit());
        (is_time && fits(&signed.timestamp) && fits(&signed.token) && signed.signature.len() == SIGNATURE_LEN)
            .then_some(signed)
    }

    fn is_by(&self, key: &Secret) -> bool {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose().as_bytes());
        let mut signature = [0; SIGNATURE_LEN / 2];
        for (at, pair) in self.signature.as_bytes().chunks_exact(2).enumerate() {
            let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else { return false };
            signature[at] = high << 4 | low;
        }
        let signed = format!("{}{}", self.timestamp, self.token);
        hmac::verify(&key, signed.as_bytes(), &signature).is_ok()
    }
}

/// Lower case only: one signature has one spelling.
fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

/// One event. What is not known of it is kept.
fn news_of(data: &Value, now: Timestamp) -> News {
    let raw = data.to_string();
    let at = data.get("timestamp").and_then(seconds).unwrap_or(now);
    // Mailgun's ids are unique only within a day.
    let key = text(data, "id").map_or_else(|| digest(raw.as_bytes()), |id| format!("{id}:{}", at.date()));
    let mut news = News::kept(NewsSource::Mailgun, key, raw, at);
    let message_id = data.pointer("/message/headers/message-id").and_then(Value::as_str);
    // `user-variables` may be a text that says why there are none.
    let own = data.pointer("/user-variables/posthaste_id").and_then(Value::as_str);
    news.email_id = own.into_iter().chain(message_id).find_map(own_id);
    if let Some(id) = message_id {
        let bare = id.trim().trim_start_matches('<').trim_end_matches('>');
        news.provider_ids = vec![bare.to_owned(), format!("<{bare}>")];
    }
    news.recipient = text(data, "recipient").and_then(canonical);
    let status = data.get("delivery-status").unwrap_or(&Value::Null);
    let code = status.get("code").map(|code| code.to_string().trim_matches('"').to_owned());
    let said = text(status, "message").or(text(status, "description"));
    news.detail = match text(data, "event").unwrap_or_default() {
        "clicked" => detail([text(data, "url")]),
        "rejected" => detail([data.pointer("/reject/reason").and_then(Value::as_str)]),
        "delivered" | "failed" | "permanent_fail" | "temporary_fail" => {
            detail([code.as_deref(), enhanced(status), said.or(text(data, "reason"))])
        }
        _ => None,
    };
    classify(data, status, &mut news);
    news
}

fn enhanced(status: &Value) -> Option<&str> {
    text(status, "enhanced-code").or(text(status, "bounce-code"))
}

/// The table of 07-providers.
fn classify(data: &Value, status: &Value, news: &mut News) {
    let mut set = |kind, code, suppress| {
        news.kind = Some(kind);
        news.code = code;
        news.suppress = suppress;
    };
    let is_temporary = text(data, "severity") == Some("temporary");
    match text(data, "event").unwrap_or_default() {
        "delivered" => set(NewsKind::Delivered, None, None),
        "temporary_fail" => set(NewsKind::Deferred, None, None),
        "failed" if is_temporary => set(NewsKind::Deferred, None, None),
        "failed" | "permanent_fail" => {
            set(NewsKind::Bounced, Some(FailureCode::Bounce), suppress_for(data, status));
        }
        "rejected" => set(NewsKind::Failed, Some(FailureCode::ServerError), None),
        "complained" => set(NewsKind::Complained, None, Some(reason::COMPLAINT)),
        "opened" => set(NewsKind::Opened, None, None),
        "clicked" => set(NewsKind::Clicked, None, None),
        "unsubscribed" => set(NewsKind::Unsubscribed, None, None),
        _ => {}
    }
}

/// Whether a permanent failure says that the address is of no use.
fn suppress_for(data: &Value, status: &Value) -> Option<&'static str> {
    let says_so = || {
        let texts = [enhanced(status), text(status, "message")];
        texts.into_iter().flatten().any(|text| has_enhanced_code(text, "5.1."))
    };
    match text(data, "reason").unwrap_or_default() {
        "bounce" | "suppress-bounce" | "hardfail" => Some(reason::BOUNCE),
        "suppress-complaint" => Some(reason::COMPLAINT),
        "suppress-unsubscribe" => Some(reason::UNSUBSCRIBE),
        _ => says_so().then_some(reason::BOUNCE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn signed(signature: &str) -> Option<Signed> {
        Signed::read(&json!({"timestamp": "123456789", "token": "token", "signature": signature}))
    }

    #[test]
    fn the_check_value_holds_and_nothing_near_it() {
        const RIGHT: &str = "8c56daabdf5b1e84b50766e6bde638e2cc4249c3a8fdaa7079a03cb84b63b73f";
        let key = Secret::new("key");
        assert!(signed(RIGHT).unwrap().is_by(&key));
        assert!(!signed(RIGHT).unwrap().is_by(&Secret::new("other")));
        let wrong = ["", "v1,", "sha256=", &RIGHT[1..], &format!("{RIGHT}00"), &RIGHT.to_uppercase()];
        for wrong in wrong {
            assert!(signed(wrong).is_none_or(|signed| !signed.is_by(&key)), "{wrong}");
        }
    }

    #[test]
    fn what_is_signed_has_one_place_where_the_time_ends() {
        let signature = "0".repeat(SIGNATURE_LEN);
        let read = |timestamp: &str, token: &str| {
            Signed::read(&json!({"timestamp": timestamp, "token": token, "signature": signature.as_str()}))
        };
        assert!(read("1600112502", "e0c5").is_some());
        assert!(read("1600112502e0", "c5").is_none());
        assert!(read("1600112502.", "5").is_none());
    }

    #[test]
    fn events_become_news_by_the_table() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        for (data, kind, suppress) in [
            (json!({"event": "delivered"}), Some(NewsKind::Delivered), None),
            (json!({"event": "failed", "severity": "temporary"}), Some(NewsKind::Deferred), None),
            (
                json!({"event": "failed", "severity": "permanent", "reason": "bounce"}),
                Some(NewsKind::Bounced),
                Some("bounce"),
            ),
            (
                json!({"event": "failed", "severity": "permanent", "reason": "generic"}),
                Some(NewsKind::Bounced),
                None,
            ),
            (
                json!({"event": "failed", "severity": "permanent", "reason": "generic",
                    "delivery-status": {"code": 550, "enhanced-code": "5.1.1"}}),
                Some(NewsKind::Bounced),
                Some("bounce"),
            ),
            (json!({"event": "rejected", "user-variables": "Could not load"}), Some(NewsKind::Failed), None),
            (json!({"event": "complained"}), Some(NewsKind::Complained), Some("complaint")),
            (json!({"event": "accepted"}), None, None),
            (json!({"event": []}), None, None),
        ] {
            let news = news_of(&data, now);
            assert_eq!((news.kind, news.suppress), (kind, suppress), "{data}");
        }
        let id = "0192f0c1-2d3e-7abc-8def-0123456789ab";
        let data = json!({"event": "delivered", "id": "x", "timestamp": 1_699_999_999.5, "recipient": "A@Client.com",
            "message": {"headers": {"message-id": "m1@example.com"}}, "user-variables": {"posthaste_id": id}});
        let news = news_of(&data, now);
        assert_eq!(news.key, "x:2023-11-14");
        assert_eq!(news.provider_ids, ["m1@example.com", "<m1@example.com>"]);
        assert_eq!(news.email_id.map(|own| own.to_string()).as_deref(), Some(id));
    }
}
