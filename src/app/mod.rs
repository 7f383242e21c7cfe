//! Assembly: settings become parts, parts become a server. The only place that sees them all.

mod doors;
mod first_start;
mod ingress;
mod lock;
mod news;
mod parts;
mod serve;
mod transports;
mod webhooks;

pub use first_start::Welcome;
pub use lock::{Seat, hold_data_directory, take_queue_worker};
pub use parts::{App, BuildOptions};
pub use serve::{Roles, serve, work_off};

use crate::base::vault::VaultError;
use crate::blobs::BlobError;
use crate::config::DataError;
use posthaste_store::StoreError;

/// Why nothing starts. The message says what would mend it.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The encryption key is no key.
    #[error("secrets.encryption_key: {0}")]
    Vault(#[from] VaultError),
    /// The store cannot be opened.
    #[error("the store cannot be opened: {0}")]
    Store(#[from] StoreError),
    /// The blob folder cannot be opened.
    #[error("the attachments' folder cannot be opened: {0}")]
    Blobs(#[from] BlobError),
    /// A setting asks for what this build does not have, or contradicts another.
    #[error("{0}")]
    Setting(String),
    /// Another server works in this data directory.
    #[error(
        "another server with role all runs on {0}; stop it, choose another DATA_DIR, or start this one with \
         --role worker"
    )]
    Occupied(String),
    /// A listener cannot be opened.
    #[error("{key}: cannot listen on {address}: {error}")]
    Listen {
        /// The setting.
        key: &'static str,
        /// The address.
        address: std::net::SocketAddr,
        /// What the system said.
        error: std::io::Error,
    },
    /// Any other trouble of the system.
    #[error("{what}: {error}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        error: std::io::Error,
    },
}
