//! How mail gets out, is told about, and is kept.

use super::Resolver;
use crate::config::settings::{
    AttachmentSettings, DeliverySettings, DnsSettings, IdempotencySettings, RetentionSettings,
    WebhookEndpoint, WebhookSettings,
};
use crate::config::value::Bytes;
use crate::outbound::Target;
use posthaste_model::Secret;
use posthaste_model::retry::RetryPolicy;
use std::time::Duration;

/// Emails on their way at once for each core. They wait for peers and for the store's next commit: at ten thousand a
/// second, and ten milliseconds for both, a hundred are on their way.
const WORKERS_PER_CORE: usize = 64;
/// How far waits vary around the schedule.
const JITTER: f64 = 0.2;
/// Below this a lease could run out while its owner is alive and well.
const MIN_LEASE: Duration = Duration::from_secs(1);

impl Resolver<'_> {
    pub(super) fn delivery(&mut self) -> DeliverySettings {
        let lease: Duration = self.value("delivery.lease");
        self.ensure(lease >= MIN_LEASE, "delivery.lease", "is too short; write 1s or more");
        DeliverySettings {
            workers: self.written("delivery.workers").unwrap_or_else(workers_by_cores),
            retry: RetryPolicy {
                max_attempts: self.value("delivery.max_attempts"),
                schedule: self.schedule("delivery.retry_schedule"),
                jitter: JITTER,
                on_uncertain: self.value("delivery.on_uncertain"),
                uncertain_delay: self.value("delivery.uncertain_delay"),
            },
            lease,
            drain: self.wait("delivery.drain"),
            breaker_failures: self.value("delivery.breaker_failures"),
            breaker_open: self.wait("delivery.breaker_open"),
        }
    }

    fn schedule(&mut self, path: &str) -> Vec<Duration> {
        let schedule: Vec<Duration> = self.value(path);
        self.ensure(!schedule.is_empty(), path, "is empty; write at least one wait, such as 30s");
        schedule
    }

    pub(super) fn attachments(&mut self) -> AttachmentSettings {
        let types: Vec<String> = self.value("attachments.allowed_types");
        for media_type in &types {
            self.ensure(
                media_type.split('/').filter(|part| !part.trim().is_empty()).count() == 2,
                "attachments.allowed_types",
                &format!("{media_type:?} is not a media type; write application/pdf"),
            );
        }
        AttachmentSettings {
            max_bytes: self.bytes("attachments.max_bytes"),
            max_total_bytes: self.bytes("attachments.max_total_bytes"),
            allowed_types: types.into_iter().map(|media_type| media_type.to_ascii_lowercase()).collect(),
            enforce_everywhere: self.value("attachments.enforce_everywhere"),
            link_above_bytes: self.size_or_off("attachments.link_above_bytes"),
        }
    }

    fn size_or_off(&mut self, path: &str) -> Option<u64> {
        let off =
            self.raw.get(path).is_none_or(|entry| entry.written.to_string().eq_ignore_ascii_case("off"));
        if off { None } else { self.written::<Bytes>(path).map(|bytes| bytes.0) }
    }

    pub(super) fn webhooks(&mut self) -> WebhookSettings {
        let secret: Option<Secret> = self.written("webhooks.secret");
        let url = self.url("webhooks.url");
        if let Some(Err(error)) = url.as_deref().map(Target::own) {
            self.fault("webhooks.url", format!("the URL {error}"));
        }
        // WEBHOOK_SECRET may stand in an old `.env` in which WEBHOOK_URL was emptied.
        let is_left_over = self.raw.origin("webhooks.secret").is_plain_variable();
        self.ensure(
            secret.is_none() || self.is_written("webhooks.url") || is_left_over,
            "webhooks.secret",
            "signs nothing without webhooks.url (WEBHOOK_URL)",
        );
        WebhookSettings {
            default_endpoint: url.map(|url| WebhookEndpoint { url, secret }),
            allow_private: self.value("webhooks.allow_private"),
            timeout: self.wait("webhooks.timeout"),
            retry_schedule: self.schedule("webhooks.retry_schedule"),
            give_up_after: self.wait("webhooks.give_up_after"),
            disable_after: self.wait("webhooks.disable_after"),
        }
    }

    pub(super) fn dns(&mut self) -> DnsSettings {
        DnsSettings {
            name_servers: self.written("dns.name_servers").unwrap_or_default(),
            check_every: self.wait("dns.check_every"),
        }
    }

    pub(super) fn idempotency(&mut self) -> IdempotencySettings {
        IdempotencySettings { keep: self.wait("idempotency.keep") }
    }

    pub(super) fn retention(&mut self) -> RetentionSettings {
        let settings = RetentionSettings {
            bodies: self.wait("retention.bodies"),
            records: self.wait("retention.records"),
        };
        self.ensure(
            settings.bodies <= settings.records,
            "retention.bodies",
            "is longer than retention.records; a body cannot outlive its record",
        );
        settings
    }
}

fn workers_by_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from) * WORKERS_PER_CORE
}
