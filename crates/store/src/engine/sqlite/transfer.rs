//! The source of a move: rows of each part, streamed from a connection of its own.

use super::trouble::Trouble;
use super::{Sqlite, file};
use crate::StoreError;
use crate::transfer::{Cell, PARTS, Part, TABLES};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use std::path::Path;
use tokio::sync::mpsc;

/// Rows in one batch.
const BATCH: usize = 500;
/// Batches that may wait to be written.
const AHEAD: usize = 4;

/// What must be known before the first row is moved.
pub(crate) struct Outline {
    pub revision: i64,
    pub last_event: i64,
    /// Days on which something was requested or happened.
    pub days: Vec<i32>,
}

/// Rows on their way.
pub(crate) type Rows = mpsc::Receiver<Result<Vec<Vec<Cell>>, StoreError>>;

impl Sqlite {
    /// What the store holds; refused when it holds something that is not known here.
    pub(crate) async fn outline(&self) -> Result<Outline, StoreError> {
        self.readers.read_within(std::time::Duration::from_hours(1), outline).await
    }

    /// The rows of part number `index`.
    pub(crate) fn rows_of(&self, index: usize) -> Rows {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let path = self.readers.path().to_owned();
        tokio::task::spawn_blocking(move || {
            let Some(part) = PARTS.get(index) else { return };
            if let Err(trouble) = send_rows(&path, part, &sender) {
                // Whoever gave up reading needs no reason.
                let _ = sender.blocking_send(Err(trouble.into()));
            }
        });
        receiver
    }
}

fn outline(connection: &Connection) -> Result<Outline, Trouble> {
    let mut statement = connection.prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
    )?;
    let names = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    if let Some(unknown) = names.iter().find(|name| !TABLES.contains(&name.as_str())) {
        return Err(StoreError::Corrupt(format!("the table {unknown} cannot be moved")).into());
    }
    let mut statement = connection.prepare(
        "SELECT requested_at / 86400000 FROM emails UNION SELECT at / 86400000 FROM events ORDER BY 1",
    )?;
    let days = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<i32>, _>>()?;
    let one = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    Ok(Outline {
        revision: one("SELECT revision FROM installation")?,
        last_event: one("SELECT coalesce(max(id), 0) FROM events")?,
        days,
    })
}

fn send_rows(
    path: &Path,
    part: &Part,
    sender: &mpsc::Sender<Result<Vec<Vec<Cell>>, StoreError>>,
) -> Result<(), Trouble> {
    let connection = file::open_reader(path)?;
    let mut statement = connection.prepare(part.select)?;
    let mut rows = statement.query([])?;
    let mut batch = Vec::with_capacity(BATCH);
    while let Some(row) = rows.next()? {
        batch.extend(part.rows(cells(row, row.as_ref().column_count())?)?);
        if batch.len() >= BATCH && sender.blocking_send(Ok(std::mem::take(&mut batch))).is_err() {
            return Ok(());
        }
    }
    // The last word: nobody may be listening any more.
    let _ = sender.blocking_send(Ok(batch));
    Ok(())
}

fn cells(row: &Row<'_>, columns: usize) -> Result<Vec<Cell>, Trouble> {
    (0..columns)
        .map(|column| {
            Ok(match row.get_ref(column)? {
                ValueRef::Null => Cell::Null,
                ValueRef::Integer(number) => Cell::Number(number),
                ValueRef::Real(_) => {
                    return Err(StoreError::Corrupt("a number that we never write".into()).into());
                }
                // PostgreSQL keeps every character but NUL.
                ValueRef::Text(text) => Cell::Text(String::from_utf8_lossy(text).replace('\0', "\u{FFFD}")),
                ValueRef::Blob(bytes) => Cell::Bytes(bytes.to_vec()),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::migrate;
    use super::*;
    use crate::transfer::Makes;

    /// Tables that are made anew in the target.
    const MADE_ANEW: [&str; 6] =
        ["installation", "finders", "domain_names", "hours", "bodies_left", "migrations"];
    /// Columns that mean something to this engine alone.
    const OF_THIS_ENGINE: [(&str, &str); 4] = [
        ("clients", "bodies_dropped_up_to"),
        ("emails", "last_event"),
        ("events", "previous"),
        ("idempotency", "n"),
    ];

    #[test]
    fn no_column_is_forgotten_by_a_move() {
        let home = tempfile::tempdir().unwrap();
        let connection = file::open(&home.path().join("posthaste.db")).unwrap();
        migrate::run(&connection, true).unwrap();
        let mut statement = connection
            .prepare(
                "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c
                 WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'",
            )
            .unwrap();
        let columns = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        for column in columns {
            let (table, column): (String, String) = column.unwrap();
            let is_known = MADE_ANEW.contains(&table.as_str())
                || OF_THIS_ENGINE.contains(&(table.as_str(), column.as_str()))
                || PARTS.iter().any(|part| {
                    let words: Vec<&str> =
                        part.select.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
                    matches!(part.makes, Makes::Row)
                        && words.contains(&table.as_str())
                        && words.contains(&column.as_str())
                });
            assert!(is_known, "{table}.{column} is not in the plan of a move (transfer/plan.rs)");
        }
    }
}
