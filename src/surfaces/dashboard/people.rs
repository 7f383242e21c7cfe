//! `/admin/people`: who may log in, and the organizers' events.

use super::Dashboard;
use super::visit::{Change, Visit, id_of};
use crate::admin::{NewEoEvent, NewUser};
use crate::surfaces::web::shell::Shell;
use crate::surfaces::web::visitor::Visitor;
use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
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
pub(super) async fn page(State(dashboard): State<Dashboard>, visit: Visit) -> Response {
    visit.shown(dashboard.people(visit.shell("people"), own(&visit.visitor)).await)
}

/// `POST /admin/users`.
pub(super) async fn create_user(State(dashboard): State<Dashboard>, change: Change) -> Response {
    let fields = change.fields();
    let get = |name: &str| fields.get(name).unwrap_or_default().to_owned();
    let Some(role) = Role::parse(&get("role")) else {
        return change.answer::<User>(Err(no_role()), HERE);
    };
    let new = NewUser {
        email: get("email"),
        name: Some(get("name")),
        role,
        password: Secret::new(get("password")),
        is_first: false,
    };
    change.answer(dashboard.admin.create_user(new, &change.actor()).await, HERE)
}

/// `POST /admin/users/{id}/{what}`: `revoke`, `restore`, `role`, `password` or `codes`.
pub(super) async fn change_user(
    State(dashboard): State<Dashboard>,
    Path((id, what)): Path<(String, String)>,
    change: Change,
) -> Response {
    change.answer(dashboard.change_user(&change, &id, &what).await, HERE)
}

/// `POST /admin/eo-events`.
pub(super) async fn create_event(State(dashboard): State<Dashboard>, change: Change) -> Response {
    let fields = change.fields();
    let get = |name: &str| fields.get(name).unwrap_or_default().to_owned();
    let new = NewEoEvent { name: get("name"), owner: get("owner"), client: Some(get("client")) };
    change.answer(dashboard.admin.create_eo_event(new, &change.actor()).await, HERE)
}

fn no_role() -> Refusal {
    fault("role", "a role is admin, viewer or eo")
}

/// One fault as a refusal.
pub(super) fn fault(field: &str, message: &str) -> Refusal {
    Refusal::Invalid(vec![Fault::new(Field::Other(field.to_owned()), FaultCode::InvalidValue, message)])
}

/// The account that a visitor is logged in with.
fn own(visitor: &Visitor) -> Option<UserId> {
    visitor.signed_in.as_ref().map(|who| who.user.id)
}

impl Dashboard {
    async fn change_user(&self, change: &Change, id: &str, what: &str) -> Result<User, Refusal> {
        let id: UserId = id_of(id)?;
        if own(&change.visitor) == Some(id) && matches!(what, "revoke" | "role") {
            return Err(fault("user", "nobody takes the own account away: another admin can"));
        }
        let fields = change.fields();
        let get = |name: &str| fields.get(name).unwrap_or_default().to_owned();
        let (admin, actor) = (&self.admin, change.actor());
        match what {
            "revoke" => admin.set_user_active(id, false, &actor).await,
            "restore" => admin.set_user_active(id, true, &actor).await,
            "codes" => admin.remove_totp(id, None, &actor).await,
            "password" => admin.set_password(id, Secret::new(get("password")), None, &actor).await,
            "role" => match Role::parse(&get("role")) {
                Some(role) => admin.set_role(id, role, &actor).await,
                None => Err(no_role()),
            },
            _ => Err(Refusal::NotFound),
        }
    }

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
