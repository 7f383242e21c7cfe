//! JSON Web Tokens (RFC 7519) of our own making: one algorithm a kind of key, claims read strictly.
//!
//! The algorithm is the key's, never the token's choice; whatever else the header says (`jwk`, `jku`, `x5u`) is not looked
//! at. Times are whole numbers or the token is none.

use super::TokenError;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use posthaste_model::{Secret, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A token longer than this is none of ours.
const LENGTH_MAX: usize = 4096;
/// Times outside are nonsense: from 1970 to the year 9999, in seconds.
const TIMES: std::ops::RangeInclusive<i64> = 0..=253_402_300_799;

/// A shared secret (HS256).
#[derive(Clone)]
pub struct SharedKey {
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl SharedKey {
    /// The key of a secret.
    pub fn new(secret: &Secret) -> Self {
        let bytes = secret.expose().as_bytes();
        Self { encoding: EncodingKey::from_secret(bytes), decoding: DecodingKey::from_secret(bytes) }
    }

    /// A token with these claims.
    pub fn sign<C: Serialize>(&self, claims: &C) -> Result<String, TokenError> {
        encode(&Header::new(Algorithm::HS256), claims, &self.encoding)
    }

    /// The claims of a token that this key signed; times are the caller's to judge.
    pub fn open<C: DeserializeOwned>(&self, token: &str) -> Result<C, TokenError> {
        open(token, Algorithm::HS256, &self.decoding)
    }
}

/// Signs `claims` under `header`.
pub(super) fn encode<C: Serialize>(
    header: &Header,
    claims: &C,
    key: &EncodingKey,
) -> Result<String, TokenError> {
    jsonwebtoken::encode(header, claims, key).map_err(|error| {
        tracing::error!(%error, "a token could not be signed");
        TokenError::Signing
    })
}

/// The claims of a token that `key` signed with `algorithm`. Times are the caller's to judge.
pub(super) fn open<C: DeserializeOwned>(
    token: &str,
    algorithm: Algorithm,
    key: &DecodingKey,
) -> Result<C, TokenError> {
    if token.len() > LENGTH_MAX {
        return Err(TokenError::Invalid);
    }
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    jsonwebtoken::decode(token, key, &validation).map(|read| read.claims).map_err(|_| TokenError::Invalid)
}

/// The `kid` in a token's header, looked at before anything is believed.
pub fn kid(token: &str) -> Result<String, TokenError> {
    if token.len() > LENGTH_MAX {
        return Err(TokenError::Invalid);
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Invalid)?;
    header.kid.ok_or(TokenError::Invalid)
}

/// When a token was made and until when it holds, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// When it was made.
    pub iat: i64,
    /// From when it holds, if that is later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// When it ends, if ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exp: Option<i64>,
}

impl Times {
    /// Whether the token holds at `now`: it may have been made by a clock that is ahead by `early`, and its end may lie
    /// `late` behind.
    pub fn hold(&self, now: Timestamp, early: Duration, late: Duration) -> bool {
        let now = now.millis().div_euclid(1000);
        let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        let all = [Some(self.iat), self.nbf, self.exp];
        all.iter().flatten().all(|time| TIMES.contains(time))
            && self.iat.max(self.nbf.unwrap_or(0)) <= now.saturating_add(seconds(early))
            && self.exp.is_none_or(|end| now < end.saturating_add(seconds(late)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    fn times(iat: i64, nbf: Option<i64>, exp: Option<i64>) -> Times {
        Times { iat, nbf, exp }
    }

    #[test]
    fn times_hold_within_the_leeway() {
        let (now, leeway) = (Timestamp::from_millis(1_000_000), Duration::from_secs(30));
        for (given, holds) in [
            (times(1000, None, None), true),
            (times(1030, None, None), true),
            (times(1031, None, None), false),
            (times(900, Some(1031), None), false),
            (times(900, None, Some(971)), true),
            (times(900, None, Some(970)), false),
            (times(-1, None, None), false),
            (times(900, None, Some(i64::MAX)), false),
        ] {
            assert_eq!(given.hold(now, leeway, leeway), holds, "{given:?}");
        }
        let exact = Duration::ZERO;
        assert!(times(1030, None, Some(1001)).hold(now, leeway, exact), "made by a clock ahead of ours");
        assert!(!times(900, None, Some(1000)).hold(now, leeway, exact), "its end is exact");
        assert!(!times(1001, None, None).hold(now, exact, leeway));
    }

    #[test]
    fn only_the_keys_own_algorithm_opens() {
        let key = SharedKey::new(&Secret::new("0123456789abcdef0123456789abcdef"));
        let token = key.sign(&times(1, None, None)).unwrap();
        assert_eq!(key.open::<Times>(&token).unwrap(), times(1, None, None));
        let [_, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
        for header in
            [r#"{"alg":"none"}"#, r#"{"alg":"nOnE"}"#, r#"{"alg":"HS512"}"#, r#"{"alg":"RS256"}"#, "{}"]
        {
            let header = URL_SAFE_NO_PAD.encode(header);
            assert!(key.open::<Times>(&format!("{header}.{claims}.{signature}")).is_err(), "{header}");
            assert!(key.open::<Times>(&format!("{header}.{claims}.")).is_err(), "{header}");
        }
        let other = SharedKey::new(&Secret::new(""));
        assert!(other.open::<Times>(&token).is_err());
        assert!(key.open::<Times>(&".".repeat(1_000_000)).is_err());
    }

    #[test]
    fn claims_of_another_type_are_no_claims() {
        let key = SharedKey::new(&Secret::new("0123456789abcdef0123456789abcdef"));
        for claims in [
            serde_json::json!({"iat": "1"}),
            serde_json::json!({"iat": 1.5}),
            serde_json::json!({"iat": 1, "exp": "9999999999"}),
            serde_json::json!({"iat": 1, "exp": 1e300}),
            serde_json::json!({"exp": 1}),
        ] {
            let token = key.sign(&claims).unwrap();
            assert!(key.open::<Times>(&token).is_err(), "{claims}");
        }
    }
}
