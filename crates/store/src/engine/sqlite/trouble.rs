//! What can go wrong inside the engine, and what the caller may conclude from it.

use crate::StoreError;
use rusqlite::ErrorCode;

/// An error on its way out of the engine.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Found by us.
    Store(StoreError),
    /// Said by SQLite.
    Sql(rusqlite::Error),
}

impl Trouble {
    /// Whether the disk failed, so that the connection cannot be trusted any more.
    pub(super) fn is_io_error(&self) -> bool {
        self.code() == Some(ErrorCode::SystemIoFailure)
    }

    /// Whether the trouble lies in the one operation rather than in the store.
    pub(super) fn is_of_operation(&self) -> bool {
        match self.code() {
            None => true,
            Some(code) => !matches!(
                code,
                ErrorCode::SystemIoFailure
                    | ErrorCode::DiskFull
                    | ErrorCode::DatabaseBusy
                    | ErrorCode::DatabaseLocked
                    | ErrorCode::DatabaseCorrupt
                    | ErrorCode::NotADatabase
                    | ErrorCode::CannotOpen
                    | ErrorCode::ReadOnly
                    | ErrorCode::OutOfMemory
            ),
        }
    }

    fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Sql(error) => error.sqlite_error_code(),
            Self::Store(_) => None,
        }
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<Trouble> for StoreError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Store(error) => error,
            Trouble::Sql(error) => match error.sqlite_error_code() {
                Some(ErrorCode::ConstraintViolation) => Self::Conflict(unique_thing(&error.to_string())),
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                    Self::Corrupt(error.to_string())
                }
                Some(_) => Self::Unavailable(error.to_string()),
                // No error of SQLite itself: a column of another type than we write.
                None => Self::Corrupt(error.to_string()),
            },
        }
    }
}

/// The thing that stands already, from SQLite's `UNIQUE constraint failed: table.column`.
fn unique_thing(message: &str) -> &'static str {
    let things = [
        ("clients.name", "a client of this name"),
        ("domains.name", "a domain of this name"),
        ("credentials.key_hash", "a credential with this key"),
        ("emails.id", "an email with this id"),
        ("sender_configs.sender_key", "a sender config of this address"),
        ("users.email", "a user with this address"),
    ];
    things.iter().find(|(column, _)| message.contains(column)).map_or("it", |(_, thing)| thing)
}
