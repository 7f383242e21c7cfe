//! `/account/codes`: one-time codes of an authenticator app, switched on and off. Both need the password.

use super::{Account, is_outage, outage, sentence};
use crate::auth::{SignedIn, TotpSecret};
use crate::surfaces::web;
use crate::surfaces::web::shell::Shell;
use crate::surfaces::web::visitor::{Visitor, redirect};
use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{Request, StatusCode};
use posthaste_model::Secret;

#[derive(Template)]
#[template(path = "account/codes.html")]
struct CodesPage {
    shell: Shell,
    fault: String,
    is_on: bool,
    secret: String,
    uri: String,
}

fn answer(
    visitor: &Visitor,
    who: &SignedIn,
    status: StatusCode,
    secret: &TotpSecret,
    fault: &str,
) -> Response {
    let page = CodesPage {
        shell: Shell::of(visitor, ""),
        fault: fault.to_owned(),
        is_on: who.user.sealed_totp.is_some(),
        secret: secret.to_base32(),
        uri: secret.uri(&who.user.email),
    };
    visitor.finish(web::page(status, &page))
}

/// `GET /account/codes`.
pub(super) async fn page(State(account): State<Account>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    match account.signed_in(&parts).await {
        Ok((visitor, who)) => {
            answer(&visitor, &who, StatusCode::OK, &TotpSecret::generate(&account.chance), "")
        }
        Err(refused) => refused,
    }
}

/// `POST /account/codes`.
pub(super) async fn change(State(account): State<Account>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let (visitor, who) = match account.signed_in(&parts).await {
        Ok(found) => found,
        Err(refused) => return refused,
    };
    let form = match account.visitors.form(&visitor, &parts, body).await {
        Ok(form) => form,
        Err(refused) => return refused,
    };
    let fields = form.fields().unwrap_or_default();
    let get = |name: &str| fields.get(name).unwrap_or_default().to_owned();
    let secret = TotpSecret::from_base32(&get("secret"));
    let secret = secret.unwrap_or_else(|| TotpSecret::generate(&account.chance));
    match account.knows_password(&visitor, &who, &Secret::new(get("password"))).await {
        Ok(true) => {}
        Ok(false) => {
            let fault = Shell::of(&visitor, "").say("The password is wrong.", "Kata sandi salah.");
            return answer(&visitor, &who, StatusCode::UNPROCESSABLE_ENTITY, &secret, fault);
        }
        Err(refused) => return refused,
    }
    let keep = Some(who.session.hash);
    let changed = if get("off").is_empty() {
        account.admin.set_totp(&who.user, &secret, &get("code"), keep, &visitor.actor()).await
    } else {
        account.admin.remove_totp(who.user.id, keep, &visitor.actor()).await
    };
    match changed {
        Ok(_) => visitor.finish(redirect("/account/codes")),
        Err(refusal) if is_outage(&refusal) => outage(&visitor),
        Err(refusal) => {
            let fault = sentence(&refusal, &Shell::of(&visitor, ""));
            answer(&visitor, &who, StatusCode::UNPROCESSABLE_ENTITY, &secret, &fault)
        }
    }
}
