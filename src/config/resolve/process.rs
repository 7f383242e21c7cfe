//! The process itself: data directory, logs and listeners.

use super::Resolver;
use crate::base::log::LogSettings;
use crate::config::settings::{DataSettings, HttpSettings, LimitSettings, SmtpSettings, TlsFiles};
use crate::config::value::Bytes;
use std::path::PathBuf;
use std::time::Duration;

/// What we are called when the machine does not say its name.
const NAMELESS: &str = "localhost";

impl Resolver<'_> {
    pub(super) fn data(&mut self) -> DataSettings {
        let dir: PathBuf = self.value("data.dir");
        DataSettings { dir: self.directory.join(dir) }
    }

    pub(super) fn log(&mut self, data: &DataSettings) -> LogSettings {
        LogSettings {
            format: self.value("log.format"),
            level: self.value("log.level"),
            directory: Some(data.dir.join("logs")),
            hash_addresses: self.value("log.hash_addresses"),
        }
    }

    pub(super) fn http(&mut self) -> HttpSettings {
        HttpSettings {
            listen: self.value("http.listen"),
            public_url: self.url("http.public_url"),
            trusted_proxies: self.value("http.trusted_proxies"),
            header_timeout: self.wait("http.header_timeout"),
            body_timeout: self.wait("http.body_timeout"),
            idle_timeout: self.wait("http.idle_timeout"),
            max_connections: self.value("http.max_connections"),
            tls: self.tls_files("http"),
        }
    }

    pub(super) fn limits(&mut self) -> LimitSettings {
        LimitSettings {
            per_key: self.value("limits.per_key"),
            per_ip: self.value("limits.per_ip"),
            aegis: self.value("limits.aegis"),
            login_attempts: self.value("limits.login_attempts"),
            body_bytes: self.bytes("limits.body"),
            memory_for_bodies_bytes: self.memory_for_bodies(),
            recipients: self.value("limits.recipients"),
            batch: self.value("limits.batch"),
        }
    }

    fn memory_for_bodies(&mut self) -> u64 {
        let memory = self.bytes("limits.memory_for_bodies");
        let body = self.bytes("limits.body");
        self.ensure(
            memory >= body,
            "limits.memory_for_bodies",
            "is smaller than limits.body; the largest body would never fit",
        );
        memory
    }

    pub(super) fn smtp(&mut self) -> SmtpSettings {
        let tls = self.tls_files("smtp");
        let tls_listen = self.written("smtp.tls_listen");
        self.ensure(
            tls_listen.is_none() || tls.is_some(),
            "smtp.tls_listen",
            "needs smtp.tls_cert and smtp.tls_key",
        );
        SmtpSettings {
            listen: self.value("smtp.listen"),
            tls_listen,
            tls,
            allowed_networks: self.value("smtp.allowed_networks"),
            auth_required: self.value("smtp.auth_required"),
            max_bytes: self.bytes("smtp.max_bytes"),
            max_recipients: self.value("smtp.max_recipients"),
            max_connections: self.value("smtp.max_connections"),
            idle_timeout: self.wait("smtp.idle_timeout"),
            hostname: self.hostname("smtp.hostname").unwrap_or_else(machine_name),
            return_path_domain: self.written("smtp.return_path_domain"),
        }
    }

    /// A name that can be said in EHLO.
    pub(super) fn hostname(&mut self, path: &str) -> Option<String> {
        let name: String = self.written(path)?;
        let fits = is_host_name(&name);
        self.ensure(fits, path, "is not a host name; write mail.example.org");
        fits.then_some(name)
    }

    fn tls_files(&mut self, section: &str) -> Option<TlsFiles> {
        let (cert_path, key_path) = (format!("{section}.tls_cert"), format!("{section}.tls_key"));
        match (self.path(&cert_path), self.path(&key_path)) {
            (Some(cert), Some(key)) => Some(TlsFiles { cert, key }),
            (None, None) => None,
            (Some(_), None) => {
                self.fault(&cert_path, format!("needs {key_path}"));
                None
            }
            (None, Some(_)) => {
                self.fault(&key_path, format!("needs {cert_path}"));
                None
            }
        }
    }

    pub(super) fn bytes(&mut self, path: &str) -> u64 {
        self.value::<Bytes>(path).0
    }

    /// A duration that must not be nothing.
    pub(super) fn wait(&mut self, path: &str) -> Duration {
        let wait: Duration = self.value(path);
        self.ensure(!wait.is_zero(), path, "is no time at all; write 10s or more");
        wait
    }
}

/// The machine's own name, as the kernel knows it.
fn machine_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if is_host_name(name) { name.to_owned() } else { NAMELESS.to_owned() }
}

fn is_host_name(text: &str) -> bool {
    (1..=253).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.' || b == b'_')
}
