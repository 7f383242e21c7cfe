//! Copies and checks of the whole store.

use super::Sqlite;
use super::file;
use super::trouble::Trouble;
use crate::StoreError;
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Reading a whole store takes as long as the disk needs; this is for one that hangs.
const CHECK_LIMIT: Duration = Duration::from_mins(30);

impl Sqlite {
    pub(crate) async fn backup(&self, path: &Path) -> Result<(), StoreError> {
        let (from, to) = (self.readers.path().to_owned(), path.to_owned());
        let copied = tokio::task::spawn_blocking(move || copy(&from, &to));
        copied.await.map_err(|error| StoreError::Unavailable(error.to_string()))?.map_err(StoreError::from)
    }

    pub(crate) async fn check_integrity(&self) -> Result<(), StoreError> {
        self.readers
            .read_within(CHECK_LIMIT, |connection| {
                let found: String =
                    connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
                if found == "ok" { Ok(()) } else { Err(StoreError::Corrupt(found).into()) }
            })
            .await
    }
}

/// Copies in one go: a reader holds up nobody under a write-ahead log, whereas a copy in steps starts again with
/// every commit beside it.
fn copy(from: &Path, to: &PathBuf) -> Result<(), Trouble> {
    file::create_private(to)?;
    let source = file::open_reader(from)?;
    let mut target = Connection::open(to)?;
    target.pragma_update(None, "synchronous", "FULL")?;
    let done = Backup::new(&source, &mut target)?.step(-1)?;
    if done != StepResult::Done {
        return Err(StoreError::Unavailable("the database is locked".into()).into());
    }
    // One file to carry away: nothing of it may lie in a log beside it.
    target.pragma_update(None, "journal_mode", "DELETE")?;
    target.close().map_err(|(_, error)| error)?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let synced =
        File::open(to).and_then(|file| file.sync_all()).and_then(|()| File::open(folder)?.sync_all());
    Ok(synced.map_err(|error| file::unavailable(to, &error))?)
}
