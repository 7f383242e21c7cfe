//! Who may see the inbox. Without a key: whoever sits at this machine, as long as the installation has no user to log
//! in; from then on an admin who is. With a key that may read emails: its client's own messages, from anywhere.
//!
//! "At this machine" needs more than a loopback address. A proxy on the same machine speaks for the whole network:
//! whatever it forwards is not local. A page of a stranger, open in a browser here, can send requests here: it must
//! not change anything (its origin is another), and must not read under a name that it points at us (DNS rebinding:
//! the `Host` is then another).

use crate::auth::{Auth, AuthError, Caller, Freshness};
use crate::surfaces::http::exchange;
use crate::surfaces::http::problem::{self, Problem};
use crate::surfaces::web::cookies::session_cookie;
use crate::surfaces::web::visitor::comes_by_itself;
use http::header::{FORWARDED, HOST, ORIGIN, VIA};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderName, Method};
use posthaste_model::ClientId;
use posthaste_model::credential::Permission;
use posthaste_model::user::Role;
use posthaste_store::Actor;
use std::net::IpAddr;

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Headers by which a proxy gives itself away.
const FORWARDING: [HeaderName; 5] = [
    FORWARDED,
    VIA,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-real-ip"),
];

/// Whose messages a request may see and delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    /// This client's; `None`: all.
    pub(super) client: Option<ClientId>,
}

/// Who was let in.
pub(super) enum Who {
    /// Whoever sits at the machine.
    AtMachine,
    /// An admin, by the id.
    Admin(String),
    /// The holder of a key.
    Key(Box<Caller>),
}

/// A request that was let in.
pub(super) struct Guest {
    /// Whose messages it may see and delete.
    pub(super) scope: Scope,
    /// Who it comes from.
    pub(super) who: Who,
}

impl Guest {
    fn of_all(who: Who) -> Self {
        Self { scope: Scope { client: None }, who }
    }

    /// Who makes a change, for the audit.
    pub(super) fn actor(&self, parts: &Parts) -> Actor {
        let (kind, id) = match &self.who {
            Who::AtMachine => ("local", None),
            Who::Admin(id) => ("user", Some(id.clone())),
            Who::Key(caller) => ("api", Some(caller.credential.id.to_string())),
        };
        let address = exchange::of(parts).client_address().to_string();
        Actor { kind: kind.to_owned(), id, address: Some(address) }
    }
}

/// Decides.
pub(super) struct Access {
    /// Knows keys, logins and the tokens of forms.
    pub(super) auth: Auth,
    public_host: Option<String>,
}

impl Access {
    pub(super) fn new(auth: Auth, public_url: Option<&str>) -> Self {
        let host = public_url.and_then(|url| url.parse::<http::Uri>().ok());
        let public_host = host.and_then(|uri| uri.host().map(str::to_ascii_lowercase));
        Self { auth, public_host }
    }

    /// What the request may see, or why nothing.
    pub(super) async fn enter(&self, parts: &Parts) -> Result<Guest, Problem> {
        let mut keys = parts.headers.get_all(X_API_KEY).iter();
        match (keys.next(), keys.next()) {
            (None, _) if self.auth.has_users().await.map_err(|error| unavailable(&error))? => {
                self.with_login(parts).await
            }
            (None, _) => self.without_key(parts),
            (Some(key), None) => self.with_key(key.to_str().unwrap_or_default().trim()).await,
            (Some(_), Some(_)) => Err(unauthorized("there must be one X-Api-Key")),
        }
    }

    /// Once people can log in, an admin must have: this machine is no longer one person's.
    async fn with_login(&self, parts: &Parts) -> Result<Guest, Problem> {
        let session = match session_cookie(&parts.headers) {
            Some(token) => {
                let found = if comes_by_itself(&parts.headers) {
                    self.auth.unused_session(&token).await
                } else {
                    self.auth.session(&token).await
                };
                found.map_err(|error| unavailable(&error))?
            }
            None => None,
        };
        let Some(who) = session else {
            return Err(unauthorized(
                "log in as an admin at /login, or give an API key (X-Api-Key, permission emails:read)",
            ));
        };
        if who.user.role != Role::Admin {
            return Err(Problem::new(problem::FORBIDDEN, "the inbox is open to admins"));
        }
        if !matches!(parts.method, Method::GET | Method::HEAD) && !is_same_origin(parts) {
            return Err(Problem::new(problem::FORBIDDEN, "another site's page may not change the inbox"));
        }
        Ok(Guest::of_all(Who::Admin(who.user.id.to_string())))
    }

    async fn with_key(&self, key: &str) -> Result<Guest, Problem> {
        let caller = self.auth.api_key(key, Freshness::Now).await.map_err(|error| match error {
            AuthError::Invalid => unauthorized("give a valid API key in X-Api-Key"),
            AuthError::Store(error) => unavailable(&error),
        })?;
        if !caller.credential.permits(Permission::EmailsRead) {
            let detail = format!("the key needs the permission {}", Permission::EmailsRead.as_str());
            return Err(Problem::new(problem::FORBIDDEN, detail));
        }
        Ok(Guest { scope: Scope { client: Some(caller.client.id) }, who: Who::Key(Box::new(caller)) })
    }

    /// The caller that speaks for a client whose messages the guest may see: the key's own, or a person.
    pub(super) async fn speaker(&self, who: &Who, client: ClientId) -> Result<Caller, Problem> {
        let found = match who {
            Who::Key(caller) => return Ok(Caller::clone(caller)),
            Who::AtMachine | Who::Admin(_) => self.auth.on_behalf_of(client).await,
        };
        found.map_err(|error| match error {
            AuthError::Invalid => Problem::new(problem::CONFLICT, "the message's client is switched off"),
            AuthError::Store(error) => unavailable(&error),
        })
    }

    fn without_key(&self, parts: &Parts) -> Result<Guest, Problem> {
        let exchange = exchange::of(parts);
        let is_local = is_loopback(exchange.peer().ip())
            && is_loopback(exchange.client_address())
            && !FORWARDING.iter().any(|name| parts.headers.contains_key(name));
        if !is_local {
            let detail = "without an API key (X-Api-Key, permission emails:read) the inbox is open only from the \
                          machine that it runs on";
            return Err(unauthorized(detail));
        }
        if !host(parts).is_some_and(|host| self.is_our_name(&host)) {
            let detail = "the inbox is not called by this name: use 127.0.0.1, localhost or the host of http.public_url";
            return Err(Problem::new(problem::FORBIDDEN, detail));
        }
        if !matches!(parts.method, Method::GET | Method::HEAD) && !is_same_origin(parts) {
            let detail = "another site's page may not change the inbox";
            return Err(Problem::new(problem::FORBIDDEN, detail));
        }
        Ok(Guest::of_all(Who::AtMachine))
    }

    fn is_our_name(&self, host: &Authority) -> bool {
        let name = host.host().to_ascii_lowercase();
        let name = name.trim_end_matches('.');
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        name == "localhost"
            || name.ends_with(".localhost")
            || bare.parse().is_ok_and(is_loopback)
            || self.public_host.as_deref() == Some(name)
    }
}

/// The store's failure as an answer.
pub(super) fn unavailable(error: &posthaste_store::StoreError) -> Problem {
    tracing::warn!(%error, "the inbox could not be read or changed");
    Problem::new(problem::STORE_UNAVAILABLE, "the store did not answer; try again").with_retry_after(2)
}

fn unauthorized(detail: &str) -> Problem {
    Problem::new(problem::UNAUTHORIZED, detail)
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// The name under which the request called us: `:authority` (RFC 9113, section 8.3.1) or `Host`.
fn host(parts: &Parts) -> Option<Authority> {
    if let Some(authority) = parts.uri.authority() {
        return Some(authority.clone());
    }
    parts.headers.get(HOST)?.to_str().ok()?.parse().ok()
}

/// Whether the request comes from one of our own pages, or from no page at all. Browsers say so by `Sec-Fetch-Site`;
/// where they do not (plain HTTP under a name), each sends `Origin` with what is not GET.
fn is_same_origin(parts: &Parts) -> bool {
    if let Some(site) = parts.headers.get(SEC_FETCH_SITE) {
        return site == "same-origin" || site == "none";
    }
    let Some(origin) = parts.headers.get(ORIGIN) else { return true };
    let origin = origin.to_str().ok().and_then(|text| text.split_once("://"));
    let origin = origin.and_then(|(_, authority)| authority.parse::<Authority>().ok());
    origin.is_some() && origin == host(parts)
}
