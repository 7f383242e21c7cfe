//! Erasure of a person's data (GDPR). The address, the content made for it and every text that may quote it go; what
//! remains is that an email was sent. While other recipients of the same email are still to be tried its content
//! stays, and goes with retention.

use super::Sqlite;
use super::file;
use super::finders;
use super::list::Search;
use super::retention::{drop_body, references};
use super::rows::{State, state_by_number};
use super::trouble::Trouble;
use super::tx::{Tx, client_number};
use crate::StoreError;
use crate::emails::EmailFilter;
use crate::record::{damaged, erase_head, raw_blob, states_json, states_of, status_code, withdraw};
use crate::upkeep::ErasureReport;
use posthaste_model::email::BlobHash;
use posthaste_model::event::{EventKind, NewEvent};
use posthaste_model::suppression::address_key;
use posthaste_model::{Address, ClientId, Status, Timestamp};
use rusqlite::params;

/// Emails changed in one transaction.
const STEP: usize = 100;

impl Sqlite {
    pub(crate) async fn erase_recipient(
        &self,
        client_id: Option<ClientId>,
        address: &str,
        now: Timestamp,
    ) -> Result<ErasureReport, StoreError> {
        let mut report = ErasureReport::default();
        loop {
            let address = address.to_owned();
            let step = self.write_alone(move |tx| erase_step(tx, client_id, &address, now)).await?;
            if !report.add(step) {
                break;
            }
        }
        report.name_once();
        self.empty_log().await?;
        Ok(report)
    }

    /// Moves the log into the database and cuts it off, so that what was erased is not in it either.
    pub(super) async fn empty_log(&self) -> Result<(), StoreError> {
        let path = self.readers.path().to_owned();
        let emptied = tokio::task::spawn_blocking(move || {
            let connection = file::open(&path)?;
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
            Ok::<_, Trouble>(())
        });
        emptied.await.map_err(|error| StoreError::Unavailable(error.to_string()))?.map_err(StoreError::from)
    }
}

fn erase_step(
    tx: &mut Tx<'_>,
    client_id: Option<ClientId>,
    address: &str,
    now: Timestamp,
) -> Result<ErasureReport, Trouble> {
    let clients = match client_id {
        Some(id) => client_number(tx.connection, id)?.into_iter().collect(),
        None => all_clients(tx)?,
    };
    // What is overwritten and freed is zeroed, not only forgotten.
    tx.connection.pragma_update(None, "secure_delete", true)?;
    let outcome = erase_of_clients(tx, &clients, address, now);
    tx.connection.pragma_update(None, "secure_delete", false)?;
    outcome
}

fn all_clients(tx: &Tx<'_>) -> Result<Vec<i64>, Trouble> {
    let mut statement = tx.connection.prepare_cached("SELECT n FROM clients")?;
    let numbers = statement.query_map([], |row| row.get(0))?;
    Ok(numbers.collect::<Result<_, _>>()?)
}

fn erase_of_clients(
    tx: &mut Tx<'_>,
    clients: &[i64],
    address: &str,
    now: Timestamp,
) -> Result<ErasureReport, Trouble> {
    let mut report = ErasureReport::default();
    let filter = EmailFilter { recipient: Some(address.to_owned()), ..EmailFilter::default() };
    for &client in clients {
        let mut numbers = Vec::new();
        Search::new(tx.connection, client, &filter)?.each(i64::MAX, |n| {
            numbers.push(n);
            numbers.len() < STEP
        })?;
        for n in numbers {
            if let Some(state) = state_by_number(tx.connection, n)? {
                erase_one(tx, &state, address, now, &mut report)?;
            }
        }
        erase_inbox(tx, client, address, &mut report)?;
        erase_suppressions(tx, client, address)?;
    }
    Ok(report)
}

fn erase_one(
    tx: &mut Tx<'_>,
    state: &State,
    address: &str,
    now: Timestamp,
    report: &mut ErasureReport,
) -> Result<(), Trouble> {
    let n = state.n;
    let old: Vec<u8> =
        tx.connection.query_row("SELECT head FROM bodies WHERE n = ?1", [n], |row| row.get(0))?;
    let mut head = erase_head(&old, address)?;
    let mut states = states_of(state.recipients.as_deref(), state.recipient_count, state.place.requested_at)?;
    report.cancelled += withdraw(&mut states, &head.erased, now);
    let others_wait = states.iter().any(|recipient| recipient.status.is_open());
    if !others_wait {
        let message = raw_of(tx, n)?;
        if drop_body(tx, n, &mut report.blobs)? {
            report.bodies += 1;
        }
        report.set_message_apart(message);
        head.empty();
    }
    finders::remove(tx.connection, state.place.client, n, &old)?;
    let new = head.into_bytes();
    tx.connection.execute("UPDATE bodies SET head = ?2 WHERE n = ?1", params![n, new])?;
    finders::add(tx.connection, state.place.client, n, &new)?;
    let id: [u8; 16] =
        tx.connection.query_row("SELECT id FROM emails WHERE n = ?1", [n], |row| row.get(0))?;
    tx.connection.execute("UPDATE news SET raw = NULL WHERE email_id = ?1 AND raw IS NOT NULL", [id])?;
    report.events += tx.connection.execute(CLEAR_EVENTS, params![state.chain.last])? as u64;
    // What webhooks were told names the recipient; it is not told again.
    tx.connection.execute(
        "DELETE FROM webhook_deliveries WHERE email_id = (SELECT id FROM emails WHERE n = ?1)",
        [n],
    )?;
    tx.connection.execute(
        "UPDATE emails SET recipients = ?2, error = NULL, updated_at = ?3,
            failure_message = CASE WHEN failure_message IS NULL THEN NULL ELSE 'erased' END WHERE n = ?1",
        params![n, states_json(&states)?, now.millis()],
    )?;
    if !others_wait && state.status.is_cancellable() && state.lease_owner.is_none() {
        cancel(tx, state, now)?;
    }
    report.emails += 1;
    Ok(())
}

/// Clears the texts along a chain of events.
const CLEAR_EVENTS: &str = "WITH RECURSIVE chain (id) AS (
        SELECT ?1 UNION ALL SELECT e.previous FROM events e JOIN chain USING (id) WHERE e.previous IS NOT NULL
    ) UPDATE events SET detail = NULL WHERE id IN (SELECT id FROM chain) AND detail IS NOT NULL";

fn cancel(tx: &mut Tx<'_>, state: &State, now: Timestamp) -> Result<(), Trouble> {
    let event = NewEvent {
        kind: EventKind::Cancelled,
        at: now,
        recipient: None,
        attempt: 0,
        detail: Some("its recipients were erased".into()),
    };
    let chain = tx.append(state.n, state.chain, &event)?;
    tx.connection.execute(
        "UPDATE emails SET status = ?2, due_at = NULL, events = ?3, last_event = ?4 WHERE n = ?1",
        params![state.n, status_code(Status::Cancelled), chain.length, chain.last],
    )?;
    tx.count_move(state.place, state.status, Status::Cancelled);
    Ok(())
}

/// Removes messages in the inbox that were delivered to the address.
fn erase_inbox(tx: &Tx<'_>, client: i64, address: &str, report: &mut ErasureReport) -> Result<(), Trouble> {
    for (n, blob) in inbox_of(tx, client, address)? {
        tx.connection.execute("DELETE FROM inbox WHERE n = ?1", [n])?;
        report.inbox_messages += 1;
        if references(tx.connection, blob)? == 0 {
            report.messages.push(blob);
        }
    }
    Ok(())
}

/// The message that an email was handed in as, where it was.
fn raw_of(tx: &Tx<'_>, n: i64) -> Result<Option<BlobHash>, Trouble> {
    let content: Option<Vec<u8>> =
        tx.connection.query_row("SELECT content FROM bodies WHERE n = ?1", [n], |row| row.get(0))?;
    Ok(content.as_deref().and_then(raw_blob))
}

/// Messages in the inbox that were delivered to the address, at most [`STEP`]. SQL finds the domain; the case of a local
/// part that is not ASCII is beyond it.
fn inbox_of(tx: &Tx<'_>, client: i64, address: &str) -> Result<Vec<(i64, BlobHash)>, Trouble> {
    let is_theirs = |text: &str| Address::parse(text).is_ok_and(|found| found.canonical() == address);
    let domain = address.rsplit('@').next().unwrap_or(address);
    let mut statement = tx.connection.prepare_cached(
        "SELECT n, sha256, recipients FROM inbox WHERE client = ?1 AND instr(lower(recipients), ?2) > 0",
    )?;
    let mut rows = statement.query(params![client, domain])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let recipients: String = row.get(2)?;
        let recipients: Vec<String> =
            serde_json::from_str(&recipients).map_err(|_| damaged("recipients of a message"))?;
        if recipients.iter().any(|text| is_theirs(text)) {
            found.push((row.get(0)?, BlobHash(row.get(1)?)));
        }
        if found.len() == STEP {
            break;
        }
    }
    Ok(found)
}

/// The address stays suppressed by its key alone: who was erased must not be written to again.
fn erase_suppressions(tx: &Tx<'_>, client: i64, address: &str) -> Result<(), Trouble> {
    tx.connection.execute(
        "UPDATE suppressions SET email = NULL, evidence = NULL
         WHERE client = ?1 AND address_key = ?2 AND email IS NOT NULL",
        params![client, address_key(address)],
    )?;
    // What was said of mail to them may quote anything.
    tx.connection.execute(
        "UPDATE news SET raw = NULL WHERE address_key = ?1 AND raw IS NOT NULL",
        [address_key(address)],
    )?;
    Ok(())
}
