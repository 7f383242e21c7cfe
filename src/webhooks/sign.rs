//! Signatures of calls, by two customs at once: Standard Webhooks 1.0 (`webhook-id`, `webhook-timestamp`,
//! `webhook-signature`) and the one of Aegis (`X-Aegis-Signature`).

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use http::{HeaderMap, HeaderValue};
use posthaste_model::{Secret, Timestamp};
use std::fmt::Write as _;

/// What secrets begin with that this service makes.
const PREFIX: &str = "whsec_";
/// Bytes of a secret that is made here; the standard asks for 24 to 64.
pub const SECRET_BYTES: usize = 32;

/// A new secret: `whsec_` and base64.
pub fn new_secret(chance: [u8; SECRET_BYTES]) -> Secret {
    Secret::new(format!("{PREFIX}{}", STANDARD.encode(chance)))
}

/// The key that Standard Webhooks takes from a secret: the bytes behind `whsec_`; of a secret of another kind its own
/// bytes.
fn standard_key(secret: &Secret) -> Vec<u8> {
    let encoded = secret.expose().strip_prefix(PREFIX);
    encoded
        // Secrets made elsewhere may lack the padding.
        .and_then(|encoded| STANDARD_NO_PAD.decode(encoded.trim_end_matches('=')).ok())
        .unwrap_or_else(|| secret.expose().as_bytes().to_vec())
}

/// `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.
fn standard(secret: &Secret, id: &str, timestamp: i64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &standard_key(secret));
    let signed = [id.as_bytes(), b".", timestamp.to_string().as_bytes(), b".", body].concat();
    format!("v1,{}", STANDARD.encode(hmac::sign(&key, &signed)))
}

/// `sha256=` and the hexadecimal HMAC-SHA256 of the body. The key is the secret as it is shown, `whsec_` included.
fn aegis(secret: &Secret, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let mut text = String::from("sha256=");
    for byte in hmac::sign(&key, body).as_ref() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Adds the signatures of `body` by the secrets in force, the newest first. Without one, id and time alone are added.
pub fn sign(headers: &mut HeaderMap, secrets: &[Secret], id: &str, now: Timestamp, body: &[u8]) {
    let timestamp = now.seconds();
    let mut add = |name: &'static str, text: String| {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    };
    add("webhook-id", id.to_owned());
    add("webhook-timestamp", timestamp.to_string());
    if let Some(newest) = secrets.first() {
        let all: Vec<String> = secrets.iter().map(|secret| standard(secret, id, timestamp, body)).collect();
        add("webhook-signature", all.join(" "));
        add("x-aegis-signature", aegis(newest, body));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standards_own_examples() {
        for (secret, id, timestamp, body, expected) in [
            (
                "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                1_614_265_330,
                r#"{"test": 2432232314}"#,
                "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            ),
            (
                "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
                "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
                1_649_367_553,
                r#"{"email":"test@example.com","username":"test_user"}"#,
                "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
            ),
        ] {
            assert_eq!(standard(&Secret::new(secret), id, timestamp, body.as_bytes()), expected);
        }
    }

    #[test]
    fn aegis_signs_the_body_with_the_secret_as_it_is_shown() {
        // RFC 4231, test case 2.
        assert_eq!(
            aegis(&Secret::new("Jefe"), b"what do ya want for nothing?"),
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn a_rotated_secret_signs_beside_the_new_one() {
        let (new, old) = (new_secret([1; SECRET_BYTES]), new_secret([2; SECRET_BYTES]));
        let mut headers = HeaderMap::new();
        sign(&mut headers, &[new.clone(), old.clone()], "id", Timestamp::from_millis(7_900), b"{}");
        let signatures: Vec<&str> = headers["webhook-signature"].to_str().unwrap().split(' ').collect();
        assert_eq!(signatures, [standard(&new, "id", 7, b"{}"), standard(&old, "id", 7, b"{}")]);
        assert_eq!(headers["webhook-timestamp"], "7");
        assert_eq!(headers["x-aegis-signature"].to_str().unwrap(), aegis(&new, b"{}"));
        let mut bare = HeaderMap::new();
        sign(&mut bare, &[], "id", Timestamp::from_millis(0), b"{}");
        assert!(!bare.contains_key("webhook-signature") && bare.contains_key("webhook-id"));
    }
}
