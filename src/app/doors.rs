//! The surfaces of one process, built on its parts.

use super::{App, Roles};
use crate::dispatch::Dispatch;
use crate::health::Health;
use crate::surfaces::emails_api::{EmailsApi, EmailsApiParts};
use crate::surfaces::files::Files;
use crate::surfaces::http::body::{Bodies, BodySettings};
use crate::surfaces::inbox::{Inbox, InboxParts};
use crate::surfaces::ops::Ops;
use crate::surfaces::{ApiDoors, Doors};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Event streams that may be open at once in one process.
const STREAMS: usize = 1000;

/// The doors that `roles` open.
pub(super) fn build(app: &App, roles: Roles, health: &Health, worker: Option<Dispatch>) -> Doors {
    let ops = Ops {
        health: health.clone(),
        metrics: app.metrics.clone(),
        store: app.store.clone(),
        clock: app.clock.clone(),
    };
    Doors { ops, api: roles.api.then(|| api(app, worker)) }
}

fn api(app: &App, worker: Option<Dispatch>) -> ApiDoors {
    let tasks = &app.front;
    let limits = &app.settings.limits;
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let bodies = BodySettings {
        limit: size(limits.body_bytes),
        memory: size(limits.memory_for_bodies_bytes),
        timeout: app.settings.http.body_timeout,
        ..BodySettings::default()
    };
    let emails = EmailsApi::new(EmailsApiParts {
        intake: app.intake.clone(),
        auth: app.auth.clone(),
        admin: app.admin.clone(),
        store: app.store.clone(),
        renderer: app.renderer.clone(),
        limits: app.limits.clone(),
        live: app.live.clone(),
        bodies: Bodies::new(bodies, &app.metrics),
        clock: app.clock.clone(),
        metrics: app.metrics.clone(),
        tasks: tasks.clone(),
        worker,
        streams: Arc::new(Semaphore::new(STREAMS)),
        per_key: limits.per_key,
        per_address: limits.per_ip,
    });
    let files = Files {
        store: app.store.clone(),
        blobs: app.blobs.clone(),
        vault: app.vault.clone(),
        clock: app.clock.clone(),
        limits: app.limits.clone(),
        per_address: limits.per_ip,
    };
    let inbox = Inbox::new(InboxParts {
        store: app.store.clone(),
        blobs: app.blobs.clone(),
        bell: app.inbox_bell.clone(),
        auth: app.auth.clone(),
        public_url: app.settings.http.public_url.clone(),
        stopping: tasks.child_token(),
    });
    ApiDoors { emails, files, inbox }
}
