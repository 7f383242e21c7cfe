//! `/admin/people`: who may log in, and the organizers' events.

use super::{Dashboard, changed, shell, shown};
use crate::admin::{NewEoEvent, NewUser};
use crate::surfaces::web::shell::Shell;
use askama::Template;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use http::Request;
use posthaste_model::client::Client;
use posthaste_model::draft::Field;
use posthaste_model::refusal::{Fault, FaultCode, Refusal};
use posthaste_model::user::{Role, User};
use posthaste_model::{Secret, UserId};
use posthaste_store::StoreError;

const HERE: &str = "/admin/people";

#[derive(Template)]
#[template(path = "dashboard/people.html")]
struct PeoplePage {
    shell: Shell,
    users: Vec<Row>,
    events: Vec<Event>,
    owners: Vec<String>,
    clients: Vec<Client>,
}

struct Row {
    user: User,
    is_self: bool,
}

struct Event {
    id: i64,
    name: String,
    owner: String,
    client: String,
}

/// `GET /admin/people`.
pub(super) async fn page(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    let visitor = match dashboard.enter(&parts).await {
        Ok(visitor) => visitor,
        Err(refused) => return refused,
    };
    let own = visitor.signed_in.as_ref().map(|who| who.user.id);
    let page = dashboard.people(shell(&visitor, "people"), own).await;
    shown(&visitor, page)
}

/// `POST /admin/users`.
pub(super) async fn create_user(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response {
    let (visitor, form) = match dashboard.change(request).await {
        Ok(found) => found,
        Err(refused) => return refused,
    };
    let fields = form.fields().unwrap_or_default();
    let get = |name: &str| fields.get(name).unwrap_or_default().to_owned();
    let Some(role) = Role::parse(&get("role")) else {
        return changed::<User>(&visitor, Err(no_role()), HERE);
    };
    let new = NewUser {
        email: get("email"),
        name: Some(get("name")),
        role,
        password: Secret::new(get("password")),
        is_first: false,
    };
    changed(&visitor, dashboard.admin.create_user(new, &visitor.actor()).await, HERE)
}

/// `POST /admin/users/{id}/{what}`: `revoke`, `restore`, `role`, `password` or `codes`.
pub(super) async fn change_user(
    State(dashboard): State<Dashboard>,
    Path((id, what)): Path<(String, String)>,
    request: Request<Body>,
) -> Response {
    let (visitor, form) = match dashboard.change(request).await {
        Ok(found) => found,
        Err(refused) => return refused,
    };
    let Ok(id) = id.parse::<UserId>() else { return changed::<User>(&visitor, Err(Refusal::NotFound), HERE) };
    let own = visitor.signed_in.as_ref().map(|who| who.user.id);
    if own == Some(id) && matches!(what.as_str(), "revoke" | "role") {
        let refusal = fault("user", "nobody takes the own account away: another admin can");
        return changed::<User>(&visitor, Err(refusal), HERE);
    }
    let fields = form.fields().unwrap_or_default();
    let get = |name: &str| fields.get(name).unwrap_or_default().to_owned();
    let (admin, actor) = (&dashboard.admin, visitor.actor());
    let outcome = match what.as_str() {
        "revoke" => admin.set_user_active(id, false, &actor).await,
        "restore" => admin.set_user_active(id, true, &actor).await,
        "codes" => admin.remove_totp(id, None, &actor).await,
        "password" => admin.set_password(id, Secret::new(get("password")), None, &actor).await,
        "role" => match Role::parse(&get("role")) {
            Some(role) => admin.set_role(id, role, &actor).await,
            None => Err(no_role()),
        },
        _ => Err(Refusal::NotFound),
    };
    changed(&visitor, outcome, HERE)
}

/// `POST /admin/eo-events`.
pub(super) async fn create_event(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response {
    let (visitor, form) = match dashboard.change(request).await {
        Ok(found) => found,
        Err(refused) => return refused,
    };
    let fields = form.fields().unwrap_or_default();
    let get = |name: &str| fields.get(name).unwrap_or_default().to_owned();
    let new = NewEoEvent { name: get("name"), owner: get("owner"), client: Some(get("client")) };
    changed(&visitor, dashboard.admin.create_eo_event(new, &visitor.actor()).await, HERE)
}

fn no_role() -> Refusal {
    fault("role", "a role is admin, viewer or eo")
}

/// One fault as a refusal.
pub(super) fn fault(field: &str, message: &str) -> Refusal {
    Refusal::Invalid(vec![Fault::new(Field::Other(field.to_owned()), FaultCode::InvalidValue, message)])
}

impl Dashboard {
    async fn people(&self, shell: Shell, own: Option<UserId>) -> Result<PeoplePage, StoreError> {
        let (users, clients) = (self.store.users().await?, self.clients().await?);
        let events = self.store.eo_events(None).await?.into_iter().map(|event| Event {
            id: event.id,
            owner: users
                .iter()
                .find(|user| user.id == event.owner_id)
                .map(|user| user.email.clone())
                .unwrap_or_default(),
            client: clients
                .iter()
                .find(|one| one.id == event.client_id)
                .map(|one| one.name.clone())
                .unwrap_or_default(),
            name: event.name,
        });
        let events = events.collect();
        let owners = users.iter().filter(|user| user.is_active && user.role != Role::Viewer);
        let owners = owners.map(|user| user.email.clone()).collect();
        let users = users.into_iter().map(|user| Row { is_self: own == Some(user.id), user }).collect();
        Ok(PeoplePage { shell, users, events, owners, clients })
    }
}
