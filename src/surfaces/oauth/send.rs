//! `POST /send` with an access token.

use super::Oauth;
use super::errors::OauthError;
use super::given::Given;
use crate::auth::{AccessToken, Freshness, TokenError};
use crate::intake::{Accepted, IdempotencyRequest, Judged, Submission};
use crate::limits::{LimitKey, Scope as LimitScope};
use crate::surfaces::http::admission::{self, Answered, Entered};
use crate::surfaces::http::exchange::{self, Exchange};
use crate::surfaces::http::idempotency::{self, Kept};
use crate::surfaces::http::ranking::ranked;
use askama::Template;
use axum::body::Body;
use axum::response::Response;
use http::header::{ACCEPT, AUTHORIZATION};
use http::request::Parts;
use http::{HeaderMap, Request, StatusCode};
use posthaste_model::EmailId;
use posthaste_model::credential::Scope;
use posthaste_model::draft::{Draft, DraftMailbox};
use posthaste_model::email::Source;
use serde_json::json;

/// The surface's name in metrics.
const SURFACE: &str = "oauth";
/// What the answer says, exactly.
const STARTED: &str = "Start Queue Email";

/// The shipped message for mail without a body.
#[derive(Template)]
#[template(path = "oauth/default.txt", escape = "none")]
struct DefaultText<'a> {
    to_name: Option<&'a str>,
    from_name: Option<&'a str>,
    sender: &'a str,
    address: &'a str,
    subject: &'a str,
}

/// The same in HTML.
#[derive(Template)]
#[template(path = "oauth/default.html")]
struct DefaultHtml<'a> {
    to_name: Option<&'a str>,
    from_name: Option<&'a str>,
    sender: &'a str,
    address: &'a str,
    subject: &'a str,
}

/// The handler.
pub(in crate::surfaces) async fn send(oauth: Oauth, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let exchange = exchange::of(&parts);
    let entered = match oauth.enter(&exchange, &parts.headers).await {
        Ok(entered) => entered,
        Err(error) => return error.into_response(),
    };
    let outcome = accept(&oauth, &exchange, &entered, &parts, body).await;
    if let Err(error) = &outcome {
        oauth.metrics.refused(SURFACE, error.code());
    }
    let outcome = admission::confirm(outcome, oauth.still_good(&parts.headers)).await;
    entered.finish(outcome.unwrap_or_else(OauthError::into_response))
}

async fn accept(
    oauth: &Oauth,
    exchange: &Exchange,
    entered: &Entered,
    parts: &Parts,
    body: Body,
) -> Result<Answered, OauthError> {
    let held = oauth.bodies.read(parts, body).await?;
    let given = Given::read(&parts.headers, &held)?;
    let draft = draft(&given, oauth.default_template.as_deref())?;
    let key = idempotency::key_of(&parts.headers);
    let key = key.map_err(|error| OauthError::input("Idempotency-Key", error.to_string()))?;
    let in_json = wants_json(&parts.headers);
    let answer = move |judged: &[Judged]| match judged.first() {
        Some(Ok((email, _))) => started(email.id, in_json).to_bytes(),
        Some(Err(_)) | None => Vec::new(),
    };
    let submission = Submission {
        correlation: exchange.correlation_id().clone(),
        limits: entered.limits(),
        idempotency: key.map(|key| IdempotencyRequest {
            endpoint: "oauth/send",
            key,
            fingerprint: given.fingerprint(),
        }),
        answer: &answer,
    };
    let unreadable = || {
        let description = "the first answer cannot be read";
        OauthError::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", description)
    };
    match oauth.intake.accept(&entered.caller, draft, submission).await? {
        Accepted::New(email, _) => {
            oauth.metrics.accepted(SURFACE);
            let response = started(email.id, in_json).into_response();
            response.map(Answered::Committed).ok_or_else(unreadable)
        }
        Accepted::Replayed(kept) => Kept::replay(&kept).map(Answered::Uncommitted).ok_or_else(unreadable),
    }
}

/// The answer to an accepted email.
fn started(id: EmailId, in_json: bool) -> Kept {
    let headers =
        vec![("x-email-id".to_owned(), id.to_string()), ("location".to_owned(), format!("/emails/{id}"))];
    let (media_type, body) = if in_json {
        ("application/json", json!({"message": STARTED, "email_id": id}).to_string())
    } else {
        ("text/plain; charset=utf-8", STARTED.to_owned())
    };
    Kept::new(StatusCode::ACCEPTED, media_type, headers, body)
}

/// Whether the client names JSON, and ranks it above plain text. Everybody else gets what has always been answered, also
/// libraries that list all they could read of themselves (`application/json, text/plain, */*`).
fn wants_json(headers: &HeaderMap) -> bool {
    let (mut json, mut text, mut any) = (0, 0, 0);
    for (name, rank) in ranked(headers, ACCEPT) {
        match name.to_ascii_lowercase().as_str() {
            "application/json" => json = json.max(rank),
            "text/plain" | "text/*" => text = text.max(rank),
            "*/*" => any = any.max(rank),
            _ => {}
        }
    }
    json > text && json >= any
}

/// Reads the fields of an email; unknown ones are passed over, as the original does.
fn draft(given: &Given<'_>, default_template: Option<&str>) -> Result<Draft, OauthError> {
    let required = |name: &'static str| {
        let missing = || OauthError::input(name, format!("{name} is required"));
        given.field(name)?.filter(|text| !text.trim().is_empty()).ok_or_else(missing)
    };
    let (email, to_email, subject) = (required("email")?, required("to_email")?, required("subject")?);
    let (name, to_name) = (given.field("name")?, given.field("to_name")?);
    let mailbox = |email: &str, name: Option<&str>| DraftMailbox::Parts {
        email: email.to_owned(),
        name: name.map(str::to_owned),
    };
    let mut draft = Draft::new(Source::OAuth);
    draft.from = Some(mailbox(email, name));
    draft.to = vec![mailbox(to_email, to_name)];
    draft.subject = Some(subject.to_owned());
    draft.text = given.field("body")?.map(str::to_owned);
    draft.html = given.field("html")?.map(str::to_owned);
    draft.template_code = given.field("template_code")?.map(str::to_owned);
    draft.variables = given.object("variables")?.unwrap_or_default();
    if draft.text.is_none() && draft.html.is_none() && draft.template_code.is_none() {
        match default_template {
            Some(code) => {
                draft.template_code = Some(code.to_owned());
                // What the template may greet with; the request's own variables win.
                for (key, value) in [
                    ("email", Some(email)),
                    ("name", name),
                    ("to_email", Some(to_email)),
                    ("to_name", to_name),
                    ("subject", Some(subject)),
                ] {
                    draft.variables.entry(key).or_insert_with(|| value.unwrap_or_default().into());
                }
            }
            None => shipped(&mut draft, email, name, to_name, subject),
        }
    }
    Ok(draft)
}

/// The shipped message: greets the recipient by name and says who wrote.
fn shipped(draft: &mut Draft, address: &str, from_name: Option<&str>, to_name: Option<&str>, subject: &str) {
    let sender = from_name.unwrap_or(address);
    let text = DefaultText { to_name, from_name, sender, address, subject }.render();
    let html = DefaultHtml { to_name, from_name, sender, address, subject }.render();
    // Templates are compiled, and text always has a `Display`.
    draft.text = text.ok();
    draft.html = html.ok();
}

impl Oauth {
    /// Lets a bearer in: 401 for a token that does not work, 403 without the scope, 429 over the limit.
    async fn enter(&self, exchange: &Exchange, headers: &HeaderMap) -> Result<Entered, OauthError> {
        let token = self.bearer(headers, Freshness::CheckedByCommit).await?;
        let credential = &token.caller.credential;
        let rate = credential.rate_limit.unwrap_or(self.per_client);
        let own = (LimitKey::number(LimitScope::Credential, credential.id.as_u128()), rate);
        let address = (LimitKey::address(LimitScope::Address, exchange.client_address()), self.per_address);
        let stand = admission::admit(&self.limits, &self.metrics, [own, address], self.clock.now()).await;
        let decision = stand.map_err(|refused| OauthError::too_many(&refused))?;
        if !token.scopes.contains(&Scope::Email) {
            return Err(OauthError::scope());
        }
        Ok(Entered { caller: token.caller, decision })
    }

    /// The token in the `Authorization` header.
    pub(super) async fn bearer(
        &self,
        headers: &HeaderMap,
        freshness: Freshness,
    ) -> Result<AccessToken, OauthError> {
        let mut lines = headers.get_all(AUTHORIZATION).iter();
        let (Some(line), None) = (lines.next(), lines.next()) else { return Err(OauthError::token()) };
        let token = line.to_str().ok().and_then(|line| {
            let (scheme, token) = line.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let token = token.filter(|token| !token.is_empty()).ok_or_else(OauthError::token)?;
        Ok(self.auth.access_token(token, freshness).await?)
    }

    async fn still_good(&self, headers: &HeaderMap) -> Result<(), OauthError> {
        let line = headers.get(AUTHORIZATION).and_then(|line| line.to_str().ok());
        let token = line.and_then(|line| line.split_once(' ')).map(|(_, token)| token.trim());
        match self.auth.access_token(token.unwrap_or_default(), Freshness::Now).await {
            Ok(_) => Ok(()),
            Err(error @ TokenError::Store(_)) => Err(error.into()),
            Err(_) => Err(OauthError::token()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::surfaces::http::json;

    fn read(body: &str) -> Result<Draft, (&'static str, String)> {
        let json = json::parse(body.as_bytes()).unwrap();
        draft(&Given::Json(json), None).map_err(|error| (error.code(), format!("{error:?}")))
    }

    #[test]
    fn a_mail_without_a_body_greets_and_says_who_wrote() {
        let draft = read(r#"{"email":"a@b.example","name":"Ann <x>","to_email":"c@d.example","to_name":"Bob","subject":"S"}"#).unwrap();
        let (text, html) = (draft.text.unwrap(), draft.html.unwrap());
        assert!(text.contains("Hello Bob,") && text.contains("Ann <x> wrote to you: S"), "{text}");
        assert!(html.contains("Hello Bob,") && html.contains("Ann &#60;x&#62; wrote"), "{html}");
        assert!(!draft.templated, "what it says is literal");
        let draft = read(r#"{"email":"a@b.example","to_email":"c@d.example","subject":"{{ x }}"}"#).unwrap();
        let text = draft.text.unwrap();
        assert!(text.contains("Hello,") && text.contains("a@b.example wrote to you: {{ x }}"), "{text}");
        let draft = read(
            r#"{"email":"a@b.example","name":"","to_email":"c@d.example","to_name":"","subject":"S","body":"",
                "html":"","template_code":""}"#,
        )
        .unwrap();
        assert_eq!(
            (draft.template_code, draft.text.as_deref()),
            (None, Some(text.replace("{{ x }}", "S").as_str()))
        );
    }

    #[test]
    fn what_is_missing_or_of_another_type_is_named() {
        for (body, field) in [
            ("{}", "email"),
            (r#"{"email":"a@b.example"}"#, "to_email"),
            (r#"{"email":"a@b.example","to_email":"c@d.example"}"#, "subject"),
            (r#"{"email":1,"to_email":"c@d.example","subject":"s"}"#, "email"),
            (
                r#"{"email":"a@b.example","to_email":"c@d.example","subject":"s","variables":"x"}"#,
                "variables",
            ),
        ] {
            let (code, shown) = read(body).unwrap_err();
            assert_eq!(code, "invalid_request");
            assert!(shown.contains(&format!("Some(\"{field}\")")), "{shown}");
        }
    }

    #[test]
    fn json_is_answered_only_when_named_above_plain_text() {
        let asked = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            wants_json(&headers)
        };
        assert!(asked("application/json") && asked("text/html, application/json;q=0.9"));
        assert!(asked("Application/JSON; charset=utf-8, */*;q=0.5") && asked("application/json, */*"));
        assert!(!asked("*/*") && !asked("text/plain") && !asked("application/json;q=0"));
        assert!(!asked("application/json, text/plain, */*"), "what axios sends of itself");
        assert!(!asked("application/json;q=0.5, text/plain") && !asked("application/json;q=0.5, */*"));
    }
}
