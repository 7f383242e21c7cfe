//! Copies of the whole store: each table as the server's own binary COPY, all of one moment, in a directory that
//! `docs/operations/backup.md` describes. The same way back, into an empty database.

use super::Postgres;
use super::columns::at;
use super::days::make_days;
use super::migrate;
use super::session::Session;
use super::trouble::Trouble;
use crate::StoreError;
use futures_util::{SinkExt as _, StreamExt as _};
use serde::{Deserialize, Serialize};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;

/// The list of what a copy holds; written last.
const LIST: &str = "store.json";
/// The shape of such a directory.
const FORMAT: u32 = 1;
/// A copy takes as long as its disks need; this is for one that hangs.
const LIMIT: Duration = Duration::from_hours(12);
/// Bytes sent to the server at once.
const PIECE: usize = 256 * 1024;

/// What a copy says of itself.
#[derive(Serialize, Deserialize)]
struct Listing {
    format: u32,
    /// The newest migration of the schema it was made from.
    schema: i32,
    /// Days that had partitions.
    days: Vec<i32>,
    last_event: i64,
    tables: Vec<Table>,
}

/// One table of a copy: `<name>.copy`.
#[derive(Serialize, Deserialize)]
struct Table {
    name: String,
    columns: Vec<String>,
    rows: u64,
    bytes: u64,
}

impl Postgres {
    pub(crate) async fn backup(&self, path: &Path) -> Result<(), StoreError> {
        self.link
            .read_within(LIMIT, |db| async move {
                let begin =
                    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0;
                    SET LOCAL idle_in_transaction_session_timeout = 0";
                db.batch_execute(begin).await?;
                let copied = copy_out(&db, path).await;
                db.batch_execute("ROLLBACK").await?;
                copied
            })
            .await
    }

    /// Fills an empty store from a copy.
    pub(crate) async fn restore(&self, path: &Path) -> Result<(), StoreError> {
        let listing = read_listing(path)?;
        let listing = &listing;
        self.link.write_within(LIMIT, |db| async move { copy_in(&db, path, listing).await }).await
    }
}

async fn copy_out(db: &Session, path: &Path) -> Result<(), Trouble> {
    DirBuilder::new().mode(0o700).create(path).map_err(|error| said(path, &error))?;
    let mut tables = Vec::new();
    for name in table_names(db).await? {
        let columns = columns_of(db, &name).await?;
        tables.push(copy_table_out(db, path, name, columns).await?);
    }
    let last = "SELECT last_value FROM event_ids";
    let listing = Listing {
        format: FORMAT,
        schema: migrate::newest(),
        days: super::days::days_before(db, "emails", i32::MAX).await?,
        last_event: at(&db.query_one(last, &[]).await?, 0)?,
        tables,
    };
    let text = serde_json::to_vec_pretty(&listing)
        .map_err(|error| StoreError::Unavailable(format!("cannot be written: {error}")))?;
    let path_of_list = path.join(LIST);
    let written = private(&path_of_list).and_then(|mut file| {
        file.write_all(&text)?;
        file.sync_all()?;
        File::open(path)?.sync_all()
    });
    Ok(written.map_err(|error| said(&path_of_list, &error))?)
}

async fn copy_table_out(
    db: &Session,
    path: &Path,
    name: String,
    columns: Vec<String>,
) -> Result<Table, Trouble> {
    let file = path.join(format!("{name}.copy"));
    let mut out = BufWriter::new(private(&file).map_err(|error| said(&file, &error))?);
    let rows =
        super::columns::count_at(&db.query_one(&format!("SELECT count(*) FROM {name}"), &[]).await?, 0)?;
    let sql = format!("COPY (SELECT {} FROM {name}) TO STDOUT (FORMAT binary)", columns.join(", "));
    let mut stream = Box::pin(db.copy_out(&sql).await?);
    let mut bytes = 0;
    while let Some(piece) = stream.next().await {
        let piece = piece?;
        bytes += piece.len() as u64;
        out.write_all(&piece).map_err(|error| said(&file, &error))?;
    }
    let synced = out.into_inner().map_err(io::IntoInnerError::into_error).and_then(|file| file.sync_all());
    synced.map_err(|error| said(&file, &error))?;
    Ok(Table { name, columns, rows, bytes })
}

fn read_listing(path: &Path) -> Result<Listing, StoreError> {
    let list = path.join(LIST);
    let text = std::fs::read(&list).map_err(|error| said(&list, &error))?;
    let listing: Listing = serde_json::from_slice(&text)
        .map_err(|error| StoreError::Corrupt(format!("{} cannot be read: {error}", list.display())))?;
    if listing.format != FORMAT {
        return Err(StoreError::Unavailable(format!("{} has another format", list.display())));
    }
    if listing.schema != migrate::newest() {
        return Err(StoreError::Unavailable(format!(
            "the copy has schema {}, this version {}: restore it with the version that made it, then upgrade",
            listing.schema,
            migrate::newest()
        )));
    }
    Ok(listing)
}

async fn copy_in(db: &Session, path: &Path, listing: &Listing) -> Result<(), Trouble> {
    db.batch_execute("SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0")
        .await?;
    must_be_empty(db).await?;
    make_days(db, &listing.days).await?;
    // What a fresh schema holds by itself stands in the copy too.
    db.batch_execute("DELETE FROM installation; DELETE FROM event_days").await?;
    for table in &listing.tables {
        copy_table_in(db, path, table).await?;
    }
    let last = format!("SELECT setval('event_ids', {})", listing.last_event);
    db.batch_execute(&last).await?;
    go_on_with_numbers(db).await
}

async fn copy_table_in(db: &Session, path: &Path, table: &Table) -> Result<(), Trouble> {
    let file = path.join(format!("{}.copy", table.name));
    let sql = format!("COPY {} ({}) FROM STDIN (FORMAT binary)", table.name, table.columns.join(", "));
    let mut sink = Box::pin(db.copy_in::<_, bytes::Bytes>(&sql).await?);
    let mut from = File::open(&file).map_err(|error| said(&file, &error))?;
    loop {
        let mut piece = vec![0; PIECE];
        let read = from.read(&mut piece).map_err(|error| said(&file, &error))?;
        if read == 0 {
            break;
        }
        piece.truncate(read);
        sink.send(piece.into()).await?;
    }
    let rows = sink.as_mut().finish().await?;
    if rows != table.rows {
        let fault = format!("{} holds {rows} rows, {} were copied", file.display(), table.rows);
        return Err(StoreError::Corrupt(fault).into());
    }
    Ok(())
}

/// Refuses a store in which there is anything.
pub(super) async fn must_be_empty(db: &Session) -> Result<(), Trouble> {
    for table in ["clients", "emails", "audit"] {
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {table})");
        if at(&db.query_one(&sql, &[]).await?, 0)? {
            return Err(StoreError::Conflict("an installation in this database").into());
        }
    }
    Ok(())
}

/// Lets every column that counts by itself go on behind its highest number.
pub(super) async fn go_on_with_numbers(db: &Session) -> Result<(), Trouble> {
    let sql = "SELECT table_name::text, column_name::text FROM information_schema.columns
        WHERE table_schema = current_schema() AND is_identity = 'YES'";
    for row in &db.query(sql, &[]).await? {
        let (table, column): (String, String) = (at(row, 0)?, at(row, 1)?);
        db.batch_execute(&format!(
            "SELECT setval(pg_get_serial_sequence('{table}', '{column}'), max({column})) FROM {table}
             HAVING max({column}) IS NOT NULL"
        ))
        .await?;
    }
    Ok(())
}

/// All tables but partitions and the ledger of migrations, which a fresh schema brings with it.
async fn table_names(db: &Session) -> Result<Vec<String>, Trouble> {
    let sql = "SELECT relname::text FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
            AND relname <> 'migrations' ORDER BY relname";
    db.query(sql, &[]).await?.iter().map(|row| at(row, 0)).collect()
}

/// The columns of a table that are written.
async fn columns_of(db: &Session, table: &str) -> Result<Vec<String>, Trouble> {
    let sql = "SELECT quote_ident(attname)::text FROM pg_attribute
        WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum";
    db.query(sql, &[&table]).await?.iter().map(|row| at(row, 0)).collect()
}

/// A new file for the owner alone.
fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn said(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Unavailable(format!("{}: {error}", path.display()))
}
