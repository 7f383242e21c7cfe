//! The sending side: one session ([`Connection`]), reused for many messages, and a [`pool`] of sessions.
//!
//! A message's end is told per recipient ([`RecipientOutcome`]). What the peer may have taken although it never said
//! so is `Uncertain`, an outcome of its own, because only the caller can decide whether a second copy is the lesser
//! evil.

mod auth;
mod capabilities;
mod connection;
mod envelope;
mod outcome;
pub mod pool;
mod preflight;
mod settings;
mod tls;
mod transaction;
mod watch;
mod wire;

pub use auth::AuthMechanism;
pub use capabilities::Capabilities;
pub use connection::Connection;
pub use envelope::{AddressFault, Envelope, check_address};
pub use outcome::{RecipientOutcome, SendResult, SmtpError};
pub use pool::Pool;
pub use settings::{ConnectSettings, Credentials, Encryption, Password, Timeouts};
pub use tls::{TlsConfigError, tls_client_config};
pub use watch::{Passage, Watch};
