//! Copies of all emails of a PostgreSQL store, doubled by SQL until there are enough.

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

/// Fills up to at least `wanted` emails; how many there are then.
pub async fn fill(database: &Database, wanted: u64) -> Result<u64, Fault> {
    let client = database.connect().await?;
    client.batch_execute("SET synchronous_commit = off").await?;
    client.batch_execute(COPY_OF).await?;
    let mut step = count(&client).await?;
    loop {
        if step >= wanted {
            // As autovacuum would have done with time.
            client.batch_execute("VACUUM (ANALYZE)").await?;
            client.batch_execute("CHECKPOINT").await?;
            return Ok(step);
        }
        double(&client, step, wanted - step).await?;
        step = count(&client).await?;
    }
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
