//! `/login`, `/logout`, `/account/*` and `/setup`: how people come in, and what they may change about their own account.

mod codes;
mod login;
mod password;
mod setup;

use crate::admin::Admin;
use crate::auth::{Auth, SignedIn};
use crate::base::chance::Chance;
use crate::base::clock::Clock;
use crate::limits::Limits;
use crate::surfaces::Ground;
use crate::surfaces::web::shell::Shell;
use crate::surfaces::web::visitor::{Visitor, Visitors, redirect};
use axum::Router;
use axum::response::Response;
use axum::routing::{get, post};
use http::header::RETRY_AFTER;
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use posthaste_model::draft::Field;
use posthaste_model::refusal::{Fault, Refusal};
use posthaste_model::{Rate, Secret};
use posthaste_store::{Store, StoreError};
use std::sync::Arc;

/// What the surface works with.
pub(super) struct AccountParts {
    visitors: Visitors,
    auth: Auth,
    admin: Admin,
    store: Store,
    limits: Limits,
    clock: Clock,
    chance: Chance,
    /// Wrong tries for one account (`limits.login_attempts`).
    per_account: Rate,
    /// Wrong tries from one address: four times as many, for people behind one proxy.
    per_address: Rate,
}

/// The surface.
#[derive(Clone)]
struct Account(Arc<AccountParts>);

impl std::ops::Deref for Account {
    type Target = AccountParts;

    fn deref(&self) -> &AccountParts {
        &self.0
    }
}

/// Addresses have as many tries as this many accounts.
const ACCOUNTS_OF_ADDRESS: u32 = 4;

/// The surface's routes.
pub(super) fn router(ground: &Ground) -> Router {
    let per_account = ground.settings.limits.login_attempts;
    let per_address = Rate { count: per_account.count.saturating_mul(ACCOUNTS_OF_ADDRESS), ..per_account };
    let account = Account(Arc::new(AccountParts {
        visitors: Visitors::new(ground),
        auth: ground.auth.clone(),
        admin: ground.admin.clone(),
        store: ground.store.clone(),
        limits: ground.limits.clone(),
        clock: ground.clock.clone(),
        chance: ground.chance.clone(),
        per_account,
        per_address,
    }));
    Router::new()
        .route("/login", get(login::page).post(login::log_in))
        .route("/logout", post(login::log_out))
        .route("/account/password", get(password::page).post(password::change))
        .route("/account/codes", get(codes::page).post(codes::change))
        .route("/setup", get(setup::page).post(setup::make))
        .with_state(account)
}

impl Account {
    /// Who is logged in; everybody else is led to the login.
    async fn signed_in(&self, parts: &Parts) -> Result<(Visitor, SignedIn), Response> {
        let visitor = self.visitors.enter(parts).await?;
        match visitor.signed_in.clone() {
            Some(who) => Ok((visitor, who)),
            None if visitor.wants_json() => Err(visitor.refuse(StatusCode::UNAUTHORIZED, "unauthenticated")),
            None => Err(visitor.finish(redirect(&format!("/login?next={}", parts.uri.path())))),
        }
    }
}

impl Account {
    /// Whether this is the password of whoever is logged in; a wrong one is counted.
    async fn knows_password(
        &self,
        visitor: &Visitor,
        who: &SignedIn,
        password: &Secret,
    ) -> Result<bool, Response> {
        let email = &who.user.email;
        if let Some(seconds) = self.blocked_for(visitor, email).await {
            return Err(wait(visitor, seconds));
        }
        let found = self.auth.password_login(email, password).await;
        let is_right = found.map_err(|error| login::unchecked(visitor, error))?.is_some();
        if !is_right {
            self.count_failure(visitor, email).await;
        }
        Ok(is_right)
    }
}

/// Too many wrong tries: when the next one may be made.
fn wait(visitor: &Visitor, seconds: u32) -> Response {
    let mut response = visitor.refuse(StatusCode::TOO_MANY_REQUESTS, "too_many_requests");
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    response
}

/// Whether the store did not answer, which no other input mends.
fn is_outage(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::Unavailable { .. })
}

fn outage(visitor: &Visitor) -> Response {
    visitor.unavailable(&StoreError::Unavailable("a change of an account".into()))
}

/// The faults of a refusal, for people, in the page's language.
fn sentence(refusal: &Refusal, shell: &Shell) -> String {
    match refusal {
        Refusal::Invalid(faults) => {
            let said = faults.iter().map(|fault| in_words(fault, shell));
            said.collect::<Vec<_>>().join("; ")
        }
        Refusal::Conflict(what) => what.clone(),
        other => format!("{other:?}"),
    }
}

fn in_words(fault: &Fault, shell: &Shell) -> String {
    let Field::Other(field) = &fault.field else { return fault.message.clone() };
    let indonesian = match field.as_str() {
        "email" => "Alamat email tidak valid.",
        "name" => "Nama paling panjang 100 karakter, tanpa karakter kontrol.",
        "password" => "Kata sandi terdiri dari 6 sampai 512 karakter.",
        "code" => "Kode ini salah atau sudah kedaluwarsa.",
        _ => fault.message.as_str(),
    };
    shell.say(&fault.message, indonesian).to_owned()
}
