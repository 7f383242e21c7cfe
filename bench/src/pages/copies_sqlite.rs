//! Copies of all emails of an embedded store, doubled by SQL until there are enough.

use std::path::Path;

use rusqlite::{Connection, params};

use crate::Fault;

/// Fills up to at least `wanted` emails; how many there are then. No server may work on the file.
pub fn fill(file: &Path, wanted: u64) -> Result<u64, Fault> {
    let mut connection = Connection::open(file)?;
    connection.execute_batch("PRAGMA cache_size = -500000; PRAGMA temp_store = MEMORY;")?;
    // What is not indexed yet would be copied without its entries.
    index_is_complete(&connection)?;
    loop {
        let (count, last): (u64, i64) =
            connection
                .query_row("SELECT count(*), max(n) FROM emails", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if count >= wanted {
            connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
            return Ok(count);
        }
        // The last copy takes no more than is wanted.
        let up_to = if wanted - count < count { place(&connection, wanted - count)? } else { last };
        double(&mut connection, last, up_to)?;
    }
}

fn index_is_complete(connection: &Connection) -> Result<(), Fault> {
    let (indexed, last): (i64, i64) = connection.query_row(
        "SELECT indexed_up_to, (SELECT max(n) FROM emails) FROM installation",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    if indexed == last { Ok(()) } else { Err(format!("indexed up to {indexed} of {last}").into()) }
}

/// The number of the email at a place, counted from 1.
fn place(connection: &Connection, at: u64) -> Result<i64, Fault> {
    let sql = "SELECT n FROM emails ORDER BY n LIMIT 1 OFFSET ?1";
    Ok(connection.query_row(sql, [at.saturating_sub(1)], |row| row.get(0))?)
}

/// Copies emails up to `up_to` behind `last`.
fn double(connection: &mut Connection, last: i64, up_to: i64) -> Result<(), Fault> {
    let tx = connection.transaction()?;
    let last_event: i64 = tx.query_row("SELECT max(id) FROM events", [], |row| row.get(0))?;
    let n: (&str, &str) = ("n", "n + ?1");
    copy(
        &tx,
        "emails",
        &[n, ("id", "randomblob(16)"), ("last_event", "last_event + ?2")],
        last,
        last_event,
        up_to,
    )?;
    copy(&tx, "bodies", &[n], last, last_event, up_to)?;
    let events = [n, ("id", "id + ?2"), ("previous", "previous + ?2")];
    copy(&tx, "events", &events, last, last_event, up_to)?;
    copy(&tx, "finders", &[n], last, last_event, up_to)?;
    tx.execute("UPDATE installation SET indexed_up_to = (SELECT max(n) FROM emails)", [])?;
    tx.execute("UPDATE hours SET last_n = (SELECT max(n) FROM emails)", [])?;
    // Exact for whole doublings, near enough for a page otherwise.
    tx.execute("UPDATE counts SET amount = amount * 2", [])?;
    tx.commit()?;
    Ok(())
}

/// Copies the rows of a table; the columns named get these expressions, the others stay as they are.
fn copy(
    connection: &Connection,
    table: &str,
    changed: &[(&str, &str)],
    last: i64,
    last_event: i64,
    up_to: i64,
) -> Result<(), Fault> {
    let mut named = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
    let names: Vec<String> = named.query_map([table], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let expression = |name: &String| -> String {
        let found = changed.iter().find(|(changed, _)| changed == name);
        found.map_or_else(|| name.clone(), |(_, expression)| (*expression).to_owned())
    };
    let expressions: Vec<String> = names.iter().map(expression).collect();
    let sql = format!(
        "INSERT INTO {table} ({}) SELECT {} FROM {table} WHERE n <= ?3 AND ?1 + ?2 > 0",
        names.join(", "),
        expressions.join(", ")
    );
    connection.execute(&sql, params![last, last_event, up_to])?;
    Ok(())
}
