//! `/admin/clients`: clients, their API keys, and the tokens of the Mail Proxy API.

use super::people::fault;
use super::visit::{Change, Visit, id_of};
use super::{Dashboard, result};
use crate::admin::{MailToken, NewClient, NewKey, NewMailToken, mail_permission};
use crate::surfaces::http::form::Fields;
use crate::surfaces::web::shell::Shell;
use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use posthaste_model::client::Client;
use posthaste_model::credential::{Credential, CredentialKind, KeyMode, Permission};
use posthaste_model::refusal::Refusal;
use posthaste_model::{CredentialId, Rate};
use posthaste_store::StoreError;

const HERE: &str = "/admin/clients";

#[derive(Template)]
#[template(path = "dashboard/clients.html")]
struct ClientsPage {
    shell: Shell,
    clients: Vec<Client>,
    keys: Vec<Row>,
    tokens: Vec<Row>,
    permissions: Vec<(&'static str, bool)>,
    mail_permissions: [&'static str; 4],
}

/// A credential of a list.
struct Row {
    id: CredentialId,
    name: String,
    client: String,
    mode: &'static str,
    permissions: String,
    limit: String,
    state: String,
    is_live: bool,
}

/// `GET /admin/clients`.
pub(super) async fn page(State(dashboard): State<Dashboard>, visit: Visit) -> Response {
    visit.shown(dashboard.clients_page(visit.shell("clients")).await)
}

/// `POST /admin/clients`.
pub(super) async fn create(State(dashboard): State<Dashboard>, change: Change) -> Response {
    let fields = change.fields();
    let department = fields.given("department").map(str::to_owned);
    let name = fields.get("name").unwrap_or_default();
    let new = NewClient { department, ..NewClient::named(name) };
    change.answer(dashboard.admin.create_client(new, &change.actor()).await, HERE)
}

/// `POST /admin/keys`.
pub(super) async fn create_key(State(dashboard): State<Dashboard>, change: Change) -> Response {
    let fields = change.fields();
    let given = |name: &str| fields.given(name).map(str::to_owned);
    let Ok(rate_limit) = given("rate_limit").map(|text| Rate::parse(&text)).transpose() else {
        return result::refused(&change.visitor, &fault("rate_limit", "a limit is such as 60/min"), HERE);
    };
    let Some(mode) = given("mode").map_or(Some(KeyMode::Live), |word| KeyMode::parse(&word)) else {
        return result::refused(&change.visitor, &fault("mode", "a mode is live or test"), HERE);
    };
    let permissions = match granted(&fields, Permission::parse) {
        Ok(permissions) => permissions,
        Err(refusal) => return result::refused(&change.visitor, &refusal, HERE),
    };
    let new = NewKey {
        name: given("name"),
        mode,
        permissions,
        domain: given("domain"),
        rate_limit,
        ..NewKey::new(given("client").unwrap_or_default())
    };
    match dashboard.admin.create_key(new, &change.actor()).await {
        Ok(made) => result::secret(&change.visitor, "The new API key", made.key.expose(), HERE),
        Err(refusal) => result::refused(&change.visitor, &refusal, HERE),
    }
}

/// `POST /admin/keys/{id}/revoke`.
pub(super) async fn revoke_key(
    State(dashboard): State<Dashboard>,
    Path(id): Path<String>,
    change: Change,
) -> Response {
    let revoked = async { dashboard.admin.revoke_key(id_of(&id)?, &change.actor()).await };
    change.answer(revoked.await, HERE)
}

/// `POST /admin/tokens`.
pub(super) async fn create_token(State(dashboard): State<Dashboard>, change: Change) -> Response {
    let fields = change.fields();
    let permissions = match granted(&fields, mail_permission) {
        Ok(permissions) => permissions,
        Err(refusal) => return result::refused(&change.visitor, &refusal, HERE),
    };
    let new = NewMailToken {
        client_name: fields.get("name").unwrap_or_default().to_owned(),
        department: None,
        permissions,
        expires_in: None,
    };
    match dashboard.admin.create_mail_token(new, &change.actor()).await {
        Ok((_, token)) => result::secret(&change.visitor, "The new token", &token, HERE),
        Err(refusal) => result::refused(&change.visitor, &refusal, HERE),
    }
}

/// `POST /admin/tokens/{id}/revoke`.
pub(super) async fn revoke_token(
    State(dashboard): State<Dashboard>,
    Path(id): Path<String>,
    change: Change,
) -> Response {
    change.answer(dashboard.admin.revoke_mail_tokens(&id, &change.actor()).await, HERE)
}

/// The permissions that a form names. Nothing is left out or added silently: a word that is none is refused, and so is a
/// form that names none.
fn granted(
    fields: &Fields<'_>,
    read: impl Fn(&str) -> Option<Permission>,
) -> Result<Vec<Permission>, Refusal> {
    let words: Vec<&str> = fields.all("permission").collect();
    if words.is_empty() {
        return Err(fault("permission", "choose at least one permission"));
    }
    let found = words.into_iter().map(|word| {
        read(word)
            .ok_or_else(|| fault("permission", &format!("there is no permission \u{201c}{word}\u{201d}")))
    });
    found.collect()
}

impl Dashboard {
    async fn clients_page(&self, shell: Shell) -> Result<ClientsPage, StoreError> {
        let clients = self.clients().await?;
        let now = self.clock.now();
        let name = |credential: &Credential| {
            let client = clients.iter().find(|client| client.id == credential.client_id);
            client.map(|client| client.name.clone()).unwrap_or_default()
        };
        let row = |credential: &Credential, permissions: Vec<&str>| Row {
            id: credential.id,
            name: credential.name.clone().unwrap_or_else(|| credential.prefix.clone()),
            client: name(credential),
            mode: credential.mode.as_str(),
            permissions: permissions.join(", "),
            limit: credential.rate_limit.map(|rate| rate.to_string()).unwrap_or_default(),
            state: match credential.revoked_at {
                Some(at) => format!("revoked {}", self.days.moment(at)),
                None if credential.is_usable(now) => "active".into(),
                None => "ended".into(),
            },
            is_live: credential.is_usable(now),
        };
        let credentials = self.store.credentials(None).await?;
        let keys = credentials.iter().rev().filter(|one| one.kind == CredentialKind::Key);
        let keys = keys.map(|one| row(one, one.permissions.iter().map(|p| p.as_str()).collect())).collect();
        let tokens = self.admin.mail_tokens().await.unwrap_or_default();
        let tokens = tokens.iter().map(|one: &MailToken| row(&one.credential, one.permissions())).collect();
        let permissions = Permission::ALL.iter().map(|one| (one.as_str(), Permission::DEFAULT.contains(one)));
        Ok(ClientsPage {
            shell,
            keys,
            tokens,
            permissions: permissions.collect(),
            mail_permissions: ["mail:send", "mail:read", "mail:cancel", "admin"],
            clients,
        })
    }
}
