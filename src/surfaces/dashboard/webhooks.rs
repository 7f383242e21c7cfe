//! `/admin/webhooks`: a client's webhooks, what was told to them, and what of it is told once more.

use super::visit::{Change, Visit, id_of};
use super::{Dashboard, When, result};
use crate::admin::NewWebhook;
use crate::surfaces::web::shell::Shell;
use crate::surfaces::web::visitor::escaped;
use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
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
pub(super) async fn page(State(dashboard): State<Dashboard>, visit: Visit) -> Response {
    let fields = visit.fields();
    visit.shown(dashboard.webhooks_page(visit.shell("webhooks"), fields.get("client")).await)
}

/// `POST /admin/webhooks/{client}`.
pub(super) async fn create(
    State(dashboard): State<Dashboard>,
    Path(client): Path<String>,
    change: Change,
) -> Response {
    let fields = change.fields();
    let events = fields.get("events").unwrap_or_default();
    let events = events.split([',', ' ']).filter(|word| !word.is_empty()).map(str::to_owned).collect();
    let new =
        NewWebhook { url: fields.get("url").unwrap_or_default().trim().to_owned(), events, is_active: true };
    let made = async {
        let (reach, actor) = (dashboard.webhooks_reach, change.actor());
        dashboard.admin.create_webhook(id_of(&client)?, new, reach, &actor).await
    };
    let (visitor, back) = (&change.visitor, list_of(&client));
    match made.await {
        Ok((_, secret)) => result::secret(visitor, "The webhook's secret", secret.expose(), &back),
        Err(refusal) => result::refused(visitor, &refusal, &back),
    }
}

/// `POST /admin/webhooks/{client}/{id}/test`.
pub(super) async fn test(
    State(dashboard): State<Dashboard>,
    Path((client, id)): Path<(String, String)>,
    change: Change,
) -> Response {
    let called = async {
        dashboard.admin.test_webhook(id_of(&client)?, id_of(&id)?).await?;
        dashboard.note(&change.visitor, "webhook.test", &id).await;
        Ok::<_, Refusal>(())
    };
    change.answer(called.await, &list_of(&client))
}

/// `POST /admin/webhooks/{client}/{id}/replay/{delivery}`.
pub(super) async fn replay(
    State(dashboard): State<Dashboard>,
    Path((client, id, delivery)): Path<(String, String, String)>,
    change: Change,
) -> Response {
    let replayed = async {
        let (client, id) = (id_of(&client)?, id_of(&id)?);
        dashboard.admin.replay_webhook_delivery(client, id, id_of(&delivery)?).await?;
        dashboard.note(&change.visitor, "webhook.replay", &delivery).await;
        Ok::<_, Refusal>(())
    };
    change.answer(replayed.await, &list_of(&client))
}

/// `POST /admin/webhooks/{client}/{id}/delete`.
pub(super) async fn delete(
    State(dashboard): State<Dashboard>,
    Path((client, id)): Path<(String, String)>,
    change: Change,
) -> Response {
    let deleted =
        async { dashboard.admin.delete_webhook(id_of(&client)?, id_of(&id)?, &change.actor()).await };
    change.answer(deleted.await, &list_of(&client))
}

/// Where a client's webhooks are shown.
fn list_of(client: &str) -> String {
    format!("/admin/webhooks?client={}", escaped(client))
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
}
