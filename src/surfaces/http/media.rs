//! What a request says its body is. A body is never guessed at: text that happens to be JSON is not JSON.

use http::HeaderMap;
use http::header::CONTENT_TYPE;

/// The media types that surfaces read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// `application/json`, in UTF-8.
    Json,
    /// `application/x-www-form-urlencoded`, in UTF-8.
    Form,
}

/// A `Content-Type` that is missing, doubled or not one that surfaces read; a surface answers 415.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Content-Type must be application/json")]
pub struct UnsupportedMedia;

/// Reads `Content-Type` (RFC 9110, section 8.3).
pub fn of(headers: &HeaderMap) -> Result<Media, UnsupportedMedia> {
    let mut lines = headers.get_all(CONTENT_TYPE).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return Err(UnsupportedMedia) };
    if line == "application/json" {
        return Ok(Media::Json);
    }
    let mut parts = line.to_str().map_err(|_| UnsupportedMedia)?.split(';');
    let media = match parts.next().map(str::trim) {
        Some(name) if name.eq_ignore_ascii_case("application/json") => Media::Json,
        Some(name) if name.eq_ignore_ascii_case("application/x-www-form-urlencoded") => Media::Form,
        _ => return Err(UnsupportedMedia),
    };
    if parts.all(is_harmless) { Ok(media) } else { Err(UnsupportedMedia) }
}

/// Requires JSON.
pub fn require_json(headers: &HeaderMap) -> Result<(), UnsupportedMedia> {
    match of(headers)? {
        Media::Json => Ok(()),
        Media::Form => Err(UnsupportedMedia),
    }
}

/// Any parameter but a `charset` other than UTF-8; an empty one (`application/json;`) too.
fn is_harmless(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else { return parameter.trim().is_empty() };
    let value = value.trim().trim_matches('"');
    !name.trim().eq_ignore_ascii_case("charset")
        || value.eq_ignore_ascii_case("utf-8")
        || value.eq_ignore_ascii_case("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Result<Media, UnsupportedMedia> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(CONTENT_TYPE, line.parse().unwrap());
        }
        of(&headers)
    }

    #[test]
    fn only_the_two_types_in_utf8_pass() {
        for json in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/json;charset=\"utf-8\"",
            "application/json; v=1",
            "application/json;",
        ] {
            assert_eq!(read(&[json]), Ok(Media::Json), "{json}");
        }
        assert_eq!(read(&["application/x-www-form-urlencoded"]), Ok(Media::Form));
        for bad in [
            "text/plain",
            "application/json; charset=utf-16",
            "application/jsonp",
            "application/json+x",
            "json",
            "",
            "application/json, text/plain",
            "multipart/form-data; boundary=x",
            "application/json; x",
        ] {
            assert_eq!(read(&[bad]), Err(UnsupportedMedia), "{bad}");
        }
        assert_eq!(read(&[]), Err(UnsupportedMedia));
        assert_eq!(read(&["application/json", "application/json"]), Err(UnsupportedMedia));
    }
}
