//! The headers by which a client sees how it stands against its limit, on every answer of a limited endpoint.

use crate::limits::Decision;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue};

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Writes `X-RateLimit-Limit`, `-Remaining` and `-Reset` (Unix seconds, rounded up: at that second there is room),
/// and `Retry-After` on a refusal.
pub fn write(headers: &mut HeaderMap, decision: &Decision) {
    let reset_s = decision.reset_at.millis().saturating_add(999).div_euclid(1000);
    headers.insert(LIMIT, HeaderValue::from(decision.limit));
    headers.insert(REMAINING, HeaderValue::from(decision.remaining));
    headers.insert(RESET, HeaderValue::from(reset_s.max(0)));
    if !decision.allowed {
        headers.insert(RETRY_AFTER, HeaderValue::from(decision.retry_after_s.max(1)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use posthaste_model::Timestamp;

    #[test]
    fn figures_are_whole_seconds_and_never_too_early() {
        let mut headers = HeaderMap::new();
        let mut decision = Decision {
            allowed: true,
            limit: 60,
            remaining: 59,
            reset_at: Timestamp::from_millis(61_001),
            retry_after_s: 0,
        };
        write(&mut headers, &decision);
        let shown =
            |headers: &HeaderMap, name: &str| headers.get(name).map(|v| v.to_str().unwrap().to_owned());
        assert_eq!(shown(&headers, "x-ratelimit-limit").as_deref(), Some("60"));
        assert_eq!(shown(&headers, "x-ratelimit-remaining").as_deref(), Some("59"));
        assert_eq!(shown(&headers, "x-ratelimit-reset").as_deref(), Some("62"));
        assert_eq!(shown(&headers, "retry-after"), None);
        decision.allowed = false;
        decision.retry_after_s = 30;
        write(&mut headers, &decision);
        assert_eq!(shown(&headers, "retry-after").as_deref(), Some("30"));
    }
}
