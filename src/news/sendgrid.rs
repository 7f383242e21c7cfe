//! SendGrid's signed event webhook (docs.sendgrid.com, "Event Webhook Security"): ECDSA on P-256 over the timestamp
//! header's bytes and the raw body. No age is refused, since retries run for a day; an event that came before changes
//! nothing.

use super::text::{canonical, detail, digest, own_id, seconds, text};
use super::{Desk, NewsError};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use posthaste_model::news::{News, NewsKind, NewsSource};
use posthaste_model::suppression::reason;
use posthaste_model::{FailureCode, Timestamp};
use serde_json::Value;

/// SubjectPublicKeyInfo of a P-256 key up to its uncompressed point (RFC 5480).
const P256_SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// The longest signature in DER, in bytes.
const LONGEST_SIGNATURE: usize = 72;

impl Desk {
    /// Takes a request of SendGrid's: the two headers, where each came once, and the body.
    pub async fn sendgrid(
        &self,
        signature: Option<&str>,
        timestamp: Option<&str>,
        body: &[u8],
    ) -> Result<(), NewsError> {
        let (Some(signature), Some(timestamp)) = (signature, timestamp) else {
            return Err(NewsError::Forged("the signature or its timestamp is missing"));
        };
        let keys = &self.proofs.sendgrid_public_keys;
        if !keys.iter().any(|key| is_signed(key, signature, timestamp, body)) {
            return Err(NewsError::Forged("the signature is not by a configured key"));
        }
        self.record(self.sendgrid_events(body)).await
    }

    fn sendgrid_events(&self, body: &[u8]) -> Vec<News> {
        match serde_json::from_slice::<Value>(body) {
            Ok(Value::Array(events)) => events.iter().map(|event| news_of(event, self.clock.now())).collect(),
            _ => vec![self.unreadable(NewsSource::Sendgrid, body)],
        }
    }
}

/// Whether `signature` (base64 of DER) is `key`'s (base64 of SPKI) over timestamp and body.
fn is_signed(key: &str, signature: &str, timestamp: &str, body: &[u8]) -> bool {
    let (Ok(key), Ok(signature)) = (STANDARD.decode(key.trim()), STANDARD.decode(signature)) else {
        return false;
    };
    let Some(point) = key.strip_prefix(&P256_SPKI) else { return false };
    if point.len() != 65 || signature.len() > LONGEST_SIGNATURE {
        return false;
    }
    let mut signed = Vec::with_capacity(timestamp.len() + body.len());
    signed.extend_from_slice(timestamp.as_bytes());
    signed.extend_from_slice(body);
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(&signed, &signature).is_ok()
}

/// One event. What is not known of it is kept.
fn news_of(event: &Value, now: Timestamp) -> News {
    let raw = event.to_string();
    let key = text(event, "sg_event_id").map_or_else(|| digest(raw.as_bytes()), str::to_owned);
    let at = event.get("timestamp").and_then(seconds).unwrap_or(now);
    let mut news = News::kept(NewsSource::Sendgrid, key, raw, at);
    // By SMTP the provider keeps our Message-ID, which begins with the email's id.
    news.email_id = ["posthaste_id", "smtp-id"].iter().find_map(|name| own_id(text(event, name)?));
    if let Some(id) = text(event, "sg_message_id") {
        // What was answered when the mail was handed in stands before the first dot.
        news.provider_ids = id.split('.').next().into_iter().chain([id]).map(str::to_owned).collect();
        news.provider_ids.dedup();
    }
    news.recipient = text(event, "email").and_then(canonical);
    let status = text(event, "status");
    news.detail = match text(event, "event").unwrap_or_default() {
        "click" => detail([text(event, "url")]),
        "open" => detail([text(event, "useragent")]),
        _ => detail([text(event, "type"), status, text(event, "response").or(text(event, "reason"))]),
    };
    classify(event, &mut news);
    news
}

/// The table of 07-providers.
fn classify(event: &Value, news: &mut News) {
    let mut set = |kind, code, suppress| {
        news.kind = Some(kind);
        news.code = code;
        news.suppress = suppress;
    };
    match text(event, "event").unwrap_or_default() {
        "delivered" => set(NewsKind::Delivered, None, None),
        "deferred" => set(NewsKind::Deferred, None, None),
        "bounce" if text(event, "type") == Some("blocked") => {
            set(NewsKind::Bounced, Some(FailureCode::Bounce), None);
        }
        "bounce" => set(NewsKind::Bounced, Some(FailureCode::Bounce), Some(reason::BOUNCE)),
        "dropped" => {
            let (code, suppress) = dropped(text(event, "reason").unwrap_or_default());
            set(NewsKind::Failed, Some(code), suppress);
        }
        "open" => set(NewsKind::Opened, None, None),
        "click" => set(NewsKind::Clicked, None, None),
        "spamreport" => set(NewsKind::Complained, None, Some(reason::COMPLAINT)),
        "unsubscribe" | "group_unsubscribe" => set(NewsKind::Unsubscribed, None, None),
        _ => {}
    }
}

/// What SendGrid did not send, by its reason.
fn dropped(why: &str) -> (FailureCode, Option<&'static str>) {
    match why.to_ascii_lowercase().as_str() {
        "bounced address" => (FailureCode::Suppressed, Some(reason::BOUNCE)),
        "spam reporting address" => (FailureCode::Suppressed, Some(reason::COMPLAINT)),
        "unsubscribed address" => (FailureCode::Suppressed, Some(reason::UNSUBSCRIBE)),
        "invalid" => (FailureCode::InvalidEmail, Some(reason::INVALID)),
        _ => (FailureCode::ServerError, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY_A: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==";
    const SIGNATURE_A: &str =
        "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM=";
    const BODY_A: &str = "[{\"email\":\"hello@world.com\",\"event\":\"dropped\",\"reason\":\"Bounced Address\",\"sg_event_id\":\"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA\",\"sg_message_id\":\"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0\",\"smtp-id\":\"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>\",\"timestamp\":1600112492}]\r\n";
    const KEY_B: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEQ4LIFtWztlsF7skFqOncjD1lun4H5w8XOhyOArHW9RcIx/FfEzx6cikC/yPfUvwaX/JScE7Fc9CJD2afQ9Ok3Q==";
    const SIGNATURE_B: &str =
        "MEYCIQC/I4o6vCgqRYrTljjoVWB/GRWNtxeePlLMHr3x9ETeRQIhAIpV+03nREPTTHWSW0wIOA0EoMPdcNgXa70yCaqDJlu5";
    const BODY_B: &str = "[{\"email\":\"invalid@gmail.com\",\"event\":\"processed\",\"send_at\":0,\"sg_event_id\":\"cHJvY2Vzc2VkLTE5OTQyMTEyLXFOd0JMZ1BRUWpXNkRKdktRd1NBYnctMA\",\"sg_message_id\":\"qNwBLgPQQjW6DJvKQwSAbw.filterdrecv-canary-547b64655b-cw6zx-1-6089EA4A-56.0\",\"smtp-id\":\"<qNwBLgPQQjW6DJvKQwSAbw@ismtpd0178p1mdw1.sendgrid.net>\",\"timestamp\":1619651146},\r\n{\"email\":\"invalid@gmail.com\",\"event\":\"bounce\",\"ip\":\"167.89.101.76\",\"reason\":\"552 5.2.2 The email account that you tried to reach is over quota and inactive. Please direct the recipient to https://support.google.com/mail/?p=OverQuotaPerm c17si1130468pgv.34 - gsmtp\",\"sg_event_id\":\"Ym91bmNlLTAtMTk5NDIxMTItcU53QkxnUFFRalc2REp2S1F3U0Fidy0w\",\"sg_message_id\":\"qNwBLgPQQjW6DJvKQwSAbw.filterdrecv-canary-547b64655b-cw6zx-1-6089EA4A-56.0\",\"smtp-id\":\"<qNwBLgPQQjW6DJvKQwSAbw@ismtpd0178p1mdw1.sendgrid.net>\",\"status\":\"5.2.2\",\"timestamp\":1619651147,\"tls\":1,\"type\":\"blocked\"}]\r\n";

    #[test]
    fn the_published_vectors_hold() {
        assert_eq!(BODY_A.len(), 327);
        assert_eq!(BODY_B.len(), 889);
        assert!(is_signed(KEY_A, SIGNATURE_A, "1600112502", BODY_A.as_bytes()));
        assert!(is_signed(KEY_B, SIGNATURE_B, "1619651159", BODY_B.as_bytes()));
    }

    #[test]
    fn anything_else_does_not() {
        let good = |signature: &str, timestamp: &str, body: &str| {
            is_signed(KEY_A, signature, timestamp, body.as_bytes())
        };
        assert!(!good(SIGNATURE_A, "1600112502", BODY_A.trim_end()), "without the final line break");
        assert!(!good(SIGNATURE_A, "1600112503", BODY_A), "another time");
        assert!(!good("", "1600112502", BODY_A));
        assert!(!is_signed(KEY_B, SIGNATURE_A, "1600112502", BODY_A.as_bytes()), "another key");
        let reserialised = serde_json::from_str::<Value>(BODY_A).unwrap().to_string();
        assert!(!good(SIGNATURE_A, "1600112502", &reserialised));
        let der = STANDARD.decode(SIGNATURE_A).unwrap();
        let mut junk = der.clone();
        junk.push(0);
        assert!(!good(&STANDARD.encode(junk), "1600112502", BODY_A), "something behind the signature");
        let raw: Vec<u8> = [&der[4..36], &der[39..71]].concat();
        assert_eq!(raw.len(), 64);
        assert!(!good(&STANDARD.encode(raw), "1600112502", BODY_A), "r and s without DER");
        let mut p384 = STANDARD.decode(KEY_A).unwrap();
        p384[22] = 0x22;
        assert!(!is_signed(&STANDARD.encode(p384), SIGNATURE_A, "1600112502", BODY_A.as_bytes()));
    }

    #[test]
    fn events_become_news_by_the_table() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let of = |json: &str| news_of(&serde_json::from_str(json).unwrap(), now);
        let dropped = of(BODY_A.trim_end().trim_start_matches('[').trim_end_matches(']'));
        assert_eq!((dropped.kind, dropped.code), (Some(NewsKind::Failed), Some(FailureCode::Suppressed)));
        assert_eq!(
            (dropped.suppress, dropped.recipient.as_deref()),
            (Some("bounce"), Some("hello@world.com"))
        );
        assert_eq!(dropped.provider_ids[0], "LRzXl_NHStOGhQ4kofSm_A");
        assert_eq!(dropped.at, Timestamp::from_millis(1_600_112_492_000));
        for (event, kind, suppress) in [
            (r#"{"event":"bounce","type":"bounce"}"#, Some(NewsKind::Bounced), Some("bounce")),
            (r#"{"event":"bounce","type":"blocked"}"#, Some(NewsKind::Bounced), None),
            (r#"{"event":"spamreport"}"#, Some(NewsKind::Complained), Some("complaint")),
            (r#"{"event":"group_unsubscribe"}"#, Some(NewsKind::Unsubscribed), None),
            (r#"{"event":"processed"}"#, None, None),
            (r#"{"event":7}"#, None, None),
            ("null", None, None),
        ] {
            let news = of(event);
            assert_eq!((news.kind, news.suppress), (kind, suppress), "{event}");
        }
        let id = "0192f0c1-2d3e-7abc-8def-0123456789ab";
        let own = of(&format!(r#"{{"event":"delivered","posthaste_id":"{id}"}}"#));
        assert_eq!(own.email_id.map(|own| own.to_string()).as_deref(), Some(id));
    }
}
