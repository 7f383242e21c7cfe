//! The bounds of a session.

use std::sync::Arc;
use std::time::Duration;

/// How sessions behave.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// The name in the greeting and in replies to EHLO.
    pub hostname: String,
    /// Largest message, octets (SIZE, RFC 1870).
    pub max_bytes: usize,
    /// Recipients of one message; more are answered 452 4.5.3.
    pub max_recipients: usize,
    /// How long a connection may be silent between commands (RFC 5321 section 4.5.3.2.7).
    pub idle_timeout: Duration,
    /// From the first octet of a command to its last, for a TLS handshake, and for content before its rate counts.
    pub patience: Duration,
    /// Content must keep this rate, octets a second, once `patience` is used up.
    pub min_rate: u32,
    /// How long a peer may take nothing of what it is told.
    pub write_timeout: Duration,
    /// How long to look for a peer that talks before it was greeted.
    pub greeting_pause: Duration,
    /// How long a transaction under way may take to end once the server stops.
    pub drain: Duration,
    /// Certificate and key; STARTTLS is offered when there is one.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Refused commands of one session; more end it with 421 4.7.0.
    pub max_errors: u32,
    /// Commands that do nothing (NOOP, RSET, VRFY, ...) between two messages; more count as errors.
    pub max_idle_commands: u32,
    /// Failed logins of one session; the last one ends it with 421 4.7.0.
    pub max_failed_logins: u32,
}

impl ServerSettings {
    /// The defaults for a server of that name.
    pub fn new(hostname: impl Into<String>) -> Self {
        Self {
            hostname: hostname.into(),
            max_bytes: 40 * 1024 * 1024,
            max_recipients: 100,
            idle_timeout: Duration::from_mins(5),
            patience: Duration::from_secs(20),
            min_rate: 1000,
            write_timeout: Duration::from_secs(20),
            greeting_pause: Duration::from_millis(5),
            drain: Duration::from_secs(10),
            tls: None,
            max_errors: 100,
            max_idle_commands: 1000,
            max_failed_logins: 5,
        }
    }
}
