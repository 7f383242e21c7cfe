//! What all pages share: the layout, the assets, and the headers under which a browser may show them. Pages carry no
//! script and no style of their own, so the policy allows none: what a hostile text smuggles in stays text.

pub mod cookies;
pub mod shell;
pub mod visitor;

use askama::Template;
use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use http::{HeaderValue, StatusCode};
use posthaste_model::user::Language;

/// What a page may load: our own style, script, pictures and frames, and nothing else.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; \
     frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);

/// An asset's name, type and content.
const ASSETS: [(&str, &str, &str); 6] = [
    ("web.css", "text/css; charset=utf-8", include_str!("assets/web.css")),
    ("inbox.js", "text/javascript; charset=utf-8", include_str!("assets/inbox.js")),
    ("pages.css", "text/css; charset=utf-8", include_str!("assets/pages.css")),
    ("dashboard.js", "text/javascript; charset=utf-8", include_str!("assets/dashboard.js")),
    ("eo.js", "text/javascript; charset=utf-8", include_str!("assets/eo.js")),
    ("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")),
];

/// The path of an asset under a version of its own, so that browsers may keep it for ever.
pub(super) fn asset(name: &str) -> String {
    let content = ASSETS.iter().find(|(known, ..)| *known == name).map_or("", |(.., content)| content);
    format!("/inbox/assets/{name}?v={:08x}", crc32fast::hash(content.as_bytes()))
}

/// Serves the assets.
pub(super) fn assets() -> Router {
    Router::new().route("/inbox/assets/{name}", get(serve_asset))
}

async fn serve_asset(Path(name): Path<String>) -> Response {
    let Some((_, media_type, content)) = ASSETS.iter().find(|(known, ..)| *known == name) else {
        let mut missing = Response::new(Body::empty());
        *missing.status_mut() = StatusCode::NOT_FOUND;
        return missing;
    };
    let mut response = Response::new(Body::from(*content));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    response
}

/// A page.
pub(super) fn page(status: StatusCode, template: &impl Template) -> Response {
    let (status, html) = match template.render() {
        Ok(html) => (status, html),
        Err(error) => {
            // Templates are compiled; only a `Display` of ours that fails gets here.
            tracing::error!(%error, "a page could not be written");
            (StatusCode::INTERNAL_SERVER_ERROR, String::new())
        }
    };
    let mut response = Response::new(Body::from(html));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    // Not `no-referrer`: under that a browser sends `Origin: null` with our own forms, which could then not be told
    // from forged ones where it sends no `Sec-Fetch-Site` (plain HTTP).
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

#[derive(Template)]
#[template(path = "account/refused.html")]
struct RefusedPage {
    shell: shell::Shell,
    title: &'static str,
    detail: &'static str,
}

/// A refusal as a page for people.
pub fn refused(status: StatusCode, language: Language, error: &str) -> Response {
    let (english, indonesian) = match error {
        "forbidden" => (
            ("Not open to you", "Your account may not see or change this."),
            ("Tidak terbuka untuk Anda", "Akun Anda tidak boleh melihat atau mengubah ini."),
        ),
        "not_found" => (
            ("Not found", "There is nothing here, or it is not yours."),
            ("Tidak ditemukan", "Tidak ada apa pun di sini, atau bukan milik Anda."),
        ),
        "csrf_token_mismatch" => (
            ("The page was too old", "Go back, load the page again and try once more."),
            ("Halaman kedaluwarsa", "Kembali, muat ulang halaman, lalu coba sekali lagi."),
        ),
        "too_many_requests" => (
            ("Too many requests", "Wait a moment and try again."),
            ("Terlalu banyak permintaan", "Tunggu sebentar lalu coba lagi."),
        ),
        "unavailable" => (
            ("Not available just now", "The store does not answer. Nothing is lost; try again in a moment."),
            ("Belum tersedia", "Penyimpanan belum menjawab. Tidak ada yang hilang; coba lagi sebentar lagi."),
        ),
        _ => (("That did not work", "Go back and try again."), ("Tidak berhasil", "Kembali lalu coba lagi.")),
    };
    let (title, detail) = if language == Language::Id { indonesian } else { english };
    page(status, &RefusedPage { shell: shell::Shell::bare(language), title, detail })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assets_are_known_by_name_and_small() {
        for (name, _, content) in ASSETS {
            assert!(
                asset(name).starts_with("/inbox/assets/") && !asset(name).ends_with("00000000"),
                "{name}"
            );
            assert!(content.len() < 40_000, "{name}");
        }
    }
}
