//! How to reach a relay.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Whether and when the connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encryption {
    /// Never: the operator's explicit choice, credentials included.
    None,
    /// STARTTLS, required: without it nothing is sent (RFC 3207).
    StartTls,
    /// TLS from the first byte (RFC 8314).
    Tls,
}

/// A password that does not show itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Wraps a password.
    pub fn new(password: impl Into<String>) -> Self {
        Self(password.into())
    }

    /// The password itself, for AUTH alone.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// Who we are to the relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: Password,
}

/// How long each step may take (RFC 5321 section 4.5.3.2). A reply must be whole within its time, so a relay that
/// sends a byte a second gains nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// Name resolution and TCP, over all addresses of the name; also the TLS handshake.
    pub connect: Duration,
    /// The banner.
    pub greeting: Duration,
    /// EHLO, HELO, STARTTLS and each step of AUTH.
    pub ehlo: Duration,
    /// MAIL FROM, RSET.
    pub mail: Duration,
    /// Each RCPT TO.
    pub rcpt: Duration,
    /// The 354 to DATA.
    pub data_init: Duration,
    /// Each block of the content written.
    pub data_block: Duration,
    /// The reply to the whole message.
    pub data_done: Duration,
    /// QUIT, after which nobody waits longer.
    pub quit: Duration,
    /// Waiting for a free connection of a full pool.
    pub pool_wait: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            greeting: Duration::from_mins(5),
            ehlo: Duration::from_mins(5),
            mail: Duration::from_mins(5),
            rcpt: Duration::from_mins(5),
            data_init: Duration::from_mins(2),
            data_block: Duration::from_mins(3),
            data_done: Duration::from_mins(10),
            quit: Duration::from_secs(5),
            pool_wait: Duration::from_mins(1),
        }
    }
}

impl Timeouts {
    /// The same time for every step, as tests want it.
    pub fn all(each: Duration) -> Self {
        Self {
            connect: each,
            greeting: each,
            ehlo: each,
            mail: each,
            rcpt: each,
            data_init: each,
            data_block: each,
            data_done: each,
            quit: each,
            pool_wait: each,
        }
    }
}

/// Everything needed to open a session.
#[derive(Debug, Clone)]
pub struct ConnectSettings {
    /// Name or address of the relay; the certificate is checked against it.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether and when to encrypt.
    pub encryption: Encryption,
    /// Who we are, if the relay asks.
    pub credentials: Option<Credentials>,
    /// Our name in EHLO: a domain, or an address literal such as `[192.0.2.1]`.
    pub helo_name: String,
    /// Roots, versions and provider for TLS; see [`tls_client_config`](super::tls_client_config).
    pub tls: Arc<rustls::ClientConfig>,
    /// How long each step may take.
    pub timeouts: Timeouts,
    /// Refuse larger messages without asking the relay, bytes.
    pub max_message_bytes: Option<usize>,
}
