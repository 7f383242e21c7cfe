//! The database file: where it lies, who may read it, how connections to it are set.

use super::trouble::Trouble;
use crate::StoreError;
use rusqlite::{Connection, OpenFlags};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

/// 3.7.0 to 3.51.2 can corrupt a database when two connections write and checkpoint at once.
const NEEDED: (i32, &str) = (3_051_003, "3.51.3");
/// How long a connection waits for another process (the command line) that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Statements kept prepared per connection: all of the hot ones and some.
const STATEMENTS: usize = 128;

/// Opens the database for writing, making it first where it is missing.
pub(super) fn open(path: &Path) -> Result<Connection, Trouble> {
    refuse_old_engine(rusqlite::version_number(), rusqlite::version())?;
    create(path).map_err(|error| unavailable(path, &error))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Larger pages cost less per row; they can be chosen only before the first table.
    connection.pragma_update(None, "page_size", 8192)?;
    switch_to_wal(&connection)?;
    // FULL: a commit is an fsync of the log. 500 pages: checkpoints stay short.
    connection.execute_batch(
        "PRAGMA synchronous = FULL;
         PRAGMA wal_autocheckpoint = 500;
         PRAGMA foreign_keys = OFF;
         PRAGMA cache_size = -16384;
         PRAGMA journal_size_limit = 67108864;
         PRAGMA temp_store = MEMORY;",
    )?;
    Ok(connection)
}

/// Opens the database for reading.
pub(super) fn open_reader(path: &Path) -> Result<Connection, Trouble> {
    // Not read-only: whoever reads a write-ahead log must be able to write its index.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection
        .execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -4096; PRAGMA temp_store = MEMORY;")?;
    Ok(connection)
}

fn refuse_old_engine(number: i32, name: &str) -> Result<(), StoreError> {
    if number < NEEDED.0 {
        return Err(StoreError::TooOld { engine: "SQLite", found: name.to_owned(), needed: NEEDED.1 });
    }
    Ok(())
}

/// Makes the folder (0700) and an empty file (0600), so that the log and its index, which take the file's
/// permissions, are never open to others, not even for a moment.
fn create(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => {
            file.sync_all()?;
            // Without this the file's name may be lost with the power though its content is on the disk.
            File::open(folder)?.sync_all()
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => narrow_permissions(path),
        Err(error) => Err(error),
    }
}

fn narrow_permissions(path: &Path) -> io::Result<()> {
    let mut permissions = std::fs::metadata(path)?.permissions();
    if permissions.mode() & 0o077 != 0 {
        permissions.set_mode(0o600);
        std::fs::set_permissions(path, permissions)?;
    }
    Ok(())
}

/// The switch needs the file for itself for a moment, and SQLite does not always wait for that.
fn switch_to_wal(connection: &Connection) -> Result<(), Trouble> {
    let begun = Instant::now();
    loop {
        let switched: Result<String, _> =
            connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0));
        match switched {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(mode) => {
                return Err(StoreError::Unavailable(format!("no write-ahead log here, only `{mode}`")).into());
            }
            Err(error)
                if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy)
                    && begun.elapsed() < BUSY_TIMEOUT =>
            {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// A file error with the path it is about.
pub(super) fn unavailable(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Unavailable(format!("{}: {error}", path.display()))
}

/// A new file that only the owner may read; an error when it exists.
pub(super) fn create_private(path: &Path) -> Result<(), StoreError> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    made.map(|_| ()).map_err(|error| unavailable(path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_an_engine_that_can_corrupt() {
        assert!(refuse_old_engine(3_051_003, "3.51.3").is_ok());
        let refused = refuse_old_engine(3_051_002, "3.51.2");
        assert_eq!(
            refused,
            Err(StoreError::TooOld { engine: "SQLite", found: "3.51.2".into(), needed: "3.51.3" })
        );
    }

    #[test]
    fn only_the_owner_may_read_the_files() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("data/posthaste.db");
        let connection = open(&path).unwrap();
        connection.execute_batch("CREATE TABLE t (a)").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        for name in ["posthaste.db", "posthaste.db-wal", "posthaste.db-shm"] {
            assert_eq!(mode(&path.with_file_name(name)), 0o600, "{name}");
        }
    }
}
