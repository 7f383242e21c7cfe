//! Who looks at a page: the login that the browser keeps in a cookie, the token by which our own forms are known, and
//! the language.

use super::cookies::{self, LANGUAGE, SESSION, session_cookie};
use crate::admin::Admin;
use crate::auth::{Auth, Browser, SignedIn};
use crate::surfaces::Ground;
use crate::surfaces::http::answer;
use crate::surfaces::http::body::{Bodies, BodyRefusal, HeldBody};
use crate::surfaces::http::exchange::{self, Exchange};
use crate::surfaces::http::form::{Fields, FormError};
use crate::surfaces::http::multipart;
use axum::body::Body;
use axum::response::Response;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, LOCATION, RETRY_AFTER, SET_COOKIE, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use posthaste_model::user::{Language, Role};
use posthaste_store::{Actor, StoreError};
use serde_json::json;

/// How long a browser remembers a language.
const LANGUAGE_AGE: u32 = 365 * 86_400;
/// A form has no more bytes.
const FORM_BYTES: usize = 256 * 1024;
/// The field of forms that holds their token.
pub const FORM_TOKEN: &str = "_token";
/// The token of forms, as scripts send it.
const CSRF: &str = "x-csrf-token";
/// Sent by our own scripts with what they ask for by themselves.
const REFRESH: &str = "x-refresh";

/// Finds visitors. Cheap to clone.
#[derive(Clone)]
pub struct Visitors {
    auth: Auth,
    admin: Admin,
    bodies: Bodies,
    language: Language,
}

/// Who asks for a page.
pub struct Visitor {
    /// Who is logged in.
    pub signed_in: Option<SignedIn>,
    /// The language of the page.
    pub language: Language,
    /// The request.
    pub exchange: Exchange,
    /// What the browser keeps.
    token: String,
    /// The token that forms carry.
    pub form_token: String,
    /// What the page was asked for, as the beginning of a query to ask for it in another language.
    pub asked: String,
    is_new: bool,
    chose_language: bool,
    wants_json: bool,
    accepts_html: bool,
    actor_address: String,
    agent: String,
    base: Option<String>,
}

/// A form as it was sent.
pub struct Form {
    body: HeldBody,
    boundary: Option<String>,
}

impl Form {
    /// Its fields, or why they cannot be read.
    pub fn read(&self) -> Result<Fields<'_>, FormError> {
        match &self.boundary {
            Some(boundary) => multipart::parse(&self.body, boundary),
            None => Fields::parse(&self.body),
        }
    }

    /// Its fields.
    pub fn fields(&self) -> Option<Fields<'_>> {
        self.read().ok()
    }

    /// Its bytes, for fingerprints.
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }
}

impl Visitors {
    /// Visitors of this ground.
    pub fn new(ground: &Ground) -> Self {
        Self {
            auth: ground.auth.clone(),
            admin: ground.admin.clone(),
            bodies: ground.bodies.clone(),
            language: Language::parse(&ground.settings.eo.locale).unwrap_or(Language::Id),
        }
    }

    /// Who asks. `?lang=` is remembered for the browser, and for whoever is logged in.
    pub async fn enter(&self, parts: &Parts) -> Result<Visitor, Response> {
        let exchange = exchange::of(parts);
        let kept = session_cookie(&parts.headers);
        let signed_in = match &kept {
            Some(token) => {
                let found = if comes_by_itself(&parts.headers) {
                    self.auth.unused_session(token).await
                } else {
                    self.auth.session(token).await
                };
                found.map_err(|error| outage(&parts.headers, self.language, &error))?
            }
            None => None,
        };
        let is_new = kept.is_none();
        let token = kept.unwrap_or_else(|| self.auth.new_browser_token());
        let query = parts.uri.query().unwrap_or_default();
        let fields = Fields::of_query(query).unwrap_or_default();
        let chosen = fields.get("lang").and_then(Language::parse);
        let language = chosen
            .or_else(|| signed_in.as_ref().and_then(|who| who.user.language))
            .or_else(|| cookies::find(&parts.headers, LANGUAGE).and_then(|word| Language::parse(&word)))
            .unwrap_or(self.language);
        let mut visitor = Visitor {
            form_token: self.auth.form_token(&token),
            asked: asked(&fields),
            signed_in,
            language,
            token,
            is_new,
            chose_language: chosen.is_some(),
            wants_json: wants_json(&parts.headers),
            accepts_html: accepts(&parts.headers, "text/html"),
            actor_address: exchange.client_address().to_string(),
            agent: text(&parts.headers, USER_AGENT.as_str()),
            base: base_of(parts, &exchange),
            exchange,
        };
        if let (Some(language), Some(who)) = (chosen, &visitor.signed_in)
            && who.user.language != Some(language)
        {
            let changed = self.admin.set_language(who.user.id, language, &visitor.actor()).await;
            if let (Ok(user), Some(who)) = (changed, &mut visitor.signed_in) {
                who.user = user;
            }
        }
        Ok(visitor)
    }

    /// The form of a request, once its token was found to be this browser's.
    pub async fn form(&self, visitor: &Visitor, parts: &Parts, body: Body) -> Result<Form, Response> {
        let body = self.bodies.read_up_to(parts, body, FORM_BYTES).await;
        let body = body.map_err(|refusal| visitor.refuse_body(&refusal))?;
        let boundary = multipart::boundary_of(&text(&parts.headers, CONTENT_TYPE.as_str()));
        let form = Form { body, boundary };
        let field = || form.fields().and_then(|fields| fields.get(FORM_TOKEN).map(str::to_owned));
        let given = token_of_header(&parts.headers).or_else(field).unwrap_or_default();
        if visitor.is_new || !self.auth.is_form_token(&visitor.token, &given) {
            return Err(visitor.refuse(status_419(), "csrf_token_mismatch"));
        }
        Ok(form)
    }

    /// Opens a login of a new id, and puts its cookie on the answer.
    pub async fn sign_in(
        &self,
        visitor: &Visitor,
        user: &posthaste_model::user::User,
        mut response: Response,
    ) -> Result<Response, StoreError> {
        let browser = Browser { address: visitor.actor_address.clone(), agent: visitor.agent.clone() };
        let token = self.auth.open_session(user, browser).await?;
        self.auth.close_session(&visitor.token).await?;
        visitor.put_cookie(&mut response, SESSION, &token, None);
        Ok(response)
    }

    /// Ends the login, and takes its cookie away.
    pub async fn sign_out(&self, visitor: &Visitor, mut response: Response) -> Result<Response, StoreError> {
        self.auth.close_session(&visitor.token).await?;
        visitor.put_cookie(&mut response, SESSION, "", Some(0));
        Ok(response)
    }

    /// Whether the login still holds, for what is open for long: being open does not use it.
    pub async fn still_holds(&self, visitor: &Visitor) -> bool {
        matches!(self.auth.unused_session(&visitor.token).await, Ok(Some(_)))
    }
}

impl Visitor {
    /// The role of who is logged in.
    pub fn role(&self) -> Option<Role> {
        self.signed_in.as_ref().map(|who| who.user.role)
    }

    /// Who makes a change, for the audit.
    pub fn actor(&self) -> Actor {
        let id = self.signed_in.as_ref().map(|who| who.user.id.to_string());
        Actor { kind: "user".into(), id, address: Some(self.actor_address.clone()) }
    }

    /// Whether the answer is to be JSON.
    pub fn wants_json(&self) -> bool {
        self.wants_json
    }

    /// Where the visitor reaches this installation.
    pub fn base(&self) -> Option<String> {
        self.base.clone()
    }

    /// A refusal: JSON, and a short page for people.
    pub fn refuse(&self, status: StatusCode, error: &str) -> Response {
        if !self.wants_json && self.accepts_html {
            return self.finish(super::refused(status, self.language, error));
        }
        self.finish(answer::json(status, &json!({"ok": false, "error": error})))
    }

    /// The store's failure: JSON, and a short page for people.
    pub fn unavailable(&self, error: &StoreError) -> Response {
        let as_page = !self.wants_json && self.accepts_html;
        self.finish(if as_page { outage_page(self.language, error) } else { unavailable(error) })
    }

    fn refuse_body(&self, refusal: &BodyRefusal) -> Response {
        match refusal {
            BodyRefusal::TooLarge { .. } => self.refuse(StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            BodyRefusal::Encoded => self.refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_encoding"),
            BodyRefusal::TooSlow => self.refuse(StatusCode::REQUEST_TIMEOUT, "too_slow"),
            BodyRefusal::Broken => self.refuse(StatusCode::BAD_REQUEST, "bad_request"),
            BodyRefusal::Overloaded { retry_after_s } => {
                let mut response = self.refuse(StatusCode::SERVICE_UNAVAILABLE, "unavailable");
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(*retry_after_s));
                response
            }
        }
    }

    /// What an answer to this visitor carries: the cookies that are new, and that nobody else may keep it.
    pub fn finish(&self, mut response: Response) -> Response {
        if self.is_new && !response.headers().contains_key(SET_COOKIE) {
            self.put_cookie(&mut response, SESSION, &self.token, None);
        }
        if self.chose_language {
            self.put_cookie(&mut response, LANGUAGE, self.language.as_str(), Some(LANGUAGE_AGE));
        }
        let headers = response.headers_mut();
        headers.entry(http::header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        headers.insert(http::header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }

    fn put_cookie(&self, response: &mut Response, name: &str, value: &str, age: Option<u32>) {
        cookies::put(response, &self.exchange, name, value, age);
    }
}

/// The token that a script sends in a header.
pub fn token_of_header(headers: &HeaderMap) -> Option<String> {
    Some(text(headers, CSRF)).filter(|token| !token.is_empty())
}

/// The status of a form that is not ours; HTTP has no name for it.
pub fn status_419() -> StatusCode {
    StatusCode::from_u16(419).unwrap_or(StatusCode::FORBIDDEN)
}

/// A redirect to a path of this installation.
pub fn redirect(to: &str) -> Response {
    let mut response = answer::empty(StatusCode::SEE_OTHER);
    if let Ok(location) = HeaderValue::from_str(to) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// The store's failure, as JSON.
pub fn unavailable(error: &StoreError) -> Response {
    let body = json!({"ok": false, "error": "unavailable"});
    soon_again(answer::json(StatusCode::SERVICE_UNAVAILABLE, &body), error)
}

/// The store's failure before it is known who asks.
fn outage(headers: &HeaderMap, language: Language, error: &StoreError) -> Response {
    let as_page = !wants_json(headers) && accepts(headers, "text/html");
    if as_page { outage_page(language, error) } else { unavailable(error) }
}

fn outage_page(language: Language, error: &StoreError) -> Response {
    soon_again(super::refused(StatusCode::SERVICE_UNAVAILABLE, language, "unavailable"), error)
}

fn soon_again(mut response: Response, error: &StoreError) -> Response {
    tracing::warn!(%error, "the store did not answer a page");
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("2"));
    response
}

/// The fields of a query but the language, with a `&` behind each.
fn asked(fields: &Fields<'_>) -> String {
    let kept = fields.iter().filter(|(name, _)| *name != "lang");
    kept.fold(String::new(), |mut query, (name, value)| {
        query.push_str(&format!("{}={}&", escaped(name), escaped(value)));
        query
    })
}

/// A value for an address.
pub fn escaped(value: &str) -> String {
    value.bytes().fold(String::new(), |mut coded, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            coded.push(char::from(byte));
        } else {
            coded.push_str(&format!("%{byte:02X}"));
        }
        coded
    })
}

fn text(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    text(headers, ACCEPT.as_str()).contains(kind)
}

fn wants_json(headers: &HeaderMap) -> bool {
    headers.contains_key(CSRF)
        || headers.contains_key("x-requested-with")
        || accepts(headers, "application/json")
}

/// Whether a page asks by itself, to stay fresh, with nobody before it: a login that only such requests carry ends when it
/// has been idle for long.
pub fn comes_by_itself(headers: &HeaderMap) -> bool {
    headers.contains_key(REFRESH) || accepts(headers, "text/event-stream")
}

fn base_of(parts: &Parts, exchange: &Exchange) -> Option<String> {
    let host = parts
        .uri
        .authority()
        .map(ToString::to_string)
        .or_else(|| parts.headers.get(HOST).and_then(|host| host.to_str().ok()).map(str::to_owned))?;
    let host: http::uri::Authority = host.parse().ok()?;
    let scheme = if exchange.came_by_tls() { "https" } else { "http" };
    Some(format!("{scheme}://{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_language_keeps_what_was_asked_for() {
        let fields = Fields::of_query("event_id=7&lang=en&next=%2Feo%3Fa%3D1").unwrap();
        assert_eq!(asked(&fields), "event_id=7&next=%2Feo%3Fa%3D1&");
        assert_eq!(asked(&Fields::default()), "");
    }

    #[test]
    fn values_are_escaped_for_addresses() {
        assert_eq!(escaped("a b&c=é/2026-01-01"), "a%20b%26c%3D%C3%A9%2F2026-01-01");
    }
}
