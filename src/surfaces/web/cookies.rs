//! What browsers keep for us: the token of the login, to which the token of forms is bound, and the language.

use crate::surfaces::http::exchange::Exchange;
use axum::response::Response;
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};

/// The token of the login, and of whoever has none.
pub(super) const SESSION: &str = "posthaste_session";
/// The language that somebody chose.
pub(super) const LANGUAGE: &str = "posthaste_lang";

/// Puts a cookie on an answer; `age` in seconds, without one it ends with the browser.
pub(super) fn put(response: &mut Response, exchange: &Exchange, name: &str, value: &str, age: Option<u32>) {
    let secure = if exchange.came_by_tls() { "; Secure" } else { "" };
    let age = age.map_or_else(String::new, |age| format!("; Max-Age={age}"));
    let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}

/// Gives a browser that has none the cookie to which the token of its forms is bound.
pub fn keep_session(response: &mut Response, exchange: &Exchange, token: &str) {
    put(response, exchange, SESSION, token, None);
}

/// What a browser keeps of its login.
pub fn session_cookie(headers: &HeaderMap) -> Option<String> {
    find(headers, SESSION).filter(|token| is_token(token))
}

/// The value of a cookie.
pub(super) fn find(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
}

/// The shape of what we give to browsers; anything else is not looked up.
fn is_token(text: &str) -> bool {
    text.len() == 43 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_found_by_name() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=1; posthaste_session=x=y"));
        headers.append(COOKIE, HeaderValue::from_static("b=2"));
        assert_eq!(find(&headers, "a").as_deref(), Some("1"));
        assert_eq!(find(&headers, SESSION).as_deref(), Some("x=y"));
        assert_eq!(find(&headers, "b").as_deref(), Some("2"));
        assert_eq!(find(&headers, "c"), None);
        assert!(!is_token("x=y") && is_token(&"a".repeat(43)));
    }
}
