//! News of mail that went out.

use super::Postgres;
use super::append::storable;
use super::columns::{at, first_id};
use super::rows::{id_at, time_at, uuid_of};
use super::session::{Session, Value};
use super::state::{Changes, STATE_COLUMNS, State};
use super::suppressions::suppress_by_news;
use super::trouble::Trouble;
use crate::StoreError;
use crate::news::{
    Known, LastHeard, NewsHead, NewsReport, NewsResult, PROVIDER_ID_LIFETIME, Span, WebhookToken, apply,
    is_switched_off, kind_word,
};
use crate::record::{states_json, states_of};
use posthaste_model::news::{News, NewsSource};
use posthaste_model::suppression::address_key;
use posthaste_model::{ClientId, EmailId, Status, Timestamp};
use std::sync::Arc;
use uuid::Uuid;

impl Postgres {
    pub(crate) async fn record_news(
        &self,
        news: Arc<[News]>,
        token: Option<WebhookToken>,
        now: Timestamp,
    ) -> Result<NewsResult, StoreError> {
        let (news, token) = (&news, &token);
        self.write(news.len().max(1), |db| async move {
            if let Some(token) = token
                && let Some(refused) = use_token(&db, token).await?
            {
                return Ok(refused);
            }
            let mut report = NewsReport::default();
            for one in news.iter() {
                record(&db, one, now, &mut report).await?;
            }
            Ok(NewsResult::Recorded(report))
        })
        .await
    }

    pub(crate) async fn last_heard(&self) -> Result<Vec<LastHeard>, StoreError> {
        self.read(|db| async move {
            let mut found = Vec::new();
            for source in NewsSource::ALL {
                let sql = "SELECT max(received_at) FROM news WHERE source = $1";
                let heard = time_at(&db.one(sql, &[&source.as_str()]).await?, 0)?;
                found.extend(heard.map(|at| LastHeard { source: *source, at }));
            }
            Ok(found)
        })
        .await
    }
}

/// Emails of each client that are looked at for what a transport took.
const LOOKED_AT: i64 = 1_000;

impl Postgres {
    pub(crate) async fn took_mail(&self, transports: Vec<String>, span: Span) -> Result<bool, StoreError> {
        let (transports, span) = (&transports, &span);
        self.read(|db| async move {
            let sql = "SELECT EXISTS (SELECT 1 FROM clients c CROSS JOIN LATERAL (
                    SELECT provider, sent_at FROM emails
                    WHERE client_id = c.id AND id >= $1 AND id < $2 ORDER BY id DESC LIMIT $3
                ) e WHERE e.provider = ANY($4) AND e.sent_at >= $5 AND e.sent_at < $6)";
            let [from, until] = [span.from.millis(), span.until.millis()];
            let of: [Value<'_>; 6] =
                [&first_id(from), &first_id(until), &LOOKED_AT, transports, &from, &until];
            at(&db.one(sql, &of).await?, 0)
        })
        .await
    }
}

/// Takes a token; `Some` when it was taken before. Of two that take it at once the second waits for the first's end.
async fn use_token(db: &Session, token: &WebhookToken) -> Result<Option<NewsResult>, Trouble> {
    let sql =
        "INSERT INTO webhook_tokens (token, body, keep_until) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    let body = token.body.as_slice();
    if db.run(sql, &[&token.token, &body, &token.keep_until.millis()]).await? > 0 {
        return Ok(None);
    }
    let row = db.one("SELECT body FROM webhook_tokens WHERE token = $1", &[&token.token]).await?;
    let known: &[u8] = at(&row, 0)?;
    Ok(Some(if known == body { NewsResult::Repeated } else { NewsResult::TokenUsed }))
}

async fn record(db: &Session, news: &News, now: Timestamp, report: &mut NewsReport) -> Result<(), Trouble> {
    let key = news.recipient.as_deref().map(address_key);
    let added = db
        .maybe(
            "INSERT INTO news (source, key, received_at, at, kind, address_key, raw)
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (source, key) DO NOTHING RETURNING n",
            &[
                &news.source.as_str(),
                &&*storable(&news.key),
                &now.millis(),
                &news.at.millis(),
                &kind_word(news),
                &key.as_ref().map(<[u8; 32]>::as_slice),
                &&*storable(&news.raw),
            ],
        )
        .await?;
    let Some(row) = added else {
        report.repeated += 1;
        return Ok(());
    };
    let n: i64 = at(&row, 0)?;
    report.stored += 1;
    let Some((client, id)) = meant(db, news, now).await? else {
        report.unmatched += 1;
        return Ok(());
    };
    db.run("UPDATE news SET client_id = $2, email_id = $3 WHERE n = $1", &[&n, &client, &id]).await?;
    if change(db, (client, id), news, now).await? {
        let ids = (ClientId::from_bytes(client.into_bytes()), EmailId::from_bytes(id.into_bytes()));
        report.changed.push(ids);
    }
    Ok(())
}

/// The email that is meant: by our own id, else by the provider's.
async fn meant(db: &Session, news: &News, now: Timestamp) -> Result<Option<(Uuid, Uuid)>, Trouble> {
    if let Some(id) = news.email_id {
        let id = uuid_of!(id);
        let sql = "SELECT e.client_id FROM emails e
            WHERE e.id = $1 AND e.client_id = ANY(ARRAY(SELECT c.id FROM clients c))";
        if let Some(row) = db.maybe(sql, &[&id]).await? {
            return Ok(Some((at(&row, 0)?, id)));
        }
    }
    // PostgreSQL cannot be asked for a text with NUL, and no id that was kept has one.
    let ids: Vec<&str> =
        news.provider_ids.iter().map(String::as_str).filter(|id| !id.contains('\0')).collect();
    if ids.is_empty() {
        return Ok(None);
    }
    let oldest = first_id(now.minus(PROVIDER_ID_LIFETIME).millis());
    let sql = "SELECT client_id, id FROM emails WHERE provider_message_id = ANY($1) AND id > $2
        ORDER BY id DESC LIMIT 1";
    let row = db.maybe(sql, &[&ids, &oldest]).await?;
    row.map(|row| Ok((at(&row, 0)?, at(&row, 1)?))).transpose()
}

/// Applies news to the email; whether anything changed.
async fn change(
    db: &Session,
    (client, id): (Uuid, Uuid),
    news: &News,
    now: Timestamp,
) -> Result<bool, Trouble> {
    // Whoever changes an unfinished email locks its row in the queue first.
    let queued = "SELECT 1 FROM queue WHERE email_id = $1 AND client_id = $2 FOR UPDATE";
    db.maybe(queued, &[&id, &client]).await?;
    let columns = STATE_COLUMNS.replace("q.fence", "coalesce(q.fence, e.fence)");
    let sql = format!(
        "SELECT {columns}, h.head FROM emails e
         JOIN heads h ON h.client_id = e.client_id AND h.id = e.id
         LEFT JOIN queue q ON q.email_id = e.id AND q.client_id = e.client_id
         WHERE e.client_id = $1 AND e.id = $2 AND h.client_id = $1 AND h.id = $2 FOR UPDATE OF e"
    );
    let Some(row) = db.maybe(&sql, &[&client, &id]).await? else { return Ok(false) };
    let mut state = State::at(&row, 0)?;
    let head = NewsHead::read(at(&row, 20)?)?;
    let sql = "SELECT bounce_webhook_enabled FROM domains WHERE name = $1";
    let switch = db.maybe(sql, &[&head.domain]).await?.map(|row| at::<bool>(&row, 0)).transpose()?;
    if is_switched_off(news, switch) {
        return Ok(false);
    }
    let count = i64::from(state.recipient_count);
    let known = Known {
        client_id: id_at!(row, 0, ClientId),
        status: state.status,
        is_leased: state.lease_owner.is_some(),
        requested_at: state.requested_at,
        head: &head,
        recipients: states_of(state.recipients.as_deref(), count, state.requested_at)?,
    };
    let Some(applied) = apply(news, known, now) else { return Ok(false) };
    let before = state.status;
    let mut changes = Changes::default();
    changes.append(&mut state, &applied.event);
    state.status = applied.status;
    state.updated_at = now.millis();
    if let Some(recipients) = &applied.recipients {
        state.recipients = Some(storable(&states_json(recipients)?).into_owned());
    }
    if applied.failure.is_some() {
        state.fail(applied.failure.as_ref());
    }
    if applied.is_over && state.lease_owner.is_none() {
        // Who has it need not be tried again. A lease ends by its holder's word.
        state.due_at = None;
    }
    let is_sent =
        matches!(applied.status, Status::Sent | Status::Delivered | Status::Bounced | Status::Complained);
    if is_sent {
        state.sent_at = state.sent_at.or(Some(now.millis()));
    }
    changes.push(state, before);
    changes.save(db).await?;
    if let Some(entry) = &applied.suppression {
        suppress_by_news(db, entry).await?;
    }
    Ok(true)
}
