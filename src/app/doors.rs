//! What the surfaces of one process stand on.

use super::App;
use crate::dispatch::Dispatch;
use crate::health::Health;
use crate::surfaces::Ground;
use crate::surfaces::http::body::{Bodies, BodySettings};
use std::sync::Arc;

/// The ground of all surfaces; `worker` is this process's own, if it delivers.
pub(super) fn ground(app: &App, health: &Health, worker: Option<Dispatch>) -> Ground {
    let limits = &app.settings.limits;
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let bodies = BodySettings {
        limit: size(limits.body_bytes),
        memory: size(limits.memory_for_bodies_bytes),
        timeout: app.settings.http.body_timeout,
        ..BodySettings::default()
    };
    Ground {
        settings: Arc::new(app.settings.clone()),
        store: app.store.clone(),
        blobs: app.blobs.clone(),
        vault: app.vault.clone(),
        auth: app.auth.clone(),
        intake: app.intake.clone(),
        admin: app.admin.clone(),
        renderer: app.renderer.clone(),
        limits: app.limits.clone(),
        live: app.live.clone(),
        bodies: Bodies::new(bodies, &app.metrics),
        health: health.clone(),
        inbox_bell: app.inbox_bell.clone(),
        worker,
        metrics: app.metrics.clone(),
        clock: app.clock.clone(),
        chance: app.chance.clone(),
        tasks: app.front.clone(),
    }
}
