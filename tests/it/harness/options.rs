//! How a server is started: its variables, its file, its role.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::installation::Installation;
use super::relay::Relay;
use super::server::Server;

/// How a server is started. The environment is empty but for what stands here.
#[derive(Clone)]
pub struct ServerOptions {
    pub(super) env: Vec<(OsString, OsString)>,
    pub(super) toml: Option<String>,
    pub(super) data: Option<PathBuf>,
    /// The role, and the file that will say where it listens.
    pub(super) role: Option<(&'static str, String)>,
    pub(super) installation: Installation,
    /// What a shell does before it becomes the server.
    pub(super) under: Option<String>,
}

impl Default for ServerOptions {
    /// Limits that no journey reaches by accident; mail stays in the inbox.
    fn default() -> Self {
        let installation = Installation::chosen();
        let options = Self { env: Vec::new(), toml: None, data: None, role: None, installation, under: None };
        options
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HTTP_LISTEN", "127.0.0.1:0")
            .env("SMTP_LISTEN", "127.0.0.1:0")
            .env("POSTHASTE_LIMITS__PER_KEY", "1000000/min")
            .env("POSTHASTE_LIMITS__PER_IP", "1000000/min")
    }
}

impl ServerOptions {
    /// Sends to `relay`, in clear, with waits short enough for a test.
    pub fn to_relay(relay: &Relay) -> Self {
        Self::to_smtp(relay.address())
    }

    /// [`Self::to_relay`] for any address.
    pub fn to_smtp(address: SocketAddr) -> Self {
        Self::default()
            .env("SMTP_HOST", address.ip().to_string())
            .env("SMTP_PORT", address.port().to_string())
            .env("SMTP_ENCRYPTION", "none")
            .env("SMTP_AUTH", "false")
            .env("POSTHASTE_DELIVERY__RETRY_SCHEDULE", "1s")
            .env("POSTHASTE_DELIVERY__UNCERTAIN_DELAY", "1s")
            .env("POSTHASTE_DELIVERY__BREAKER_OPEN", "1s")
    }

    /// Sets (or replaces) a variable.
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.retain(|(other, _)| *other != name);
        self.env.push((name.into(), value.into()));
        self
    }

    /// Does not set a variable.
    pub fn without(mut self, name: &str) -> Self {
        self.env.retain(|(other, _)| *other != name);
        self
    }

    /// Writes `posthaste.toml` and starts with `--config`.
    pub fn toml(mut self, text: &str) -> Self {
        self.toml = Some(text.to_owned());
        self
    }

    /// Keeps the data elsewhere, such as on a small disk.
    pub fn data_at(mut self, directory: &Path) -> Self {
        self.data = Some(directory.to_owned());
        self
    }

    /// Started by a shell that first runs `line`, such as an `ulimit`.
    pub fn under(mut self, line: &str) -> Self {
        self.under = Some(line.to_owned());
        self
    }

    /// Serves requests only; others deliver.
    pub fn api_only(mut self) -> Self {
        self.role = Some(("api", "http.addr".to_owned()));
        self
    }

    /// Delivers only, as the `number`th worker on the data of `server`.
    pub fn worker_beside(mut self, server: &Server, number: usize) -> Self {
        self.role = Some(("worker", format!("worker-{number}.addr")));
        self.data_at(&server.data())
    }

    /// Delivers only, with a data directory of its own.
    pub fn worker_only(mut self) -> Self {
        self.role = Some(("worker", "worker-1.addr".to_owned()));
        self
    }

    /// Takes the parts from its own variables alone, whichever installation this run is about.
    pub fn on_parts_of_its_own(mut self) -> Self {
        self.installation = Installation::Embedded;
        self.env("ENCRYPTION_KEY", BASE64.encode([7; 32]))
            .env("JWT_SECRET", "a secret of the journeys, long enough to sign with")
    }

    /// Takes mail by SMTP only, on the data of `server`.
    pub fn smtp_beside(mut self, server: &Server) -> Self {
        self.role = Some(("smtp", "smtp-1.addr".to_owned()));
        self.data_at(&server.data())
    }

    /// Crashes at a named place (debug builds only).
    pub fn fault(self, spec: &str) -> Self {
        self.env("POSTHASTE_FAULT", spec)
    }
}
