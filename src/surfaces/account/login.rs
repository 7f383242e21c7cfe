//! `/login` and `/logout`. Wrong tries are counted for the account and for the address; first they are answered slowly,
//! then not at all. An unknown account is told by nothing, not even by the time that the answer takes.

use super::Account;
use crate::auth::TokenError;
use crate::limits::{LimitKey, Scope};
use crate::surfaces::web::shell::{Shell, home_of};
use crate::surfaces::web::visitor::{Visitor, redirect};
use crate::surfaces::web::{self};
use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderValue, Request, StatusCode};
use posthaste_model::Secret;
use posthaste_model::user::User;
use posthaste_store::StoreError;
use std::time::Duration;

/// How much longer each wrong try takes than the one before it.
const SLOWER: Duration = Duration::from_millis(150);
/// Longer paths to go on to are not taken.
const NEXT_CHARS: usize = 300;

#[derive(Template)]
#[template(path = "account/login.html")]
struct LoginPage {
    shell: Shell,
    email: String,
    next: String,
    fault: String,
}

impl LoginPage {
    fn answer(visitor: &Visitor, status: StatusCode, email: &str, next: &str, fault: &str) -> Response {
        let page = Self {
            shell: Shell::of(visitor, ""),
            email: email.to_owned(),
            next: next.to_owned(),
            fault: fault.to_owned(),
        };
        visitor.finish(web::page(status, &page))
    }
}

/// `GET /login`.
pub(super) async fn page(State(account): State<Account>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    let visitor = match account.visitors.enter(&parts).await {
        Ok(visitor) => visitor,
        Err(refused) => return refused,
    };
    if visitor.signed_in.is_some() {
        return visitor.finish(redirect(home_of(visitor.role())));
    }
    let query = parts.uri.query().unwrap_or_default();
    let fields = crate::surfaces::http::form::Fields::of_query(query).unwrap_or_default();
    let next = fields.get("next").filter(|next| is_own_path(next)).unwrap_or_default();
    let has_users = account.auth.has_users().await.unwrap_or(true);
    let fault = if has_users {
        ""
    } else {
        Shell::of(&visitor, "").say(
            "Nobody can log in yet. Open the link that the server printed at its start to make the first admin.",
            "Belum ada pengguna. Buka tautan yang dicetak server saat dimulai untuk membuat admin pertama.",
        )
    };
    LoginPage::answer(&visitor, StatusCode::OK, "", next, fault)
}

/// `POST /login`.
pub(super) async fn log_in(State(account): State<Account>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let visitor = match account.visitors.enter(&parts).await {
        Ok(visitor) => visitor,
        Err(refused) => return refused,
    };
    let form = match account.visitors.form(&visitor, &parts, body).await {
        Ok(form) => form,
        Err(refused) => return refused,
    };
    let Some(fields) = form.fields() else {
        return visitor.refuse(StatusCode::UNPROCESSABLE_ENTITY, "invalid_form");
    };
    let get = |name: &str| fields.get(name).unwrap_or_default().to_owned();
    let (email, next) = (get("email").trim().to_lowercase(), get("next"));
    if let Some(seconds) = account.blocked_for(&visitor, &email).await {
        return too_many(&visitor, &email, &next, seconds);
    }
    let tried = account.try_login(&email, Secret::new(get("password")), &get("code")).await;
    let user = match tried {
        Ok(Some(user)) => user,
        Ok(None) => {
            account.count_failure(&visitor, &email).await;
            let fault = Shell::of(&visitor, "").say(
                "The address, the password or the code is wrong.",
                "Alamat, kata sandi, atau kode salah.",
            );
            if visitor.wants_json() {
                return visitor.refuse(StatusCode::UNPROCESSABLE_ENTITY, "invalid_credentials");
            }
            return LoginPage::answer(&visitor, StatusCode::UNPROCESSABLE_ENTITY, &email, &next, fault);
        }
        Err(error) => return unchecked(&visitor, error),
    };
    // Tries at the same moment each found none before them: what was counted meanwhile binds them too.
    if let Some(seconds) = account.blocked_for(&visitor, &email).await {
        return too_many(&visitor, &email, &next, seconds);
    }
    account.limits.forget(LimitKey::text(Scope::LoginAccount, &email)).await;
    tracing::info!(user.id = %user.id, "a user logged in");
    let next = if is_own_path(&next) { next.as_str() } else { home_of(Some(user.role)) };
    let answered = account.visitors.sign_in(&visitor, &user, redirect(next)).await;
    answered.map_or_else(|error| visitor.unavailable(&error), |response| visitor.finish(response))
}

/// `POST /logout`.
pub(super) async fn log_out(State(account): State<Account>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let (visitor, _) = match account.signed_in(&parts).await {
        Ok(found) => found,
        Err(refused) => return refused,
    };
    if let Err(refused) = account.visitors.form(&visitor, &parts, body).await {
        return refused;
    }
    let answered = account.visitors.sign_out(&visitor, redirect("/login")).await;
    answered.map_or_else(|error| visitor.unavailable(&error), |response| visitor.finish(response))
}

/// A password that could not be checked: nobody's fault who typed it, and no wrong try.
pub(super) fn unchecked(visitor: &Visitor, error: TokenError) -> Response {
    visitor.unavailable(&match error {
        TokenError::Store(error) => error,
        _ => StoreError::Unavailable("a password could not be checked".into()),
    })
}

fn too_many(visitor: &Visitor, email: &str, next: &str, seconds: u32) -> Response {
    let mut response = if visitor.wants_json() {
        visitor.refuse(StatusCode::TOO_MANY_REQUESTS, "too_many_requests")
    } else {
        let fault = Shell::of(visitor, "").say(
            "There were too many wrong tries. Wait some minutes and try again.",
            "Terlalu banyak percobaan yang salah. Tunggu beberapa menit lalu coba lagi.",
        );
        LoginPage::answer(visitor, StatusCode::TOO_MANY_REQUESTS, email, next, fault)
    };
    response.headers_mut().insert(http::header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    response
}

impl Account {
    /// The user, when address, password and code are right.
    async fn try_login(&self, email: &str, password: Secret, code: &str) -> Result<Option<User>, TokenError> {
        let Some(user) = self.auth.password_login(email, &password).await? else { return Ok(None) };
        Ok(self.auth.one_time_code(&user, code).await?.then_some(user))
    }

    /// For how many seconds nobody is let in: this account, or from this address.
    pub(super) async fn blocked_for(&self, visitor: &Visitor, email: &str) -> Option<u32> {
        let now = self.clock.now();
        let address = LimitKey::address(Scope::LoginAddress, visitor.exchange.client_address());
        let account = LimitKey::text(Scope::LoginAccount, email);
        let of_address = self.limits.is_blocked(address, self.per_address, now).await;
        let of_account = self.limits.is_blocked(account, self.per_account, now).await;
        let waits = of_address.into_iter().chain(of_account).map(|decision| decision.retry_after_s);
        waits.max()
    }

    /// Counts a wrong try, and makes whoever tries wait: longer each time.
    pub(super) async fn count_failure(&self, visitor: &Visitor, email: &str) {
        let now = self.clock.now();
        let address = LimitKey::address(Scope::LoginAddress, visitor.exchange.client_address());
        let account = LimitKey::text(Scope::LoginAccount, email);
        self.limits.record_failure(address, self.per_address, now).await;
        self.limits.record_failure(account, self.per_account, now).await;
        let left = self.limits.peek(account, self.per_account, now).await.remaining;
        let wrong = self.per_account.count.saturating_sub(left);
        tokio::time::sleep(SLOWER.saturating_mul(wrong.min(8))).await;
    }
}

/// A path of this installation: no way out to another site.
fn is_own_path(path: &str) -> bool {
    path.starts_with('/')
        && !path.starts_with("//")
        && path.len() <= NEXT_CHARS
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_paths_are_gone_on_to() {
        assert!(is_own_path("/eo/email-reports?event_id=1"));
        for bad in [
            "",
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "/a b",
            "/a\r\nx",
            "javascript:1",
        ] {
            assert!(!is_own_path(bad), "{bad}");
        }
    }
}
