//! The status of an email as status calls tell it, and how it is remembered in the shared cache.
//!
//! It ends there by the cache's own clock, counted from before the store was asked: neither a slow node nor a wrong
//! clock makes an answer older than it may be.

use crate::cache::SharedCache;
use posthaste_model::{ClientId, EmailId, FailureCode, Status, Timestamp};
use posthaste_store::EmailRecord;
use redis::{Pipeline, Script};
use serde_json::{Value, json};

/// How long after the store was asked an answer may be given again; with the longest way back it is under a second.
const KEPT_MS: i64 = 600;
/// How long after a change nothing is remembered: longer than `KEPT_MS`, so that what was read before the change, and
/// comes late, is not remembered either.
const CHANGED_MS: i64 = 1_000;

/// How an email stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailStatus {
    /// Whose it is.
    pub client_id: ClientId,
    /// Which one.
    pub email_id: EmailId,
    /// Its status.
    pub status: Status,
    /// Attempts begun.
    pub attempts: u32,
    /// When it was accepted.
    pub requested_at: Timestamp,
    /// When it was first accepted by a transport.
    pub sent_at: Option<Timestamp>,
    /// When it is due (again).
    pub next_attempt_at: Option<Timestamp>,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Code and message of a final failure.
    pub failure: Option<(FailureCode, String)>,
    /// The last thing that went wrong.
    pub error: Option<String>,
}

impl EmailStatus {
    /// The status in a record of the store.
    pub fn of(record: &EmailRecord) -> Self {
        Self {
            client_id: record.email.client_id,
            email_id: record.email.id,
            status: record.status,
            attempts: record.attempts,
            requested_at: record.email.requested_at,
            sent_at: record.sent_at,
            next_attempt_at: record.next_attempt_at,
            updated_at: record.updated_at,
            failure: record.failure.clone(),
            error: record.error.clone(),
        }
    }

    /// Attempts begun after the first.
    pub fn retries(&self) -> u32 {
        self.attempts.saturating_sub(1)
    }

    fn write(&self) -> String {
        json!({
            "client": self.client_id,
            "email": self.email_id,
            "status": self.status.as_str(),
            "attempts": self.attempts,
            "requested": self.requested_at.millis(),
            "sent": self.sent_at.map(Timestamp::millis),
            "next": self.next_attempt_at.map(Timestamp::millis),
            "updated": self.updated_at.millis(),
            "failure": self.failure.as_ref().map(|(code, message)| (code.as_str(), message)),
            "error": self.error,
        })
        .to_string()
    }

    /// `None` for what another version wrote, or nobody.
    fn read(text: &str) -> Option<Self> {
        let found: Value = serde_json::from_str(text).ok()?;
        let id = |name: &str| found[name].as_str();
        let time = |name: &str| found[name].as_i64().map(Timestamp::from_millis);
        let failure = match &found["failure"] {
            Value::Null => None,
            pair => Some((FailureCode::parse(pair[0].as_str()?)?, pair[1].as_str()?.to_owned())),
        };
        Some(Self {
            client_id: id("client")?.parse().ok()?,
            email_id: id("email")?.parse().ok()?,
            status: Status::parse(found["status"].as_str()?)?,
            attempts: u32::try_from(found["attempts"].as_u64()?).ok()?,
            requested_at: time("requested")?,
            sent_at: time("sent"),
            next_attempt_at: time("next"),
            updated_at: time("updated")?,
            failure,
            error: found["error"].as_str().map(ToOwned::to_owned),
        })
    }
}

/// What the shared cache said.
pub(super) struct Asked {
    pub status: Option<EmailStatus>,
    /// What is read now may not be remembered.
    pub has_just_changed: bool,
    /// The cache's time before the store was asked, in milliseconds.
    pub at_ms: i64,
}

/// Asks the shared cache; `None` when it is away.
pub(super) async fn ask(cache: &SharedCache, id: EmailId) -> Option<Asked> {
    let mut pipeline = redis::pipe();
    pipeline.cmd("GET").arg(key(cache, id)).cmd("TIME");
    let pipeline = &pipeline;
    let (found, (seconds, micros)): (Option<String>, (i64, i64)) =
        cache.call(|mut connection| async move { pipeline.query_async(&mut connection).await }).await?;
    Some(Asked {
        has_just_changed: found.as_deref() == Some(""),
        status: found.and_then(|text| EmailStatus::read(&text)).filter(|status| status.email_id == id),
        at_ms: seconds.saturating_mul(1_000).saturating_add(micros / 1_000),
    })
}

/// Writes a status for as long as is left of its time, unless the email has just changed.
pub(super) fn remember() -> Script {
    Script::new(
        "local time = redis.call('TIME')
         local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
         local left = tonumber(ARGV[2]) - now
         if left <= 0 or left > tonumber(ARGV[3]) then return 0 end
         if redis.call('GET', KEYS[1]) == '' then return 0 end
         redis.call('SET', KEYS[1], ARGV[1], 'PX', string.format('%.0f', left))
         return 1",
    )
}

/// Has the shared cache remember what the store said after `asked_at_ms`.
pub(super) async fn put(cache: &SharedCache, remember: &Script, status: &EmailStatus, asked_at_ms: i64) {
    let mut call = remember.prepare_invoke();
    call.key(key(cache, status.email_id)).arg(status.write()).arg(asked_at_ms + KEPT_MS).arg(KEPT_MS);
    let call = &call;
    // What is not remembered is asked for again.
    let _: Option<i64> =
        cache.call(|mut connection| async move { call.invoke_async(&mut connection).await }).await;
}

/// Adds to `pipeline` that an email changed.
pub(super) fn forget(pipeline: &mut Pipeline, cache: &SharedCache, id: EmailId) {
    pipeline.cmd("SET").arg(key(cache, id)).arg("").arg("PX").arg(CHANGED_MS).ignore();
}

fn key(cache: &SharedCache, id: EmailId) -> String {
    cache.key("status", id)
}

/// A status for tests.
#[cfg(test)]
pub(super) fn sample() -> EmailStatus {
    let at = Timestamp::from_millis(1_700_000_000_000);
    EmailStatus {
        client_id: ClientId::new(at, [1; 10]),
        email_id: EmailId::new(at, [7; 10]),
        status: Status::Queued,
        attempts: 2,
        requested_at: at,
        sent_at: None,
        next_attempt_at: Some(at),
        updated_at: at,
        failure: None,
        error: Some("451 \"later\"".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_reads_back_and_anything_else_does_not() {
        let status = sample();
        assert_eq!(EmailStatus::read(&status.write()), Some(status.clone()));
        assert_eq!(status.retries(), 1);
        let failed = EmailStatus {
            status: Status::Failed,
            failure: Some((FailureCode::TransportError, "no".into())),
            next_attempt_at: None,
            error: None,
            ..status
        };
        assert_eq!(EmailStatus::read(&failed.write()), Some(failed));
        for bad in ["", "{}", "[]", "null", "{\"client\":1}"] {
            assert_eq!(EmailStatus::read(bad), None, "{bad}");
        }
    }
}
