//! What the world says of mail that went out: providers' webhooks, bounce messages, complaints. A signature is verified
//! before a byte behind it is trusted; then all of it becomes the one vocabulary of `model::news`, and the store keeps
//! and applies it in one commit.

mod mailgun;
mod reports;
mod sendgrid;
mod ses;
mod sns;
mod text;

pub use sns::{Fetch, FetchError, Fetched};

use crate::base::clock::Clock;
use crate::live::{Change, Live};
use posthaste_model::Secret;
use posthaste_model::news::{News, NewsSource};
use posthaste_store::{NewsResult, Store, StoreError, WebhookToken};
use sns::Certificates;
use std::sync::Arc;

/// News written in one commit; a SendGrid request may carry a thousand.
const STEP: usize = 100;

/// What proves the providers' news.
#[derive(Clone, Debug, Default)]
pub struct Proofs {
    /// SendGrid's public keys (base64 SPKI).
    pub sendgrid_public_keys: Vec<String>,
    /// Mailgun's signing keys.
    pub mailgun_signing_keys: Vec<Secret>,
    /// SNS topics that are believed.
    pub sns_topic_arns: Vec<String>,
    /// Those of them that must sign with SHA-256.
    pub sns_v2_topic_arns: Vec<String>,
}

/// What the desk works with.
pub struct DeskParts {
    /// Where news is kept and applied.
    pub store: Store,
    /// Tells who waits.
    pub live: Live,
    /// The time.
    pub clock: Clock,
    /// What proves the providers' news.
    pub proofs: Proofs,
    /// Fetches signing certificates and confirms subscriptions.
    pub fetch: Arc<dyn Fetch>,
}

/// Takes news in. Cheap to clone.
#[derive(Clone)]
pub struct Desk(Arc<Inner>);

struct Inner {
    parts: DeskParts,
    certificates: Certificates,
}

impl std::ops::Deref for Desk {
    type Target = DeskParts;

    fn deref(&self) -> &DeskParts {
        &self.0.parts
    }
}

/// Why news was not taken.
#[derive(Debug, thiserror::Error)]
pub enum NewsError {
    /// It is not proven to come from the provider; nothing changed.
    #[error("{0}")]
    Forged(&'static str),
    /// Our own trouble: the sender is to try again.
    #[error("{0}")]
    Unavailable(String),
}

impl From<StoreError> for NewsError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl Desk {
    /// A desk over its parts.
    pub fn new(parts: DeskParts) -> Self {
        Self(Arc::new(Inner { parts, certificates: Certificates::default() }))
    }

    fn certificates(&self) -> &Certificates {
        &self.0.certificates
    }

    /// Keeps news, applies it, and tells who waits.
    pub async fn record(&self, news: Vec<News>) -> Result<(), NewsError> {
        for step in news.chunks(STEP) {
            self.record_step(step.to_vec(), None).await?;
        }
        Ok(())
    }

    async fn record_step(
        &self,
        news: Vec<News>,
        token: Option<WebhookToken>,
    ) -> Result<NewsResult, NewsError> {
        let source = news.first().map_or("none", |one| one.source.as_str());
        let result = self.store.record_news(news, token, self.clock.now()).await?;
        if let NewsResult::Recorded(report) = &result {
            tracing::info!(
                source,
                stored = report.stored,
                repeated = report.repeated,
                unmatched = report.unmatched,
                changed = report.changed.len(),
                "news was taken in"
            );
            self.live.announce(
                report
                    .changed
                    .iter()
                    .map(|(client_id, email_id)| Change { client_id: *client_id, email_id: *email_id }),
            );
        }
        Ok(result)
    }

    /// What cannot be read is kept for a person; the provider need not send it again.
    fn unreadable(&self, source: NewsSource, raw: &[u8]) -> News {
        let raw = String::from_utf8_lossy(raw).into_owned();
        tracing::warn!(source = source.as_str(), "news cannot be read; it is kept");
        News::kept(source, text::digest(raw.as_bytes()), raw, self.clock.now())
    }
}
