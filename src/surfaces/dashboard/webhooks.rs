//! `/admin/webhooks`: a client's webhooks, what was told to them, and what of it is told once more.

use super::{Dashboard, When, changed, client_id, result, shell, shown};
use crate::admin::NewWebhook;
use crate::surfaces::http::form::Fields;
use crate::surfaces::web::shell::Shell;
use crate::surfaces::web::visitor::escaped;
use askama::Template;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use http::Request;
use posthaste_model::ClientId;
use posthaste_model::refusal::Refusal;
use posthaste_store::{DeliveryState, StoreError, Webhook, WebhookDelivery};

/// Deliveries shown of a webhook.
const DELIVERIES: usize = 20;

#[derive(Template)]
#[template(path = "dashboard/webhooks.html")]
struct WebhooksPage {
    shell: Shell,
    clients: Vec<(ClientId, String, bool)>,
    client: String,
    hooks: Vec<Row>,
}

struct Row {
    id: String,
    url: String,
    events: String,
    state: String,
    is_configured: bool,
    deliveries: Vec<Told>,
}

struct Told {
    id: String,
    kind: String,
    word: &'static str,
    state: &'static str,
    calls: u32,
    last: String,
    at: When,
    can_replay: bool,
}

/// `GET /admin/webhooks?client=`.
pub(super) async fn page(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    let visitor = match dashboard.enter(&parts).await {
        Ok(visitor) => visitor,
        Err(refused) => return refused,
    };
    let fields = Fields::of_query(parts.uri.query().unwrap_or_default()).unwrap_or_default();
    let page = dashboard.webhooks_page(shell(&visitor, "webhooks"), fields.get("client")).await;
    shown(&visitor, page)
}

/// `POST /admin/webhooks/{client}`.
pub(super) async fn create(
    State(dashboard): State<Dashboard>,
    Path(client): Path<String>,
    request: Request<Body>,
) -> Response {
    let (visitor, form) = match dashboard.change(request).await {
        Ok(found) => found,
        Err(refused) => return refused,
    };
    let back = format!("/admin/webhooks?client={}", escaped(&client));
    let Ok(id) = client_id(&client) else { return changed::<()>(&visitor, Err(Refusal::NotFound), &back) };
    let fields = form.fields().unwrap_or_default();
    let events = fields.get("events").unwrap_or_default();
    let events = events.split([',', ' ']).filter(|word| !word.is_empty()).map(str::to_owned).collect();
    let new =
        NewWebhook { url: fields.get("url").unwrap_or_default().trim().to_owned(), events, is_active: true };
    match dashboard.admin.create_webhook(id, new, dashboard.webhooks_reach, &visitor.actor()).await {
        Ok((_, secret)) => result::secret(&visitor, "The webhook's secret", secret.expose(), &back),
        Err(refusal) => result::refused(&visitor, &refusal, &back),
    }
}

/// `POST /admin/webhooks/{client}/{id}/test`.
pub(super) async fn test(
    State(dashboard): State<Dashboard>,
    Path((client, id)): Path<(String, String)>,
    request: Request<Body>,
) -> Response {
    let (visitor, _) = match dashboard.change(request).await {
        Ok(found) => found,
        Err(refused) => return refused,
    };
    let back = format!("/admin/webhooks?client={}", escaped(&client));
    let outcome = match (client_id(&client), id.parse()) {
        (Ok(client), Ok(id)) => dashboard.admin.test_webhook(client, id).await.map(|_| ()),
        _ => Err(Refusal::NotFound),
    };
    if outcome.is_ok() {
        dashboard.note(&visitor, "webhook.test", &id).await;
    }
    changed(&visitor, outcome, &back)
}

/// `POST /admin/webhooks/{client}/{id}/replay/{delivery}`.
pub(super) async fn replay(
    State(dashboard): State<Dashboard>,
    Path((client, id, delivery)): Path<(String, String, String)>,
    request: Request<Body>,
) -> Response {
    let (visitor, _) = match dashboard.change(request).await {
        Ok(found) => found,
        Err(refused) => return refused,
    };
    let back = format!("/admin/webhooks?client={}", escaped(&client));
    let outcome = match (client_id(&client), id.parse(), delivery.parse()) {
        (Ok(client), Ok(id), Ok(delivery)) => {
            dashboard.admin.replay_webhook_delivery(client, id, delivery).await.map(|_| ())
        }
        _ => Err(Refusal::NotFound),
    };
    if outcome.is_ok() {
        dashboard.note(&visitor, "webhook.replay", &delivery).await;
    }
    changed(&visitor, outcome, &back)
}

/// `POST /admin/webhooks/{client}/{id}/delete`.
pub(super) async fn delete(
    State(dashboard): State<Dashboard>,
    Path((client, id)): Path<(String, String)>,
    request: Request<Body>,
) -> Response {
    let (visitor, _) = match dashboard.change(request).await {
        Ok(found) => found,
        Err(refused) => return refused,
    };
    let back = format!("/admin/webhooks?client={}", escaped(&client));
    let outcome = match (client_id(&client), id.parse()) {
        (Ok(client), Ok(id)) => dashboard.admin.delete_webhook(client, id, &visitor.actor()).await,
        _ => Err(Refusal::NotFound),
    };
    changed(&visitor, outcome, &back)
}

impl Dashboard {
    async fn webhooks_page(&self, shell: Shell, asked: Option<&str>) -> Result<WebhooksPage, StoreError> {
        let (clients, chosen) = self.choice(asked).await?;
        let unavailable = |_| StoreError::Unavailable("the webhooks".into());
        let mut hooks = Vec::new();
        for hook in self.admin.webhooks(chosen).await.map_err(unavailable)? {
            let told = self.admin.webhook_deliveries(chosen, hook.id, None, DELIVERIES).await;
            let (told, _) = told.map_err(unavailable)?;
            hooks.push(self.hook(hook, &told));
        }
        Ok(WebhooksPage { shell, clients, client: chosen.to_string(), hooks })
    }

    fn hook(&self, hook: Webhook, told: &[WebhookDelivery]) -> Row {
        let state = match (&hook.disabled_reason, hook.is_active, hook.failing_since) {
            (Some(reason), ..) => format!("switched off: {reason}"),
            (None, false, _) => "switched off".into(),
            (None, true, Some(since)) => format!("failing since {}", self.days.moment(since)),
            (None, true, None) => "active".into(),
        };
        Row {
            id: hook.id.to_string(),
            url: hook.url,
            events: hook.events,
            state,
            is_configured: hook.is_configured,
            deliveries: told.iter().map(|one| self.told(one)).collect(),
        }
    }

    fn told(&self, delivery: &WebhookDelivery) -> Told {
        let (word, state) = match delivery.state {
            DeliveryState::Waiting => ("pending", "waiting"),
            DeliveryState::Delivered => ("sent", "delivered"),
            DeliveryState::Failed => ("failed", "failed"),
        };
        let last = delivery.attempts.last().map(|attempt| match (attempt.status, &attempt.fault) {
            (Some(status), _) => format!("{status} in {} ms", attempt.took_ms),
            (None, Some(fault)) => fault.clone(),
            (None, None) => String::new(),
        });
        Told {
            id: delivery.id.to_string(),
            kind: delivery.kind.clone(),
            word,
            state,
            calls: delivery.attempt_count,
            last: last.unwrap_or_default(),
            at: self.moment(delivery.created_at),
            can_replay: !matches!(delivery.state, DeliveryState::Waiting),
        }
    }

    /// All clients, and the one that a page is about.
    pub(super) async fn choice(
        &self,
        asked: Option<&str>,
    ) -> Result<(Vec<(ClientId, String, bool)>, ClientId), StoreError> {
        let clients = self.clients().await?;
        let chosen = clients.iter().find(|client| Some(client.id.to_string().as_str()) == asked);
        let chosen =
            chosen.or_else(|| clients.first()).map(|client| client.id).ok_or(StoreError::NotFound)?;
        Ok((clients.into_iter().map(|one| (one.id, one.name, one.id == chosen)).collect(), chosen))
    }
}
