//! What the surfaces of one process stand on.

use super::App;
use crate::dispatch::Dispatch;
use crate::eo::{Days, Eo, EoParts};
use crate::health::Health;
use crate::surfaces::http::body::{Bodies, BodySettings};
use crate::surfaces::{Ground, report_answer};
use posthaste_model::user::Language;
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
        eo: eo(app),
        renderer: app.renderer.clone(),
        limits: app.limits.clone(),
        live: app.live.clone(),
        news: app.news.clone(),
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

/// Organizers' reports over the parts of this process.
pub(super) fn eo(app: &App) -> Eo {
    let (settings, mail) = (&app.settings.eo, &app.settings.mail);
    Eo::new(EoParts {
        store: app.store.clone(),
        intake: app.intake.clone(),
        auth: app.auth.clone(),
        clock: app.clock.clone(),
        chance: app.chance.clone(),
        from_address: mail.from_address.as_ref().map(|address| address.as_str().to_owned()),
        from_name: mail.from_name.clone(),
        days: Days::of(&settings.time_zone),
        language: Language::parse(&settings.locale).unwrap_or(Language::Id),
        attention_after: settings.attention_after,
        public_url: app.settings.http.public_url.as_deref().map(|url| url.trim_end_matches('/').to_owned()),
        answer: report_answer,
    })
}
