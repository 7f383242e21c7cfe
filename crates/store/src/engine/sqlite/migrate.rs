//! Migrations: numbered files built into the program, forward only, each in a transaction of its own. A process
//! killed midway leaves whole migrations; two that start at once take turns.

use super::trouble::Trouble;
use crate::StoreError;
use posthaste_model::email::BlobHash;
use rusqlite::{Connection, OptionalExtension};

struct Migration {
    number: u32,
    name: &'static str,
    sql: &'static str,
}

const MIGRATIONS: &[Migration] = &[
    Migration {
        number: 1,
        name: "0001_initial",
        sql: include_str!("../../../migrations/sqlite/0001_initial.sql"),
    },
    Migration {
        number: 2,
        name: "0002_upkeep",
        sql: include_str!("../../../migrations/sqlite/0002_upkeep.sql"),
    },
    Migration {
        number: 3,
        name: "0003_blobs",
        sql: include_str!("../../../migrations/sqlite/0003_blobs.sql"),
    },
    Migration {
        number: 4,
        name: "0004_tokens",
        sql: include_str!("../../../migrations/sqlite/0004_tokens.sql"),
    },
    Migration {
        number: 5,
        name: "0005_sender_configs",
        sql: include_str!("../../../migrations/sqlite/0005_sender_configs.sql"),
    },
    Migration {
        number: 6,
        name: "0006_webhooks",
        sql: include_str!("../../../migrations/sqlite/0006_webhooks.sql"),
    },
    Migration {
        number: 7,
        name: "0007_people",
        sql: include_str!("../../../migrations/sqlite/0007_people.sql"),
    },
    Migration {
        number: 8,
        name: "0008_suppressions",
        sql: include_str!("../../../migrations/sqlite/0008_suppressions.sql"),
    },
    Migration { number: 9, name: "0009_news", sql: include_str!("../../../migrations/sqlite/0009_news.sql") },
    Migration {
        number: 10,
        name: "0010_report_keys",
        sql: include_str!("../../../migrations/sqlite/0010_report_keys.sql"),
    },
    Migration {
        number: 11,
        name: "0011_search",
        sql: include_str!("../../../migrations/sqlite/0011_search.sql"),
    },
];

const LEDGER: &str = "CREATE TABLE IF NOT EXISTS migrations (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    checksum TEXT NOT NULL,
    applied_at INTEGER NOT NULL
) STRICT";

/// Brings the schema up to date, or says what is missing when `migrate` is off.
pub(super) fn run(connection: &Connection, migrate: bool) -> Result<(), Trouble> {
    apply(connection, MIGRATIONS, migrate)
}

fn apply(connection: &Connection, migrations: &[Migration], migrate: bool) -> Result<(), Trouble> {
    let missing = missing(connection, migrations)?;
    if !migrate && !missing.is_empty() {
        let names = missing.iter().map(|migration| migration.name.to_owned()).collect();
        return Err(StoreError::MigrationsMissing(names).into());
    }
    for migration in missing {
        apply_one(connection, migration)?;
    }
    Ok(())
}

/// The migrations that were not applied yet, after checking that those applied are the ones we know.
fn missing<'m>(connection: &Connection, known: &'m [Migration]) -> Result<Vec<&'m Migration>, Trouble> {
    let has_ledger = connection
        .query_row("SELECT 1 FROM sqlite_schema WHERE name = 'migrations'", [], |_| Ok(()))
        .optional()?;
    if has_ledger.is_none() {
        return Ok(known.iter().collect());
    }
    let newest_known = known.last().map_or(0, |migration| migration.number);
    let newest: u32 =
        connection.query_row("SELECT coalesce(max(number), 0) FROM migrations", [], |row| row.get(0))?;
    if newest > newest_known {
        return Err(StoreError::SchemaTooNew { found: newest, known: newest_known }.into());
    }
    let mut missing = Vec::new();
    for migration in known {
        match applied(connection, migration)? {
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

fn applied(connection: &Connection, migration: &Migration) -> Result<Option<String>, Trouble> {
    let sql = "SELECT checksum FROM migrations WHERE number = ?1";
    Ok(connection.query_row(sql, [migration.number], |row| row.get(0)).optional()?)
}

fn apply_one(connection: &Connection, migration: &Migration) -> Result<(), Trouble> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let done = write_one(connection, migration);
    if done.is_err() && !connection.is_autocommit() {
        // The first error says more than one of the roll-back could.
        let _ = connection.execute_batch("ROLLBACK");
    }
    done
}

fn write_one(connection: &Connection, migration: &Migration) -> Result<(), Trouble> {
    connection.execute_batch(LEDGER)?;
    // Another process may have applied it while we waited for the lock.
    if applied(connection, migration)?.is_none() {
        connection.execute_batch(migration.sql)?;
        connection.execute(
            "INSERT INTO migrations VALUES (?1, ?2, ?3, CAST(unixepoch('subsec') * 1000 AS INTEGER))",
            (migration.number, migration.name, checksum_of(migration)),
        )?;
        tracing::info!(migration = migration.name, "migration applied");
    }
    connection.execute_batch("COMMIT")?;
    Ok(())
}

fn checksum_of(migration: &Migration) -> String {
    BlobHash::of(migration.sql.as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::sqlite::file;

    const TWO: &[Migration] = &[
        Migration { number: 1, name: "0001_one", sql: "CREATE TABLE one (a)" },
        Migration { number: 2, name: "0002_two", sql: "CREATE TABLE two (a); INSERT INTO one VALUES (1)" },
    ];

    fn connection(home: &tempfile::TempDir) -> Connection {
        file::open(&home.path().join("posthaste.db")).unwrap()
    }

    fn error(outcome: Result<(), Trouble>) -> StoreError {
        outcome.unwrap_err().into()
    }

    #[test]
    fn resumes_where_it_was_killed_and_runs_nothing_twice() {
        let home = tempfile::tempdir().unwrap();
        apply(&connection(&home), &TWO[..1], true).unwrap();
        // As a kill in the middle of the second one leaves it: begun, not committed.
        let killed = connection(&home);
        killed.execute_batch("BEGIN IMMEDIATE; CREATE TABLE two (a)").unwrap();
        drop(killed);
        let connection = connection(&home);
        apply(&connection, TWO, true).unwrap();
        apply(&connection, TWO, true).unwrap();
        let rows: i64 = connection.query_row("SELECT count(*) FROM one", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 1);
    }

    #[test]
    fn a_migration_that_fails_leaves_nothing_behind() {
        let home = tempfile::tempdir().unwrap();
        let connection = connection(&home);
        let bad = [Migration { number: 1, name: "0001_bad", sql: "CREATE TABLE one (a); SELECT nonsense" }];
        assert!(apply(&connection, &bad, true).is_err());
        apply(&connection, TWO, true).unwrap();
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        let home = tempfile::tempdir().unwrap();
        let connection = connection(&home);
        let missing = StoreError::MigrationsMissing(vec!["0001_one".into(), "0002_two".into()]);
        assert_eq!(error(apply(&connection, TWO, false)), missing);
        apply(&connection, TWO, true).unwrap();
        let newer = StoreError::SchemaTooNew { found: 2, known: 1 };
        assert_eq!(error(apply(&connection, &TWO[..1], true)), newer);
        let changed = [Migration { number: 1, name: "0001_one", sql: "CREATE TABLE other (a)" }];
        let both = [&changed[0], &TWO[1]].map(|m| Migration { number: m.number, name: m.name, sql: m.sql });
        assert!(matches!(error(apply(&connection, &both, true)), StoreError::Corrupt(_)));
    }

    #[test]
    fn processes_that_start_at_once_take_turns() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("posthaste.db");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| run(&file::open(&path).unwrap(), true).unwrap());
            }
        });
        assert!(run(&connection(&home), false).is_ok());
    }
}
