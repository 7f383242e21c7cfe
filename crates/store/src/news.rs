//! News of mail that went out: kept as it came, and applied to the email it is about, in one commit.

use crate::record::RecipientIn;
use crate::record::{damaged, mailbox};
use crate::{Store, StoreError, on_engine};
use posthaste_model::email::RecipientState;
use posthaste_model::event::NewEvent;
use posthaste_model::news::{News, NewsKind, NewsSource, status_after};
use posthaste_model::suppression::Suppression;
use posthaste_model::{ClientId, EmailId, FailureCode, Status, Timestamp};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// News names emails by a provider's id no longer than this after they were accepted.
pub(crate) const PROVIDER_ID_LIFETIME: Duration = Duration::from_secs(60 * 86_400);

/// A token that a webhook brings and that is good once, on all nodes and across restarts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookToken {
    /// The token.
    pub token: String,
    /// SHA-256 of the body it came with.
    pub body: [u8; 32],
    /// Until when it is remembered.
    pub keep_until: Timestamp,
}

/// A span of time in the past: from its begin, which belongs to it, to its end, which does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its begin.
    pub from: Timestamp,
    /// Its end.
    pub until: Timestamp,
}

/// What became of a delivery of news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewsResult {
    /// It is durable.
    Recorded(NewsReport),
    /// The same body came with the same token before.
    Repeated,
    /// The token came before with another body: nothing was stored.
    TokenUsed,
}

/// What a delivery of news changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewsReport {
    /// Heard for the first time.
    pub stored: u64,
    /// Heard before.
    pub repeated: u64,
    /// Of these stored, about no email of ours.
    pub unmatched: u64,
    /// Emails whose timeline grew.
    pub changed: Vec<(ClientId, EmailId)>,
}

/// When a source was last heard of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastHeard {
    /// The source.
    pub source: NewsSource,
    /// When its last news came.
    pub at: Timestamp,
}

/// The part of an email's head that news needs.
#[derive(Deserialize)]
pub(crate) struct NewsHead {
    to: Vec<RecipientIn>,
    pub(crate) domain: String,
}

impl NewsHead {
    /// Reads it from the `head` column.
    pub(crate) fn read(head: &[u8]) -> Result<Self, StoreError> {
        serde_json::from_slice(head).map_err(|_| damaged("head of an email"))
    }

    /// The recipient that news is about: by its address; the only one when there is but one.
    fn recipient(&self, news: &News) -> Option<usize> {
        let is_meant = |RecipientIn(_, text, _): &RecipientIn| {
            mailbox(text).is_ok_and(|to| Some(to.address.canonical()) == news.recipient.as_deref())
        };
        self.to.iter().position(is_meant).or((self.to.len() == 1).then_some(0))
    }

    fn address(&self, index: usize) -> Option<String> {
        let RecipientIn(_, text, _) = self.to.get(index)?;
        Some(mailbox(text).ok()?.address.canonical().to_owned())
    }
}

/// What news changes of an email.
pub(crate) struct Applied {
    /// Its status.
    pub status: Status,
    /// Whether the recipients' states changed.
    pub recipients: Option<Vec<RecipientState>>,
    /// The event to append.
    pub event: NewEvent,
    /// Code and message, when it now has failed or come back as a whole.
    pub failure: Option<(FailureCode, String)>,
    /// The address not to be written to again.
    pub suppression: Option<Suppression>,
    /// Nobody is to be tried any more.
    pub is_over: bool,
}

/// What is known of an email when news comes.
pub(crate) struct Known<'a> {
    pub client_id: ClientId,
    pub status: Status,
    pub is_leased: bool,
    pub requested_at: i64,
    pub head: &'a NewsHead,
    pub recipients: Vec<RecipientState>,
}

/// Applies news to an email; `None` when it says nothing.
pub(crate) fn apply(news: &News, known: Known<'_>, now: Timestamp) -> Option<Applied> {
    let kind = news.kind?;
    // Not before the email was, and not ahead of us, whatever the source's clock says.
    // The node that accepted the email may be ahead of this one, so neither bound is surely the lower.
    let at = Timestamp::from_millis(news.at.millis().min(now.millis()).max(known.requested_at));
    let index = known.head.recipient(news);
    let mut states = known.recipients;
    let detail = news.detail.clone().unwrap_or_else(|| kind.as_str().to_owned());
    let turned = index.and_then(|index| states.get_mut(index)).is_some_and(|state| {
        let Some(next) = kind.turns(state.status) else { return false };
        state.status = next;
        state.last_reply = Some(detail.clone());
        state.failure_code = news.code;
        state.updated_at = at;
        true
    });
    let status = if known.is_leased { known.status } else { status_after(known.status, &states) };
    let is_failure = matches!(status, Status::Bounced | Status::Failed) && status != known.status;
    let suppress = |reason| {
        let address = known.head.address(index?)?;
        let entry = Suppression::new(known.client_id, &address, reason, now);
        Some(Suppression { stream: news.stream.clone(), ..entry.with_evidence(news.detail.as_deref()) })
    };
    Some(Applied {
        status,
        event: NewEvent { kind: kind.event(), at, recipient: index, attempt: 0, detail: news.detail.clone() },
        failure: is_failure.then(|| (news.code.unwrap_or(FailureCode::Unknown), detail)),
        suppression: news.suppress.and_then(suppress),
        is_over: !states.iter().any(|state| state.status.is_open()),
        recipients: turned.then_some(states),
    })
}

/// Whether a domain's switch says that news changes nothing. Bounce messages come by our own door.
pub(crate) fn is_switched_off(news: &News, bounce_webhook_enabled: Option<bool>) -> bool {
    let by_webhook = !matches!(news.source, NewsSource::Smtp | NewsSource::Link);
    by_webhook && bounce_webhook_enabled == Some(false)
}

/// The word of a kind, as it is stored.
pub(crate) fn kind_word(news: &News) -> Option<&'static str> {
    news.kind.map(NewsKind::as_str)
}

impl Store {
    /// Keeps news and applies it: events, recipients' and emails' status, suppressions. News that was heard before
    /// changes nothing. With a token: only if that was never seen before.
    pub async fn record_news(
        &self,
        news: impl Into<Arc<[News]>>,
        token: Option<WebhookToken>,
        now: Timestamp,
    ) -> Result<NewsResult, StoreError> {
        on_engine!(self, engine => engine.record_news(news.into(), token, now).await)
    }

    /// When each source was last heard of.
    pub async fn last_heard(&self) -> Result<Vec<LastHeard>, StoreError> {
        on_engine!(self, engine => engine.last_heard().await)
    }

    /// Whether one of these transports took mail that was requested and sent within `span`. Of the mail requested in it
    /// only the youngest thousands are looked at, so that asking is cheap whatever the span.
    pub async fn took_mail(&self, transports: Vec<String>, span: Span) -> Result<bool, StoreError> {
        on_engine!(self, engine => engine.took_mail(transports, span).await)
    }
}
