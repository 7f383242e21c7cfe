//! Copies of all emails of a PostgreSQL store, doubled by SQL until there are enough. The indexes are taken down before and
//! made again after it, and nothing is logged: ten million would otherwise take hours.

use tokio_postgres::Client;

use crate::Fault;
use crate::database::Database;

/// Another id of the same millisecond, the same for the same id in every table.
const COPY_OF: &str = "CREATE OR REPLACE FUNCTION pg_temp.copy_of(id uuid, step text) RETURNS uuid
    LANGUAGE sql IMMUTABLE AS $$
    SELECT (substr(id::text, 1, 14) || '7' || substr(h, 1, 3) || '-a' || substr(h, 4, 3) || '-' || substr(h, 7, 12))::uuid
    FROM md5(id::text || step) h $$";

/// Tables with rows of emails, and the column that names the email.
const TABLES: [(&str, &str); 5] =
    [("emails", "id"), ("heads", "id"), ("contents", "id"), ("finders", "id"), ("events", "email_id")];

/// Statements that take down the indexes of the tables `$1`, and those that make them again.
const INDEXES: &str = "
    SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname),
        format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
    FROM pg_constraint WHERE contype IN ('p', 'u') AND conrelid = ANY ($1::text[]::regclass[])
    UNION ALL
    SELECT format('DROP INDEX %s', indexrelid::regclass), replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ')
    FROM pg_index WHERE indrelid = ANY ($1::text[]::regclass[])
        AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)";
/// Statements that keep the tables `$1` out of the write-ahead log.
const UNLOGGED: &str = "
    SELECT format('ALTER TABLE %s SET UNLOGGED', t.relid)
    FROM unnest($1::text[]::regclass[]) parent, pg_partition_tree(parent) t WHERE t.isleaf";

/// Fills up to at least `wanted` emails; how many there are then.
pub async fn fill(database: &Database, wanted: u64) -> Result<u64, Fault> {
    let client = database.connect().await?;
    client.batch_execute(COPY_OF).await?;
    let mut step = count(&client).await?;
    if step < wanted {
        let tables: Vec<&str> = TABLES.iter().map(|(table, _)| *table).collect();
        for row in client.query(UNLOGGED, &[&tables]).await? {
            client.batch_execute(row.try_get(0)?).await?;
        }
        let indexes = client.query(INDEXES, &[&tables]).await?;
        for row in &indexes {
            client.batch_execute(row.try_get(0)?).await?;
        }
        while step < wanted {
            double(&client, step, wanted - step).await?;
            step = count(&client).await?;
        }
        client.batch_execute("SET maintenance_work_mem = '1GB'").await?;
        for row in &indexes {
            client.batch_execute(row.try_get(1)?).await?;
        }
    }
    // As autovacuum would have done with time.
    client.batch_execute("VACUUM (ANALYZE)").await?;
    client.batch_execute("CHECKPOINT").await?;
    Ok(step)
}

async fn count(client: &Client) -> Result<u64, Fault> {
    let count: i64 = client.query_one("SELECT count(*) FROM emails", &[]).await?.try_get(0)?;
    Ok(u64::try_from(count)?)
}

/// Copies up to `missing` emails with all that belongs to them.
async fn double(client: &Client, step: u64, missing: u64) -> Result<(), Fault> {
    let some =
        "CREATE TEMP TABLE originals ON COMMIT DROP AS SELECT id AS original FROM emails ORDER BY id LIMIT";
    let mut all = format!("BEGIN; {some} {missing};");
    if step <= missing {
        // All of them: the join would cost more than it leaves out.
        "BEGIN;".clone_into(&mut all);
    }
    for (table, id) in TABLES {
        let sql = "SELECT column_name::text FROM information_schema.columns
            WHERE table_schema = 'public' AND table_name = $1 AND NOT ($1 = 'events' AND column_name = 'id')";
        let rows = client.query(sql, &[&table]).await?;
        let names: Vec<String> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        let changed: Vec<String> = names
            .iter()
            .map(|name| if name == id { format!("pg_temp.copy_of({id}, '{step}')") } else { name.clone() })
            .collect();
        let which =
            if step <= missing { String::new() } else { format!("JOIN originals ON original = {id}") };
        let (names, changed) = (names.join(", "), changed.join(", "));
        all.push_str(&format!("INSERT INTO {table} ({names}) SELECT {changed} FROM {table} {which};"));
    }
    // Exact for whole doublings, near enough for a page otherwise.
    all.push_str("UPDATE counts SET amount = amount * 2; COMMIT;");
    client.batch_execute(&all).await?;
    Ok(())
}
