//! What is proven by a signature of ours: tokens that we made and nobody else, and requests that we sign.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use posthaste::auth::jwt::{self, SharedKey, Times};
use posthaste::transports::provider::ses::sigv4::{Keys, Request, sign};
use posthaste_model::{Secret, Timestamp};
use serde_json::Value;
use std::time::Duration;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// `text` with its signature under HS256.
fn hs256(text: &str) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag))
}

/// A token is taken when it is signed under HS256 as a whole and says so, and its times never overflow; whatever its head
/// says besides.
pub fn jwt(data: &[u8]) {
    let key = SharedKey::new(&Secret::new(SECRET));
    let text = String::from_utf8_lossy(data);
    if key.open::<Value>(&text).is_ok() {
        let (signed, _) = text.rsplit_once('.').expect("a token of three parts");
        assert_eq!(hs256(signed), text);
        let (head, _) = signed.split_once('.').expect("a token of three parts");
        let head = URL_SAFE_NO_PAD.decode(head).expect("a head that was read");
        let head: Value = serde_json::from_slice(&head).expect("a head that was read");
        assert_eq!(head["alg"], "HS256");
    }
    if let Ok(kid) = jwt::kid(&text) {
        assert!(kid.len() <= text.len(), "{kid:?}");
    }
    // Signed by ourselves, as whoever stole the secret could: any head, any claims.
    let (head, claims) = data.split_at(data.iter().position(|byte| *byte == b'\n').unwrap_or(0));
    let claims = URL_SAFE_NO_PAD.encode(claims.strip_prefix(b"\n").unwrap_or(claims));
    let own_head = if head.is_empty() { br#"{"alg":"HS256"}"# } else { head };
    let token = hs256(&format!("{}.{claims}", URL_SAFE_NO_PAD.encode(own_head)));
    if let Ok(times) = key.open::<Times>(&token) {
        for now in [i64::MIN, 0, 1_700_000_000_000, i64::MAX] {
            for leeway in [Duration::ZERO, Duration::MAX] {
                let holds = times.hold(Timestamp::from_millis(now), leeway, leeway);
                assert!(!holds || times.iat >= 0, "{times:?}");
            }
        }
    }
}

/// Method, path, query, host, header and body, with `\u{1}` between: signed alike each time, on one line, and otherwise as
/// soon as anything that is signed differs.
pub fn sigv4(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut pieces = text.splitn(5, '\u{1}');
    let mut piece = || pieces.next().unwrap_or_default();
    let (path, query, host, value, body) = (piece(), piece(), piece(), piece(), piece());
    let secret = Secret::new(SECRET);
    let keys = Keys {
        access_key_id: "AKIDEXAMPLE",
        secret_access_key: &secret,
        session_token: None,
        region: "us-east-1",
        service: "ses",
    };
    let headers = [("Content-Type", value.to_owned())];
    let authorization = |path: &str, host: &str, body: &[u8]| {
        let request = Request { method: "POST", path, query, host, headers: &headers, body };
        let signed = sign(&request, &keys, Timestamp::from_millis(1_440_938_160_000));
        signed.last().map(|(_, value)| value.clone()).expect("the signature comes last")
    };
    let signed = authorization(path, host, body.as_bytes());
    assert_eq!(signed, authorization(path, host, body.as_bytes()));
    let (start, signature) = signed.rsplit_once("Signature=").expect("a signature");
    assert!(start.contains("SignedHeaders=content-type;host;x-amz-date, "), "{start}");
    assert!(signature.len() == 64 && signature.bytes().all(|byte| byte.is_ascii_hexdigit()), "{signature}");
    for other in [
        authorization(&format!("{path}/x"), host, body.as_bytes()),
        authorization(path, &format!("{host}x"), body.as_bytes()),
        authorization(path, host, &[body.as_bytes(), b"x"].concat()),
    ] {
        assert_ne!(other, signed, "{path:?} {host:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::smoke;

    #[test]
    fn tokens() {
        let key = SharedKey::new(&Secret::new(SECRET));
        let good = key.sign(&Times { iat: 1, nbf: None, exp: Some(2) }).expect("a token");
        smoke(
            jwt,
            &[
                &good,
                "{\"alg\":\"HS256\",\"typ\":\"JWT\"}\n{\"iat\":1,\"nbf\":2,\"exp\":253402300799}",
                "{\"alg\":\"none\",\"kid\":\"x\"}\n{\"iat\":\"1\",\"exp\":1e300}",
                "{\"alg\":\"RS256\",\"jku\":\"http://127.0.0.1/\",\"jwk\":{\"kty\":\"RSA\",\"n\":\"AQ\",\"e\":\"AQAB\"}}\n{}",
                "\n{\"iat\":-9223372036854775808}",
                "eyJhbGciOiJIUzI1NiJ9.e30.",
                "....",
            ],
        );
    }

    #[test]
    fn signed_requests() {
        smoke(
            sigv4,
            &[
                "/v2/email/outbound-emails\u{1}\u{1}email.us-east-1.amazonaws.com\u{1}application/json\u{1}{}",
                "\u{1}\u{1}\u{1}\u{1}",
                "/a%20b/%E1%88%B4\u{1}a=b&c=%20\u{1}h:8080\u{1}  a   b \u{1}\r\n",
            ],
        );
    }
}
