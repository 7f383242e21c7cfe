//! Answers in JSON. A surface builds its shape and hands it here; every other header comes from the edge.

use axum::body::Body;
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde::Serialize;

/// The media type of JSON answers.
pub const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An answer with a JSON body.
pub fn json<T: Serialize + ?Sized>(status: StatusCode, value: &T) -> Response {
    json_as(status, JSON, value)
}

/// An answer with a JSON body under another media type.
pub fn json_as<T: Serialize + ?Sized>(status: StatusCode, media_type: HeaderValue, value: &T) -> Response {
    let mut bytes = Vec::with_capacity(256);
    if let Err(error) = serde_json::to_writer(&mut bytes, value) {
        // Only a map with keys that are no strings or a failing `Serialize` of ours gets here.
        tracing::error!(%error, "an answer could not be written as JSON");
        return empty(StatusCode::INTERNAL_SERVER_ERROR);
    }
    bytes_as(status, media_type, bytes)
}

/// An answer with a body that is JSON already.
pub fn bytes_as(status: StatusCode, media_type: HeaderValue, bytes: impl Into<Body>) -> Response {
    let mut response = Response::new(bytes.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response
}

/// An answer without a body.
pub fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// `Content-Disposition` with the name for all readers and for those that know UTF-8 (RFC 6266, section 4.3).
pub fn disposition(name: &str) -> HeaderValue {
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || " ._-()".contains(c) { c } else { '_' })
        .collect();
    let coded = name.bytes().fold(String::new(), |mut coded, byte| {
        if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
            coded.push(char::from(byte));
        } else {
            coded.push_str(&format!("%{byte:02X}"));
        }
        coded
    });
    let value = format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{coded}");
    HeaderValue::from_str(&value).unwrap_or(HeaderValue::from_static("attachment"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_cannot_leave_their_header() {
        assert_eq!(
            disposition("größe \"x\"; a=b.pdf").to_str().expect("ASCII"),
            "attachment; filename=\"gr__e _x__ a_b.pdf\"; filename*=UTF-8''gr%C3%B6%C3%9Fe%20%22x%22%3B%20a%3Db.pdf"
        );
    }
}
