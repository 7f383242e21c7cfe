//! The target of a move: rows go in by COPY, are read back and compared, and only then committed.

use super::Postgres;
use super::backup::{go_on_with_numbers, must_be_empty};
use super::columns::at;
use super::days::make_days;
use super::session::Session;
use super::trouble::Trouble;
use crate::StoreError;
use crate::engine::sqlite::Sqlite;
use crate::engine::sqlite::transfer::Outline;
use crate::transfer::{Cell, Digest, Kind, MoveObserver, MovedTable, PARTS, Part};
use bytes::BytesMut;
use futures_util::TryStreamExt as _;
use std::time::Duration;
use tokio_postgres::Row;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use uuid::Uuid;

/// A move takes as long as its disks need; this is for one that hangs.
const LIMIT: Duration = Duration::from_hours(24);
/// Rows between two words on how far it is.
const TOLD_EVERY: u64 = 500;
/// No more days get partitions of their own: what is older lies in the default one until retention.
const MOST_DAYS: usize = 800;

impl Postgres {
    /// Fills this store, which must be empty, from an embedded one.
    pub(crate) async fn take_over(
        &self,
        source: &Sqlite,
        observer: MoveObserver,
    ) -> Result<Vec<MovedTable>, StoreError> {
        let outline = &source.outline().await?;
        let observer = &observer;
        self.link
            .write_within(LIMIT, |db| async move { take_over(&db, source, outline, observer).await })
            .await
    }
}

async fn take_over(
    db: &Session,
    source: &Sqlite,
    outline: &Outline,
    observer: &MoveObserver,
) -> Result<Vec<MovedTable>, Trouble> {
    db.batch_execute(
        "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;
         SET LOCAL enable_seqscan = on; SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on",
    )
    .await?;
    must_be_empty(db).await?;
    make_days(db, &outline.days[outline.days.len().saturating_sub(MOST_DAYS)..]).await?;
    let mut moved = Vec::with_capacity(PARTS.len());
    for (index, part) in PARTS.iter().enumerate() {
        let sent = copy_in(db, source, index, part, observer).await?;
        let arrived = read_back(db, part).await?;
        sent.compare(arrived, part.table)?;
        moved.push(MovedTable { table: part.table, rows: sent.rows, checksum: sent.checksum() });
    }
    finish(db, outline).await?;
    Ok(moved)
}

/// What is not copied but follows from what was.
async fn finish(db: &Session, outline: &Outline) -> Result<(), Trouble> {
    db.batch_execute(
        "UPDATE emails e SET first_day = v.first, last_day = v.last
            FROM (SELECT client_id, email_id, min(day) AS first, max(day) AS last FROM events GROUP BY 1, 2) v
            WHERE e.client_id = v.client_id AND e.id = v.email_id;
         INSERT INTO queue (email_id, client_id, due_at, lease_owner, fence, bytes, priority, status)
            SELECT e.id, e.client_id, e.due_at, e.lease_owner, e.fence,
                length(h.head) + coalesce(length(c.content), 0), e.priority, e.status
            FROM emails e JOIN heads h ON h.client_id = e.client_id AND h.id = e.id
                LEFT JOIN contents c ON c.client_id = e.client_id AND c.id = e.id
            WHERE e.status <= 2 OR e.due_at IS NOT NULL;
         DELETE FROM event_days;",
    )
    .await?;
    db.execute("UPDATE installation SET revision = $1", &[&(outline.revision + 1)]).await?;
    db.query_one("SELECT setval('event_ids', $1)", &[&outline.last_event]).await?;
    db.execute("INSERT INTO event_days VALUES (today() - 1, $1)", &[&outline.last_event]).await?;
    go_on_with_numbers(db).await?;
    // Plans made for empty tables would be bad ones until the server looks by itself.
    Ok(db.batch_execute("ANALYZE").await?)
}

async fn copy_in(
    db: &Session,
    source: &Sqlite,
    index: usize,
    part: &Part,
    observer: &MoveObserver,
) -> Result<Digest, Trouble> {
    let types: Vec<Type> = part.columns.iter().map(|(_, kind)| type_of(*kind)).collect();
    let sql = format!("COPY {} ({}) FROM STDIN (FORMAT binary)", part.table, names_of(part));
    let writer = BinaryCopyInWriter::new(db.copy_in(&sql).await?, &types);
    let mut writer = Box::pin(writer);
    let mut digest = Digest::default();
    let mut rows = source.rows_of(index);
    while let Some(batch) = rows.recv().await {
        for row in batch? {
            digest.add(&row);
            let values = row.iter().map(|cell| cell as &(dyn ToSql + Sync));
            let values: Vec<&(dyn ToSql + Sync)> = values.collect();
            writer.as_mut().write(&values).await?;
            if digest.rows.is_multiple_of(TOLD_EVERY) {
                observer(part.table, digest.rows);
            }
        }
    }
    writer.as_mut().finish().await?;
    observer(part.table, digest.rows);
    Ok(digest)
}

async fn read_back(db: &Session, part: &Part) -> Result<Digest, Trouble> {
    let sql = format!("SELECT {} FROM {}", names_of(part), part.table);
    let nothing: [&(dyn ToSql + Sync); 0] = [];
    let mut rows = Box::pin(db.query_raw(sql.as_str(), nothing).await?);
    let mut digest = Digest::default();
    while let Some(row) = rows.try_next().await? {
        let cells: Result<Vec<Cell>, Trouble> =
            part.columns.iter().enumerate().map(|(column, (_, kind))| cell_at(&row, column, *kind)).collect();
        digest.add(&cells?);
    }
    Ok(digest)
}

fn names_of(part: &Part) -> String {
    let names: Vec<&str> = part.columns.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

const fn type_of(kind: Kind) -> Type {
    match kind {
        Kind::Small => Type::INT2,
        Kind::Int => Type::INT4,
        Kind::Big => Type::INT8,
        Kind::Bool => Type::BOOL,
        Kind::Text => Type::TEXT,
        Kind::Bytes => Type::BYTEA,
        Kind::Id => Type::UUID,
    }
}

fn cell_at(row: &Row, column: usize, kind: Kind) -> Result<Cell, Trouble> {
    let cell = match kind {
        Kind::Small => at::<Option<i16>>(row, column)?.map(|number| Cell::Number(i64::from(number))),
        Kind::Int => at::<Option<i32>>(row, column)?.map(|number| Cell::Number(i64::from(number))),
        Kind::Big => at::<Option<i64>>(row, column)?.map(Cell::Number),
        Kind::Bool => at::<Option<bool>>(row, column)?.map(|yes| Cell::Number(i64::from(yes))),
        Kind::Text => at::<Option<String>>(row, column)?.map(Cell::Text),
        Kind::Bytes => at::<Option<Vec<u8>>>(row, column)?.map(Cell::Bytes),
        Kind::Id => at::<Option<Uuid>>(row, column)?.map(|id| Cell::Bytes(id.as_bytes().to_vec())),
    };
    Ok(cell.unwrap_or(Cell::Null))
}

impl ToSql for Cell {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Number(number) => match *kind {
                Type::INT2 => i16::try_from(*number)?.to_sql(kind, out),
                Type::INT4 => i32::try_from(*number)?.to_sql(kind, out),
                Type::BOOL => (*number != 0).to_sql(kind, out),
                _ => number.to_sql(kind, out),
            },
            Self::Text(text) => text.to_sql(kind, out),
            Self::Bytes(bytes) if *kind == Type::UUID => Uuid::from_slice(bytes)?.to_sql(kind, out),
            Self::Bytes(bytes) => bytes.to_sql(kind, out),
        }
    }

    fn accepts(kind: &Type) -> bool {
        [Type::INT2, Type::INT4, Type::INT8, Type::BOOL, Type::TEXT, Type::BYTEA, Type::UUID].contains(kind)
    }

    to_sql_checked!();
}
