//! Ids and rows of emails, and the types they become.

use super::trouble::Trouble;
use crate::record::{EmailColumns, email_of};
use posthaste_model::email::Email;
use posthaste_model::{ClientId, EmailId, Timestamp};
use tokio_postgres::Row;
use uuid::Uuid;

/// An id as a column.
macro_rules! uuid_of {
    ($id:expr) => {
        uuid::Uuid::from_bytes(*$id.as_bytes())
    };
}
pub(super) use uuid_of;

/// An id from a column.
macro_rules! id_at {
    ($row:expr, $column:expr, $type:ty) => {
        <$type>::from_bytes($row.try_get::<_, uuid::Uuid>($column)?.into_bytes())
    };
}
pub(super) use id_at;

/// The columns of an email itself, read with alias `e`, `h` (heads) and `c` (contents, joined from the left).
pub(super) const EMAIL_COLUMNS: &str = "e.id, e.client_id, e.priority, e.requested_at, h.head, c.content";
/// The tables of those columns. `$1` and `$2` are the least and the greatest id asked for: days that lie outside are not
/// even looked at.
pub(super) const EMAIL_TABLES: &str = "emails e
    JOIN heads h ON h.client_id = e.client_id AND h.id = e.id AND h.id BETWEEN $1 AND $2
    LEFT JOIN contents c ON c.client_id = e.client_id AND c.id = e.id AND c.id BETWEEN $1 AND $2";
/// How many columns those are.
pub(super) const EMAIL_COLUMN_COUNT: usize = 6;

/// The email in a row that begins with `EMAIL_COLUMNS`, and whether its content is gone.
pub(super) fn email_at(row: &Row) -> Result<(Email, bool), Trouble> {
    let content: Option<&[u8]> = row.try_get(5)?;
    let email = email_of(&EmailColumns {
        id: id_at!(row, 0, EmailId),
        client_id: id_at!(row, 1, ClientId),
        priority: i64::from(row.try_get::<_, i16>(2)?),
        requested_at: row.try_get(3)?,
        head: row.try_get(4)?,
        content,
    })?;
    Ok((email, content.is_none()))
}

/// An optional instant.
pub(super) fn time_at(row: &Row, column: usize) -> Result<Option<Timestamp>, Trouble> {
    Ok(row.try_get::<_, Option<i64>>(column)?.map(Timestamp::from_millis))
}

/// The first and the last of some ids, so that a statement names the days they can lie in; `None` of none.
pub(super) fn span<'i>(ids: impl Iterator<Item = &'i Uuid> + Clone) -> Option<(Uuid, Uuid)> {
    Some((*ids.clone().min()?, *ids.max()?))
}
