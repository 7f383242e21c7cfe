//! The language of success texts: Traditional Chinese as documented, English where the request prefers it.

use crate::surfaces::http::ranking::ranked;
use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;

/// A text that both languages have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// A mail was accepted.
    Queued,
    /// A mail was taken back.
    Cancelled,
    /// A token was revoked.
    TokenRevoked,
    /// A sender config was removed.
    ConfigDeleted,
}

impl Said {
    /// The text, in the language that the request prefers.
    pub fn in_language_of(self, headers: &HeaderMap) -> &'static str {
        match (self, prefers_english(headers)) {
            (Self::Queued, false) => "郵件已加入發送隊列",
            (Self::Queued, true) => "Mail queued for delivery",
            (Self::Cancelled, false) => "郵件已取消",
            (Self::Cancelled, true) => "Mail cancelled",
            (Self::TokenRevoked, false) => "Token 已撤銷",
            (Self::TokenRevoked, true) => "Token revoked",
            (Self::ConfigDeleted, false) => "Sender config 已刪除",
            (Self::ConfigDeleted, true) => "Sender config deleted",
        }
    }
}

/// Whether `Accept-Language` (RFC 9110, section 12.5.4) ranks English before Chinese; of two that rank alike the one
/// named first. Where neither is named: no.
fn prefers_english(headers: &HeaderMap) -> bool {
    let (mut english, mut chinese) = (0, 0);
    for (name, rank) in ranked(headers, ACCEPT_LANGUAGE) {
        match name.to_ascii_lowercase().split('-').next() {
            Some("en") if rank > chinese => english = english.max(rank),
            Some("zh") if rank > english => chinese = chinese.max(rank),
            _ => {}
        }
    }
    english > chinese
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chinese_unless_english_is_preferred() {
        for (given, english) in [
            ("", false),
            ("zh-TW", false),
            ("en", true),
            ("en-US,en;q=0.9", true),
            ("zh-TW,zh;q=0.9,en;q=0.8", false),
            ("en;q=0.5, zh;q=0.4", true),
            ("zh;q=0.4, EN-gb;Q=0.5", true),
            ("en, zh", true),
            ("zh, en", false),
            ("fr, en;q=0.1", true),
            ("fr", false),
            ("*", false),
            ("en;q=0", false),
            ("en;q=2", false),
            ("english", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_LANGUAGE, given.parse().unwrap());
            assert_eq!(prefers_english(&headers), english, "{given}");
        }
        assert_eq!(Said::Queued.in_language_of(&HeaderMap::new()), "郵件已加入發送隊列");
    }
}
