//! `/setup`: the first admin, by the link that the first start prints. It is good until there is a user.

use super::{Account, is_outage, outage, sentence};
use crate::admin::NewUser;
use crate::surfaces::http::form::Fields;
use crate::surfaces::web;
use crate::surfaces::web::shell::Shell;
use crate::surfaces::web::visitor::{Visitor, redirect};
use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{Request, StatusCode};
use posthaste_model::Secret;
use posthaste_model::refusal::Refusal;
use posthaste_model::user::Role;

#[derive(Template)]
#[template(path = "account/setup.html")]
struct SetupPage {
    shell: Shell,
    fault: String,
    token: String,
    email: String,
    name: String,
}

/// `GET /setup?token=`.
pub(super) async fn page(State(account): State<Account>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    let visitor = match account.visitors.enter(&parts).await {
        Ok(visitor) => visitor,
        Err(refused) => return refused,
    };
    let fields = Fields::of_query(parts.uri.query().unwrap_or_default()).unwrap_or_default();
    let token = fields.get("token").unwrap_or_default();
    if let Err(refused) = account.must_be_open(&visitor, token).await {
        return refused;
    }
    let page = SetupPage {
        shell: Shell::of(&visitor, ""),
        fault: String::new(),
        token: token.to_owned(),
        email: String::new(),
        name: String::new(),
    };
    visitor.finish(web::page(StatusCode::OK, &page))
}

/// `POST /setup`.
pub(super) async fn make(State(account): State<Account>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let visitor = match account.visitors.enter(&parts).await {
        Ok(visitor) => visitor,
        Err(refused) => return refused,
    };
    let form = match account.visitors.form(&visitor, &parts, body).await {
        Ok(form) => form,
        Err(refused) => return refused,
    };
    let fields = form.fields().unwrap_or_default();
    let get = |name: &str| fields.get(name).unwrap_or_default().to_owned();
    if let Err(refused) = account.must_be_open(&visitor, &get("token")).await {
        return refused;
    }
    let new = NewUser {
        email: get("email"),
        name: Some(get("name")),
        role: Role::Admin,
        password: Secret::new(get("password")),
        is_first: true,
    };
    match account.admin.create_user(new, &visitor.actor()).await {
        Ok(user) => {
            let answered = account.visitors.sign_in(&visitor, &user, redirect("/admin")).await;
            answered.map_or_else(|error| visitor.unavailable(&error), |response| visitor.finish(response))
        }
        Err(Refusal::NotFound) => visitor.refuse(StatusCode::NOT_FOUND, "not_found"),
        Err(refusal) if is_outage(&refusal) => outage(&visitor),
        Err(refusal) => {
            let shell = Shell::of(&visitor, "");
            let page = SetupPage {
                fault: sentence(&refusal, &shell),
                shell,
                token: get("token"),
                email: get("email"),
                name: get("name"),
            };
            visitor.finish(web::page(StatusCode::UNPROCESSABLE_ENTITY, &page))
        }
    }
}

impl Account {
    /// Refuses a link that is not ours, and one that was used.
    async fn must_be_open(&self, visitor: &Visitor, token: &str) -> Result<(), Response> {
        let has_users = self.store.has_users().await.map_err(|error| visitor.unavailable(&error))?;
        if has_users || !self.auth.is_first_admin_token(token) {
            return Err(visitor.refuse(StatusCode::NOT_FOUND, "not_found"));
        }
        Ok(())
    }
}
