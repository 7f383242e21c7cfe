//! Settings of outbound webhooks become the calls of a process.

use super::{App, Roles, StartError};
use crate::admin::DEFAULT_CLIENT;
use crate::base::tasks::Tasks;
use crate::webhooks::{self, Calls, ConfiguredWebhook, WebhookParts, WebhookRules};
use std::time::Duration;
use tokio::time::Instant;

/// How long who works off mail and ends waits for the calls about it.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks whether they are done.
const LOOK: Duration = Duration::from_millis(100);

/// Waits until what happened was told once, whatever was answered. What is to be told again is told by the next worker.
pub(super) async fn told(calls: Option<&Calls>) -> Result<(), StartError> {
    let deadline = Instant::now() + PATIENCE;
    while let Some(calls) = calls
        && Instant::now() < deadline
        && !calls.are_done().await?
    {
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// Writes down the webhook of the default client, and has a worker begin to call.
pub(super) async fn start(app: &App, roles: Roles, tasks: &Tasks) -> Result<Option<Calls>, StartError> {
    let settings = &app.settings.webhooks;
    let parts = WebhookParts {
        store: app.store.clone(),
        vault: app.vault.clone(),
        clock: app.clock.clone(),
        chance: app.chance.clone(),
        metrics: app.metrics.clone(),
        rules: WebhookRules {
            allow_private: settings.allow_private,
            timeout: settings.timeout,
            retry_schedule: settings.retry_schedule.clone(),
            give_up_after: settings.give_up_after,
            disable_after: settings.disable_after,
            keep: app.settings.retention.bodies,
        },
        faults: app.faults.clone(),
    };
    let configured = settings.default_endpoint.as_ref().map(|endpoint| {
        if endpoint.secret.is_none() {
            tracing::warn!("calls to WEBHOOK_URL are not signed: WEBHOOK_SECRET is not set");
        }
        ConfiguredWebhook { url: endpoint.url.clone(), secret: endpoint.secret.clone() }
    });
    // Only who calls may find that it is set no more; and who answers first may have made the client only now.
    if (roles.worker || (roles.api && configured.is_some()))
        && let Some(client) = app.store.client_by_name(DEFAULT_CLIENT).await?
    {
        webhooks::configure(&parts, client.id, configured).await?;
    }
    if !roles.worker {
        return Ok(None);
    }
    let calls = webhooks::start(parts, tasks).map_err(|error| StartError::Setting(error.to_string()))?;
    Ok(Some(calls))
}
