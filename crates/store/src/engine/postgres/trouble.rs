//! What can go wrong inside the engine, and what the caller may conclude from it.

use crate::StoreError;
use deadpool_postgres::{HookError, PoolError, TimeoutType};
use tokio_postgres::error::{DbError, SqlState};

/// An error on its way out of the engine.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Found by us.
    Store(StoreError),
    /// Said by PostgreSQL, or by the way there.
    Sql(tokio_postgres::Error),
}

impl Trouble {
    /// Whether the same transaction may succeed when it is run again at once: it lost against another one.
    pub(super) fn is_conflict(&self) -> bool {
        // 25P02: a statement sent along with others before it failed; the first error may be one of the two.
        // 23514: the partition of a row's day was made after the row was sent to the default one. No table that is
        // written to has another check.
        let codes = [
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::IN_FAILED_SQL_TRANSACTION,
            SqlState::CHECK_VIOLATION,
        ];
        self.code().is_some_and(|code| codes.contains(code))
    }

    /// Whether the connection is gone: by an error of the network, or because the server ended it.
    pub(super) fn is_lost(&self) -> bool {
        match self {
            Self::Store(_) => false,
            Self::Sql(error) => match error.as_db_error() {
                Some(said) => ends_connection(said.code()),
                None => {
                    error.is_closed()
                        || std::error::Error::source(error)
                            .is_some_and(<dyn std::error::Error>::is::<std::io::Error>)
                }
            },
        }
    }

    /// Whether this error of a COMMIT leaves open if it happened.
    pub(super) fn is_uncertain(&self) -> bool {
        match self {
            Self::Store(_) => false,
            Self::Sql(error) => error.as_db_error().is_none_or(|said| ends_connection(said.code())),
        }
    }

    /// Whether one operation is at fault, so that others of its group may succeed without it.
    pub(super) fn is_of_operation(&self) -> bool {
        match self {
            Self::Store(StoreError::NotFound | StoreError::Conflict(_) | StoreError::Corrupt(_)) => true,
            Self::Store(_) => false,
            // Class 22: data that cannot be stored (a NUL in a text); class 23: a constraint.
            Self::Sql(error) => match error.code() {
                Some(code) => code.code().starts_with("22") || code.code().starts_with("23"),
                None => !error.is_closed() && !self.is_lost(),
            },
        }
    }

    fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Sql(error) => error.code(),
            Self::Store(_) => None,
        }
    }
}

/// Class 08: connection exceptions; 57P0x: the server ends, crashed or starts; 25006: it became a standby.
fn ends_connection(code: &SqlState) -> bool {
    let code = code.code();
    code.starts_with("08") || matches!(code, "57P01" | "57P02" | "57P03" | "57P05" | "25006" | "25P03")
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<tokio_postgres::Error> for Trouble {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<PoolError> for Trouble {
    fn from(error: PoolError) -> Self {
        let error = match error {
            PoolError::Timeout(TimeoutType::Wait) => StoreError::Busy,
            PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle) => {
                StoreError::Unavailable("PostgreSQL does not answer".into())
            }
            PoolError::Closed => StoreError::Closed,
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
                return Self::Sql(error);
            }
            PoolError::PostCreateHook(HookError::Message(message)) => {
                StoreError::Unavailable(message.into_owned())
            }
            PoolError::NoRuntimeSpecified => StoreError::Unavailable("no runtime for timeouts".into()),
        };
        Self::Store(error)
    }
}

impl From<Trouble> for StoreError {
    fn from(trouble: Trouble) -> Self {
        let error = match trouble {
            Trouble::Store(error) => return error,
            Trouble::Sql(error) => error,
        };
        match error.as_db_error() {
            Some(said) => of_server(said),
            None if error.is_closed() => Self::Unavailable("the connection to PostgreSQL was lost".into()),
            None => match std::error::Error::source(&error) {
                // A value of another type than we write.
                Some(source) if error.to_string().starts_with("error deserializing") => {
                    Self::Corrupt(format!("{error}: {source}"))
                }
                Some(source) => Self::Unavailable(format!("{error}: {source}")),
                None => Self::Unavailable(error.to_string()),
            },
        }
    }
}

fn of_server(said: &DbError) -> StoreError {
    let text = said.message();
    match said.code().code() {
        "23505" => StoreError::Conflict(unique_thing(said)),
        // Too many connections; no lock within its time; lost against others again and again.
        "53300" | "55P03" | "40001" | "40P01" | "23514" => StoreError::Busy,
        "57014" => StoreError::Unavailable("PostgreSQL did not answer in time".into()),
        code if code.starts_with("XX") => StoreError::Corrupt(text.to_owned()),
        code => StoreError::Unavailable(format!("{text} ({code})")),
    }
}

/// The thing that stands already, by the constraint's name. Days of emails have constraints of their own.
fn unique_thing(said: &DbError) -> &'static str {
    let things = [
        ("clients_name", "a client of this name"),
        ("domains_name", "a domain of this name"),
        ("sender_configs_sender", "a sender config of this address"),
        ("users_email", "a user with this address"),
        ("credentials_key_hash", "a credential with this key"),
        ("emails_", "an email with this id"),
    ];
    let name = said.constraint().unwrap_or_default();
    things.iter().find(|(begins, _)| name.starts_with(begins)).map_or("it", |(_, thing)| thing)
}
