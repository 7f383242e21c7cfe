//! Migrations: numbered files built into the program, forward only, each in a transaction of its own, so that a process
//! killed midway leaves whole migrations. Nodes that start at once take turns by an advisory lock that ends with the
//! transaction, which holds behind a pooler too.

use super::session::Session;
use super::trouble::Trouble;
use crate::StoreError;
use posthaste_model::email::BlobHash;

/// A numbered change of the schema.
struct Migration {
    number: i32,
    name: &'static str,
    sql: &'static str,
}

const MIGRATIONS: &[Migration] = &[
    Migration {
        number: 1,
        name: "0001_initial",
        sql: include_str!("../../../migrations/postgres/0001_initial.sql"),
    },
    Migration {
        number: 2,
        name: "0002_upkeep",
        sql: include_str!("../../../migrations/postgres/0002_upkeep.sql"),
    },
    Migration {
        number: 3,
        name: "0003_queue",
        sql: include_str!("../../../migrations/postgres/0003_queue.sql"),
    },
    Migration {
        number: 4,
        name: "0004_blobs",
        sql: include_str!("../../../migrations/postgres/0004_blobs.sql"),
    },
    Migration {
        number: 5,
        name: "0005_tokens",
        sql: include_str!("../../../migrations/postgres/0005_tokens.sql"),
    },
    Migration {
        number: 6,
        name: "0006_sender_configs",
        sql: include_str!("../../../migrations/postgres/0006_sender_configs.sql"),
    },
    Migration {
        number: 7,
        name: "0007_webhooks",
        sql: include_str!("../../../migrations/postgres/0007_webhooks.sql"),
    },
    Migration {
        number: 8,
        name: "0008_people",
        sql: include_str!("../../../migrations/postgres/0008_people.sql"),
    },
    Migration {
        number: 9,
        name: "0009_suppressions",
        sql: include_str!("../../../migrations/postgres/0009_suppressions.sql"),
    },
    Migration {
        number: 10,
        name: "0010_news",
        sql: include_str!("../../../migrations/postgres/0010_news.sql"),
    },
    Migration {
        number: 11,
        name: "0011_report_keys",
        sql: include_str!("../../../migrations/postgres/0011_report_keys.sql"),
    },
    Migration {
        number: 12,
        name: "0012_search",
        sql: include_str!("../../../migrations/postgres/0012_search.sql"),
    },
];

/// What the advisory locks of upkeep are called by; any number that nothing else uses.
pub(super) const UPKEEP_LOCK: i64 = 0x706f_7374_6861_7374;

const LEDGER: &str = "CREATE TABLE IF NOT EXISTS migrations (
    number integer PRIMARY KEY,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at bigint NOT NULL
)";

/// Brings the schema up to date, or says what is missing when `migrate` is off.
pub(super) async fn run(db: &Session, migrate: bool) -> Result<(), Trouble> {
    apply(db, MIGRATIONS, migrate).await
}

/// The number of the newest migration built in: what a copy of the store must have been made by.
pub(super) fn newest() -> i32 {
    MIGRATIONS.last().map_or(0, |migration| migration.number)
}

async fn apply(db: &Session, migrations: &[Migration], migrate: bool) -> Result<(), Trouble> {
    let missing = missing(db, migrations).await?;
    if !migrate && !missing.is_empty() {
        let names = missing.iter().map(|migration| migration.name.to_owned()).collect();
        return Err(StoreError::MigrationsMissing(names).into());
    }
    for migration in missing {
        let done = apply_one(db, migration).await;
        if done.is_err() {
            // The first error says more than one of the roll-back could.
            let _ = db.batch_execute("ROLLBACK").await;
        }
        done?;
    }
    Ok(())
}

/// The migrations that were not applied yet, after checking that those applied are the ones we know.
async fn missing<'m>(db: &Session, known: &'m [Migration]) -> Result<Vec<&'m Migration>, Trouble> {
    let has_ledger: bool =
        db.query_one("SELECT to_regclass('migrations') IS NOT NULL", &[]).await?.try_get(0)?;
    if !has_ledger {
        return Ok(known.iter().collect());
    }
    let newest_known = known.last().map_or(0, |migration| migration.number);
    let newest: i32 =
        db.query_one("SELECT coalesce(max(number), 0) FROM migrations", &[]).await?.try_get(0)?;
    if newest > newest_known {
        let number = |number: i32| u32::try_from(number).unwrap_or(0);
        return Err(StoreError::SchemaTooNew { found: number(newest), known: number(newest_known) }.into());
    }
    let mut missing = Vec::new();
    for migration in known {
        match applied(db, migration).await? {
            None => missing.push(migration),
            Some(checksum) if checksum == checksum_of(migration) => {}
            Some(_) => {
                let fault = format!("migration {} is not the one that was applied", migration.name);
                return Err(StoreError::Corrupt(fault).into());
            }
        }
    }
    Ok(missing)
}

async fn applied(db: &Session, migration: &Migration) -> Result<Option<String>, Trouble> {
    let sql = "SELECT checksum FROM migrations WHERE number = $1";
    let row = db.query_opt(sql, &[&migration.number]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

async fn apply_one(db: &Session, migration: &Migration) -> Result<(), Trouble> {
    // Whoever waits here waits for another node that does the same work, however long that takes.
    db.batch_execute("BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0").await?;
    db.query_one("SELECT pg_advisory_xact_lock($1)", &[&UPKEEP_LOCK]).await?;
    db.batch_execute(LEDGER).await?;
    // Another node may have applied it while we waited for the lock.
    if applied(db, migration).await?.is_none() {
        db.batch_execute(migration.sql).await?;
        db.execute(
            "INSERT INTO migrations VALUES ($1, $2, $3, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint)",
            &[&migration.number, &migration.name, &checksum_of(migration)],
        )
        .await?;
        tracing::info!(migration = migration.name, "migration applied");
    }
    db.batch_execute("COMMIT").await?;
    Ok(())
}

fn checksum_of(migration: &Migration) -> String {
    BlobHash::of(migration.sql.as_bytes()).to_string()
}
