//! Why a command failed, in words for the terminal, and with which exit code.

use crate::app::StartError;
use crate::base::log::LogError;
use crate::blobs::BlobError;
use crate::config::ConfigErrors;
use posthaste_model::draft::Field;
use posthaste_model::refusal::{Fault, Refusal};
use posthaste_store::StoreError;
use std::fmt;
use std::io;

/// The command failed.
pub const FAILED: u8 = 1;
/// The command line is wrong.
pub const USAGE: u8 = 2;

/// A command that did not do what it was asked.
#[derive(Debug)]
pub enum Failure {
    /// The configuration has faults.
    Config(ConfigErrors),
    /// The installation cannot be opened.
    Start(StartError),
    /// The change was refused.
    Refused(Refusal),
    /// The store failed.
    Store(StoreError),
    /// The storage of attachments failed.
    Blobs(BlobError),
    /// A file or stream failed.
    Io {
        /// What was tried, on what.
        what: String,
        /// What the system said.
        error: io::Error,
    },
    /// Anything else, said as a whole sentence.
    Said(String),
    /// The arguments contradict each other.
    Usage(String),
}

impl Failure {
    /// The exit code.
    pub fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => USAGE,
            Self::Config(_)
            | Self::Start(_)
            | Self::Refused(_)
            | Self::Store(_)
            | Self::Blobs(_)
            | Self::Io { .. }
            | Self::Said(_) => FAILED,
        }
    }

    /// A file or stream that failed.
    pub fn io(what: impl Into<String>, error: io::Error) -> Self {
        Self::Io { what: what.into(), error }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(errors) => errors.fmt(f),
            Self::Start(error) => error.fmt(f),
            Self::Refused(refusal) => f.write_str(&words(refusal)),
            Self::Store(error) => error.fmt(f),
            Self::Blobs(error) => error.fmt(f),
            Self::Io { what, error } => write!(f, "{what}: {error}"),
            Self::Said(text) | Self::Usage(text) => f.write_str(text),
        }
    }
}

/// A refusal for the terminal.
fn words(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Invalid(faults) => faults.iter().map(fault).collect::<Vec<_>>().join("\n"),
        Refusal::TooLarge(found) => fault(found),
        Refusal::PermissionDenied(permission) => format!("the key lacks the permission {permission}"),
        Refusal::NotFound => "there is nothing of this name or id".into(),
        Refusal::IdempotencyKeyReused => "the idempotency key was used with another request".into(),
        Refusal::IdempotencyKeyInUse => "the first request with this idempotency key still runs".into(),
        Refusal::CannotCancel(status) => format!("the email cannot be cancelled: it is {status}"),
        Refusal::Conflict(detail) => detail.clone(),
        Refusal::CredentialGone => "the key was revoked or changed meanwhile; try again".into(),
        Refusal::Unavailable { may_be_stored: false, .. } => {
            "the store cannot take it now; nothing was changed, try again".into()
        }
        Refusal::Unavailable { may_be_stored: true, .. } => {
            "the store was lost during the change; look whether it was made before you try again".into()
        }
    }
}

fn fault(fault: &Fault) -> String {
    match flag(&fault.field) {
        // Messages of the operator's own fields name them already.
        Some(name) if !fault.message.starts_with(name) => format!("{name}: {}", fault.message),
        _ => fault.message.clone(),
    }
}

/// The flag or field that a fault is about.
fn flag(field: &Field) -> Option<&str> {
    match field {
        Field::From | Field::FromName => Some("from"),
        Field::To(_) => Some("to"),
        Field::Domain => Some("domain"),
        Field::Subject => Some("subject"),
        Field::Html => Some("html"),
        Field::Text => Some("text"),
        Field::TemplateCode => Some("template"),
        Field::Variables(below) => Some(below.trim_start_matches('/')),
        Field::Other(name) => Some(name.trim_start_matches('/')),
        _ => None,
    }
    .filter(|name| !name.is_empty())
}

macro_rules! from {
    ($($variant:ident($error:ty)),+ $(,)?) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        })+
    };
}
from!(Config(ConfigErrors), Start(StartError), Refused(Refusal), Store(StoreError), Blobs(BlobError));

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        Self::Said(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use posthaste_model::refusal::FaultCode;

    #[test]
    fn faults_name_their_field_once() {
        let named = Fault::new(Field::Other("name".into()), FaultCode::Required, "name is required");
        let bare =
            Fault::new(Field::Other("client".into()), FaultCode::InvalidValue, "no client has this name");
        let text = Failure::Refused(Refusal::Invalid(vec![named, bare])).to_string();
        assert_eq!(text, "name is required\nclient: no client has this name");
    }

    #[test]
    fn only_a_wrong_command_line_is_usage() {
        assert_eq!(Failure::Usage("x".into()).code(), 2);
        assert_eq!(Failure::Said("x".into()).code(), 1);
        assert_eq!(Failure::Refused(Refusal::NotFound).code(), 1);
    }
}
