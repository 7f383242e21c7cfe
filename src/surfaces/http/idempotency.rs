//! What every door of the drop-in APIs does with an `Idempotency-Key`: read it, and keep and replay the first answer.

use super::answer;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

/// The request's key.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Set on an answer that was given before.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// A key that stands twice, is empty, longer than 255 characters, or not visible ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an Idempotency-Key has 1 to 255 visible ASCII characters, and stands once")]
pub struct InvalidKey;

/// The key of a request, if it has one.
pub fn key_of(headers: &HeaderMap) -> Result<Option<String>, InvalidKey> {
    let mut given = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = given.next() else { return Ok(None) };
    if given.next().is_some() {
        return Err(InvalidKey);
    }
    let key = value.to_str().map_err(|_| InvalidKey)?.trim();
    let is_good = !key.is_empty() && key.len() <= 255 && key.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if is_good { Ok(Some(key.to_owned())) } else { Err(InvalidKey) }
}

/// An answer as it is kept with its key.
#[derive(Serialize, Deserialize)]
pub struct Kept {
    status: u16,
    media_type: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Kept {
    /// An answer with a text body and a few headers of its own.
    pub fn new(status: StatusCode, media_type: &str, headers: Vec<(String, String)>, body: String) -> Self {
        Self { status: status.as_u16(), media_type: media_type.to_owned(), headers, body }
    }

    /// An answer in JSON.
    pub fn json(status: StatusCode, body: &serde_json::Value) -> Self {
        Self::new(status, "application/json", Vec::new(), body.to_string())
    }

    /// The bytes that the store keeps.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The first answer again, marked as such; `None`: the bytes are not an answer.
    pub fn replay(bytes: &[u8]) -> Option<Response> {
        let mut response = serde_json::from_slice::<Self>(bytes).ok()?.into_response()?;
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        Some(response)
    }

    /// The answer; `None` when a header cannot be sent.
    pub fn into_response(self) -> Option<Response> {
        let status = StatusCode::from_u16(self.status).ok()?;
        let mut response =
            answer::bytes_as(status, HeaderValue::from_str(&self.media_type).ok()?, self.body.into_bytes());
        for (name, value) in self.headers {
            let name: HeaderName = name.parse().ok()?;
            response.headers_mut().insert(name, HeaderValue::from_str(&value).ok()?);
        }
        Some(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_short_visible_and_single() {
        let read = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(IDEMPOTENCY_KEY, HeaderValue::from_str(value).expect("a value"));
            }
            key_of(&headers)
        };
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[" a b "]), Ok(Some("a b".into())));
        for bad in [&[""][..], &["a", "a"], &["ä"], &[&"x".repeat(256)]] {
            assert_eq!(read(bad), Err(InvalidKey), "{bad:?}");
        }
    }

    #[test]
    fn a_replay_is_the_first_answer_marked() {
        let headers = vec![("location".to_owned(), "/emails/1".to_owned())];
        let kept = Kept::new(StatusCode::ACCEPTED, "text/plain", headers, "Start Queue Email".into());
        let again = Kept::replay(&kept.to_bytes()).expect("an answer");
        assert_eq!(again.status(), StatusCode::ACCEPTED);
        assert_eq!(again.headers()["location"], "/emails/1");
        assert_eq!(again.headers()["content-type"], "text/plain");
        assert_eq!(again.headers()["idempotency-replayed"], "true");
        assert!(Kept::replay(b"{}").is_none());
    }
}
