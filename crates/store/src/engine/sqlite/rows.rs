//! Rows of emails and the types they become.

use super::trouble::Trouble;
use super::tx::{Chain, Place};
use crate::record::{EmailColumns, damaged, email_of, status_of};
use posthaste_model::email::Email;
use posthaste_model::{ClientId, EmailId, Status, Timestamp};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, ToSql};

/// An id of 16 bytes.
macro_rules! id_at {
    ($row:expr, $column:expr, $type:ty) => {
        <$type>::from_bytes($row.get($column)?)
    };
}
pub(super) use id_at;

/// An optional instant.
pub(super) fn time_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_millis))
}

/// The columns of an email itself, read with alias `e`, `b` (bodies) and `c` (clients); then come others.
pub(super) const EMAIL_COLUMNS: &str = "e.id, c.id, e.priority, e.requested_at, b.head, b.content";
/// How many columns those are.
pub(super) const EMAIL_COLUMN_COUNT: usize = 6;

/// The email in a row that begins with `EMAIL_COLUMNS`, and whether its content is gone.
pub(super) fn email_at(row: &Row<'_>) -> Result<(Email, bool), Trouble> {
    let content = match row.get_ref(5)? {
        ValueRef::Null => None,
        other => Some(other.as_blob().map_err(|_| damaged("content of an email"))?),
    };
    let email = email_of(&EmailColumns {
        id: id_at!(row, 0, EmailId),
        client_id: id_at!(row, 1, ClientId),
        priority: row.get(2)?,
        requested_at: row.get(3)?,
        head: row.get_ref(4)?.as_blob().map_err(|_| damaged("head of an email"))?,
        content,
    })?;
    Ok((email, content.is_none()))
}

/// What decides whether an email may change, and what a change needs to know.
pub(super) struct State {
    pub(super) n: i64,
    pub(super) status: Status,
    pub(super) fence: u32,
    pub(super) lease_owner: Option<i64>,
    pub(super) attempts: u32,
    pub(super) chain: Chain,
    pub(super) place: Place,
    pub(super) recipient_count: i64,
    pub(super) recipients: Option<String>,
}

const STATE: &str = "SELECT n, status, fence, lease_owner, attempts, events, last_event, client, domain,
    requested_at, recipient_count, recipients FROM emails WHERE";

/// The state of the email with this id, of whichever client: for workers, which serve all.
pub(super) fn state_by_id(connection: &Connection, id: EmailId) -> Result<Option<State>, Trouble> {
    state(connection, &format!("{STATE} id = ?1"), &[id.as_bytes()])
}

/// The state of a client's email.
pub(super) fn state_of_client(
    connection: &Connection,
    client: i64,
    id: EmailId,
) -> Result<Option<State>, Trouble> {
    state(connection, &format!("{STATE} client = ?1 AND id = ?2"), &[&client, id.as_bytes()])
}

/// The state of email number `n`.
pub(super) fn state_by_number(connection: &Connection, n: i64) -> Result<Option<State>, Trouble> {
    state(connection, &format!("{STATE} n = ?1"), &[&n])
}

fn state(connection: &Connection, sql: &str, of: &[&dyn ToSql]) -> Result<Option<State>, Trouble> {
    let mut statement = connection.prepare_cached(sql)?;
    let read = |row: &Row<'_>| {
        Ok((
            row.get::<_, i64>(1)?,
            State {
                n: row.get(0)?,
                status: Status::Queued,
                fence: row.get(2)?,
                lease_owner: row.get(3)?,
                attempts: row.get(4)?,
                chain: Chain { length: row.get(5)?, last: row.get(6)? },
                place: Place { client: row.get(7)?, domain: row.get(8)?, requested_at: row.get(9)? },
                recipient_count: row.get(10)?,
                recipients: row.get(11)?,
            },
        ))
    };
    let Some((code, state)) = statement.query_row(of, read).optional()? else { return Ok(None) };
    Ok(Some(State { status: status_of(code)?, ..state }))
}
