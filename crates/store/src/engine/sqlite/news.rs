//! News of mail that went out.

use super::Sqlite;
use super::rows::{State, state_by_id, state_by_number};
use super::trouble::Trouble;
use super::tx::Tx;
use crate::StoreError;
use crate::news::{
    Applied, Known, LastHeard, NewsHead, NewsReport, NewsResult, PROVIDER_ID_LIFETIME, Span, WebhookToken,
    apply, is_switched_off, kind_word,
};
use crate::record::{damaged, failure_code, states_json, states_of, status_code};
use posthaste_model::news::{News, NewsSource};
use posthaste_model::suppression::address_key;
use posthaste_model::{ClientId, EmailId, Timestamp};
use rusqlite::{OptionalExtension, params};
use std::sync::Arc;

impl Sqlite {
    pub(crate) async fn record_news(
        &self,
        news: Arc<[News]>,
        token: Option<WebhookToken>,
        now: Timestamp,
    ) -> Result<NewsResult, StoreError> {
        self.write_alone(move |tx| {
            if let Some(token) = &token
                && let Some(refused) = use_token(tx, token)?
            {
                return Ok(refused);
            }
            let mut report = NewsReport::default();
            for one in news.iter() {
                record(tx, one, now, &mut report)?;
            }
            Ok(NewsResult::Recorded(report))
        })
        .await
    }

    pub(crate) async fn last_heard(&self) -> Result<Vec<LastHeard>, StoreError> {
        self.readers
            .read(|connection| {
                let mut statement =
                    connection.prepare_cached("SELECT max(received_at) FROM news WHERE source = ?1")?;
                let mut found = Vec::new();
                for source in NewsSource::ALL {
                    let at: Option<i64> = statement.query_row([source.as_str()], |row| row.get(0))?;
                    found.extend(at.map(|at| LastHeard { source: *source, at: Timestamp::from_millis(at) }));
                }
                Ok(found)
            })
            .await
    }
}

/// Emails that are looked at for what a transport took.
const LOOKED_AT: u32 = 10_000;

impl Sqlite {
    pub(crate) async fn took_mail(&self, transports: Vec<String>, span: Span) -> Result<bool, StoreError> {
        self.readers
            .read(move |connection| {
                // An id's time is that of the request.
                let [first, last] = [span.from, span.until].map(|at| EmailId::new(at, [0; 10]));
                let mut statement = connection.prepare_cached(
                    "SELECT provider FROM (
                        SELECT provider, sent_at FROM emails WHERE id >= ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3
                     ) WHERE provider IS NOT NULL AND sent_at >= ?4 AND sent_at < ?5",
                )?;
                let mut rows = statement.query(params![
                    first.as_bytes(),
                    last.as_bytes(),
                    LOOKED_AT,
                    span.from.millis(),
                    span.until.millis()
                ])?;
                while let Some(row) = rows.next()? {
                    let provider: String = row.get(0)?;
                    if transports.contains(&provider) {
                        return Ok(true);
                    }
                }
                Ok(false)
            })
            .await
    }
}

/// Takes a token; `Some` when it was taken before.
fn use_token(tx: &Tx<'_>, token: &WebhookToken) -> Result<Option<NewsResult>, Trouble> {
    let known: Option<[u8; 32]> = tx
        .connection
        .prepare_cached("SELECT body FROM webhook_tokens WHERE token = ?1")?
        .query_row([&token.token], |row| row.get(0))
        .optional()?;
    if let Some(body) = known {
        return Ok(Some(if body == token.body { NewsResult::Repeated } else { NewsResult::TokenUsed }));
    }
    tx.connection
        .prepare_cached("INSERT INTO webhook_tokens (token, body, keep_until) VALUES (?1, ?2, ?3)")?
        .execute(params![token.token, token.body, token.keep_until.millis()])?;
    Ok(None)
}

fn record(tx: &mut Tx<'_>, news: &News, now: Timestamp, report: &mut NewsReport) -> Result<(), Trouble> {
    let key = news.recipient.as_deref().map(address_key);
    let added = tx
        .connection
        .prepare_cached(
            "INSERT INTO news (source, key, received_at, at, kind, address_key, raw)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (source, key) DO NOTHING",
        )?
        .execute(params![
            news.source.as_str(),
            news.key,
            now.millis(),
            news.at.millis(),
            kind_word(news),
            key,
            news.raw
        ])?;
    if added == 0 {
        report.repeated += 1;
        return Ok(());
    }
    let row = tx.connection.last_insert_rowid();
    report.stored += 1;
    let Some(state) = meant(tx, news, now)? else {
        report.unmatched += 1;
        return Ok(());
    };
    let (client_id, email_id) = ids(tx, state.n)?;
    tx.connection
        .prepare_cached("UPDATE news SET client = ?2, email_id = ?3 WHERE n = ?1")?
        .execute(params![row, state.place.client, email_id.as_bytes()])?;
    if change(tx, &state, client_id, news, now)? {
        report.changed.push((client_id, email_id));
    }
    Ok(())
}

/// The email that is meant: by our own id, else by the provider's.
fn meant(tx: &Tx<'_>, news: &News, now: Timestamp) -> Result<Option<State>, Trouble> {
    if let Some(id) = news.email_id
        && let Some(state) = state_by_id(tx.connection, id)?
    {
        return Ok(Some(state));
    }
    let mut statement = tx
        .connection
        .prepare_cached("SELECT max(n) FROM emails WHERE provider_message_id = ?1 AND requested_at > ?2")?;
    for id in &news.provider_ids {
        let oldest = now.minus(PROVIDER_ID_LIFETIME).millis();
        let found: Option<i64> = statement.query_row(params![id, oldest], |row| row.get(0))?;
        if let Some(n) = found {
            return state_by_number(tx.connection, n);
        }
    }
    Ok(None)
}

fn ids(tx: &Tx<'_>, n: i64) -> Result<(ClientId, EmailId), Trouble> {
    let sql = "SELECT c.id, e.id FROM emails e JOIN clients c ON c.n = e.client WHERE e.n = ?1";
    let (client, email): ([u8; 16], [u8; 16]) =
        tx.connection.prepare_cached(sql)?.query_row([n], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok((ClientId::from_bytes(client), EmailId::from_bytes(email)))
}

/// Applies news to the email; whether anything changed.
fn change(
    tx: &mut Tx<'_>,
    state: &State,
    client_id: ClientId,
    news: &News,
    now: Timestamp,
) -> Result<bool, Trouble> {
    let head: Vec<u8> = tx
        .connection
        .prepare_cached("SELECT head FROM bodies WHERE n = ?1")?
        .query_row([state.n], |row| row.get(0))
        .optional()?
        .ok_or_else(|| damaged("head of an email"))?;
    let head = NewsHead::read(&head)?;
    let switch: Option<bool> = tx
        .connection
        .prepare_cached("SELECT bounce_webhook_enabled FROM domains WHERE name = ?1")?
        .query_row([&head.domain], |row| row.get(0))
        .optional()?;
    if is_switched_off(news, switch) {
        return Ok(false);
    }
    let requested_at = state.place.requested_at;
    let known = Known {
        client_id,
        status: state.status,
        is_leased: state.lease_owner.is_some(),
        requested_at,
        head: &head,
        recipients: states_of(state.recipients.as_deref(), state.recipient_count, requested_at)?,
    };
    let Some(applied) = apply(news, known, now) else { return Ok(false) };
    write(tx, state, &applied, now)?;
    if let Some(entry) = &applied.suppression {
        tx.suppress_by_news(state.place.client, entry)?;
    }
    Ok(true)
}

fn write(tx: &mut Tx<'_>, state: &State, applied: &Applied, now: Timestamp) -> Result<(), Trouble> {
    let chain = tx.append(state.n, state.chain, &applied.event)?;
    let recipients = applied.recipients.as_deref().map(states_json).transpose()?;
    // Who has it need not be tried again. A lease ends by its holder's word.
    let is_over = applied.is_over && state.lease_owner.is_none();
    let (code, message) = match &applied.failure {
        Some((code, message)) => (Some(failure_code(*code)), Some(message)),
        None => (None, None),
    };
    tx.connection
        .prepare_cached(
            "UPDATE emails SET status = ?2, events = ?3, last_event = ?4, updated_at = ?5,
                recipients = coalesce(?6, recipients), failure_code = coalesce(?7, failure_code),
                failure_message = coalesce(?8, failure_message),
                due_at = CASE WHEN ?9 THEN NULL ELSE due_at END,
                sent_at = CASE WHEN ?10 BETWEEN 3 AND 6 THEN coalesce(sent_at, ?5) ELSE sent_at END
             WHERE n = ?1",
        )?
        .execute(params![
            state.n,
            status_code(applied.status),
            chain.length,
            chain.last,
            now.millis(),
            recipients,
            code,
            message,
            is_over,
            status_code(applied.status),
        ])?;
    tx.count_move(state.place, state.status, applied.status);
    Ok(())
}
