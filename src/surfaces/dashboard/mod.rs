//! `/admin`: how the installation is, and what an operator may look at and change. Whoever may see it is `admin` or
//! `viewer`; only an `admin` changes anything. Every change is made by the code that the API and the command line use,
//! and stands in the audit.

mod audit;
mod clients;
mod domains;
mod email;
mod emails;
mod message;
mod overview;
mod people;
mod preview;
mod result;
mod search;
mod suppressions;
mod system;
mod templates;
mod visit;
mod webhooks;

use crate::admin::Admin;
use crate::auth::Auth;
use crate::base::clock::Clock;
use crate::dispatch::Dispatch;
use crate::eo::Days;
use crate::health::Health;
use crate::intake::Intake;
use crate::outbound::Reach;
use crate::render::Renderer;
use crate::surfaces::Ground;
use crate::surfaces::web::visitor::Visitors;
use axum::Router;
use axum::routing::{get, post};
use posthaste_model::client::Client;
use posthaste_model::{ClientId, Timestamp};
use posthaste_store::{Store, StoreError};
use std::sync::Arc;

/// What the surface works with.
pub(super) struct DashboardParts {
    visitors: Visitors,
    admin: Admin,
    auth: Auth,
    intake: Intake,
    store: Store,
    renderer: Renderer,
    health: Health,
    worker: Option<Dispatch>,
    clock: Clock,
    days: Days,
    /// Where webhooks may lie (`webhooks.allow_private`).
    webhooks_reach: Reach,
}

/// The surface.
#[derive(Clone)]
struct Dashboard(Arc<DashboardParts>);

impl std::ops::Deref for Dashboard {
    type Target = DashboardParts;

    fn deref(&self) -> &DashboardParts {
        &self.0
    }
}

/// The surface's routes.
pub(super) fn router(ground: &Ground) -> Router {
    let dashboard = Dashboard(Arc::new(DashboardParts {
        visitors: Visitors::new(ground),
        admin: ground.admin.clone(),
        auth: ground.auth.clone(),
        intake: ground.intake.clone(),
        store: ground.store.clone(),
        renderer: ground.renderer.clone(),
        health: ground.health.clone(),
        worker: ground.worker.clone(),
        clock: ground.clock.clone(),
        days: ground.eo.days.clone(),
        webhooks_reach: if ground.settings.webhooks.allow_private { Reach::Private } else { Reach::Public },
    }));
    Router::new()
        .route("/admin", get(overview::page))
        .route("/admin/emails", get(emails::page))
        .route("/admin/emails/{client}/{id}", get(email::page))
        .route("/admin/emails/{client}/{id}/html", get(message::html))
        .route("/admin/emails/{client}/{id}/parts/{index}", get(message::part))
        .route("/admin/emails/{client}/{id}/mime/{number}", get(message::mime_part))
        .route("/admin/emails/{client}/{id}/source", get(message::source))
        .route("/admin/emails/{client}/{id}/resend", post(email::resend))
        .route("/admin/emails/{client}/{id}/cancel", post(email::cancel))
        .route("/admin/clients", get(clients::page).post(clients::create))
        .route("/admin/keys", post(clients::create_key))
        .route("/admin/keys/{id}/revoke", post(clients::revoke_key))
        .route("/admin/tokens", post(clients::create_token))
        .route("/admin/tokens/{id}/revoke", post(clients::revoke_token))
        .route("/admin/templates", get(templates::list))
        .route("/admin/templates/{client}", get(templates::edit).post(templates::put))
        .route("/admin/templates/{client}/preview", post(preview::written))
        .route("/admin/templates/{client}/rendered", get(preview::kept))
        .route("/admin/templates/{client}/delete", post(templates::delete))
        .route("/admin/domains", get(domains::page).post(domains::create))
        .route("/admin/domains/{name}/keys", post(domains::create_key))
        .route("/admin/people", get(people::page))
        .route("/admin/users", post(people::create_user))
        .route("/admin/users/{id}/{what}", post(people::change_user))
        .route("/admin/eo-events", post(people::create_event))
        .route("/admin/webhooks", get(webhooks::page))
        .route("/admin/webhooks/{client}", post(webhooks::create))
        .route("/admin/webhooks/{client}/{id}/test", post(webhooks::test))
        .route("/admin/webhooks/{client}/{id}/delete", post(webhooks::delete))
        .route("/admin/webhooks/{client}/{id}/replay/{delivery}", post(webhooks::replay))
        .route("/admin/suppressions", get(suppressions::page))
        .route("/admin/suppressions/{client}", post(suppressions::add))
        .route("/admin/suppressions/{client}/remove", post(suppressions::remove))
        .route("/admin/audit", get(audit::page))
        .route("/admin/system", get(system::page))
        .with_state(dashboard)
}

impl Dashboard {
    async fn clients(&self) -> Result<Vec<Client>, StoreError> {
        self.store.clients().await
    }

    /// All clients, and the one that a page is about: the one asked for, or the first.
    async fn choice(
        &self,
        asked: Option<&str>,
    ) -> Result<(Vec<(ClientId, String, bool)>, ClientId), StoreError> {
        let clients = self.clients().await?;
        let chosen = clients.iter().find(|client| Some(client.id.to_string().as_str()) == asked);
        let chosen =
            chosen.or_else(|| clients.first()).map(|client| client.id).ok_or(StoreError::NotFound)?;
        Ok((clients.into_iter().map(|one| (one.id, one.name, one.id == chosen)).collect(), chosen))
    }

    /// A moment for people.
    fn moment(&self, at: Timestamp) -> When {
        When { machine: at.to_string(), people: self.days.moment(at) }
    }
}

/// A moment, for programs and for people.
struct When {
    machine: String,
    people: String,
}

/// The client of an address.
fn client_id(text: &str) -> Result<ClientId, StoreError> {
    text.parse().map_err(|_| StoreError::NotFound)
}
