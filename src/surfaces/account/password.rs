//! `/account/password`: the change ends every other login of the account.

use super::{Account, is_outage, outage, sentence};
use crate::surfaces::web;
use crate::surfaces::web::shell::Shell;
use crate::surfaces::web::visitor::Visitor;
use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{Request, StatusCode};
use posthaste_model::Secret;

#[derive(Template)]
#[template(path = "account/password.html")]
struct PasswordPage {
    shell: Shell,
    fault: String,
    is_done: bool,
}

fn answer(visitor: &Visitor, status: StatusCode, fault: &str, is_done: bool) -> Response {
    let page = PasswordPage { shell: Shell::of(visitor, ""), fault: fault.to_owned(), is_done };
    visitor.finish(web::page(status, &page))
}

/// `GET /account/password`.
pub(super) async fn page(State(account): State<Account>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    match account.signed_in(&parts).await {
        Ok((visitor, _)) => answer(&visitor, StatusCode::OK, "", false),
        Err(refused) => refused,
    }
}

/// `POST /account/password`.
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
    let shell = Shell::of(&visitor, "");
    let unprocessable = StatusCode::UNPROCESSABLE_ENTITY;
    match account.knows_password(&visitor, &who, &Secret::new(get("current_password"))).await {
        Ok(true) => {}
        Ok(false) => {
            let fault = shell.say("The present password is wrong.", "Kata sandi saat ini salah.");
            return answer(&visitor, unprocessable, fault, false);
        }
        Err(refused) => return refused,
    }
    if fields.get("password_confirmation").is_some_and(|again| again != get("password")) {
        let fault = shell.say("The two new passwords differ.", "Kedua kata sandi baru berbeda.");
        return answer(&visitor, unprocessable, fault, false);
    }
    let password = Secret::new(get("password"));
    let keep = Some(who.session.hash);
    match account.admin.set_password(who.user.id, password, keep, &visitor.actor()).await {
        Ok(_) => answer(&visitor, StatusCode::OK, "", true),
        Err(refusal) if is_outage(&refusal) => outage(&visitor),
        Err(refusal) => answer(&visitor, unprocessable, &sentence(&refusal, &shell), false),
    }
}
