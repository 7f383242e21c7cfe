//! From what was written to what is used: types, defaults, and everything that contradicts something else.

mod delivery;
mod otel;
mod parts;
mod process;
mod routes;
mod surfaces;
mod transports;

use super::fault::Fault;
use super::keys::{self, Kind};
use super::raw::{Origin, Raw, Written};
use super::settings::Settings;
use super::value::{Setting, WebUrl};
use std::path::{Path, PathBuf};

/// Resolves `raw`; relative paths start at `directory`. With any fault the settings are worth nothing.
pub(super) fn resolve(raw: &Raw, directory: &Path, faults: &mut Vec<Fault>) -> Settings {
    let mut r = Resolver { raw, directory, faults };
    let data = r.data();
    let smtp = r.smtp();
    let store = r.store(&data);
    let secrets = r.secrets(&store);
    let (transports, hooks) = r.transports(&smtp.hostname);
    Settings {
        log: r.log(&data),
        http: r.http(),
        limits: r.limits(),
        delivery: r.delivery(),
        attachments: r.attachments(),
        webhooks: r.webhooks(),
        idempotency: r.idempotency(),
        dns: r.dns(),
        eo: r.eo(),
        oauth: r.oauth(),
        otel: r.otel(),
        retention: r.retention(),
        mail: r.mail(&transports),
        aegis: r.aegis(),
        mail_proxy: r.mail_proxy(&store),
        graph: r.graph_endpoints("graph"),
        routes: r.routes(&transports),
        queue: r.queue(),
        cache: r.cache(),
        blobs: r.blobs(&data, &store),
        data,
        smtp,
        secrets,
        hooks,
        transports,
        store,
    }
}

/// Reads keys by path and gathers faults. A fault leaves the default in place, so that the rest is checked too.
struct Resolver<'a> {
    raw: &'a Raw,
    directory: &'a Path,
    faults: &'a mut Vec<Fault>,
}

impl Resolver<'_> {
    /// What was written for a key; nothing when it was not written, or wrongly, which is a fault.
    fn written<T: Setting>(&mut self, path: &str) -> Option<T> {
        debug_assert!(keys::find(path).is_some(), "{path} is not in the table of keys");
        let entry = self.raw.get(path)?;
        // An empty text is how a file says "not set".
        if entry.written == Written::Text(String::new()) {
            return None;
        }
        match T::read(&entry.written) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.note(Fault::new(entry.origin.clone(), path, problem));
                None
            }
        }
    }

    /// What holds for a key that has a default in the table.
    fn value<T: Setting>(&mut self, path: &str) -> T {
        if let Some(value) = self.written(path) {
            return value;
        }
        let default = keys::find(path).map(|key| key.default).unwrap_or_default();
        T::read(&Written::Text(default.to_owned()))
            .expect("the table's defaults have the type of their key, which the tests resolve")
    }

    /// A word out of the few that the table lists for a key.
    fn choice(&mut self, path: &str) -> Option<&'static str> {
        let word: String = self.written(path)?;
        let Some(Kind::Choice(words)) = keys::find(path).map(|key| key.kind) else { return None };
        let found = words.iter().find(|known| known.eq_ignore_ascii_case(&word)).copied();
        if found.is_none() {
            self.fault(path, format!("{word:?} is unknown; write {}", words.join(", ")));
        }
        found
    }

    /// What must be written for a key.
    fn required<T: Setting>(&mut self, path: &str) -> Option<T> {
        if self.raw.get(path).is_none() {
            let variables: Vec<&str> =
                keys::PLAIN_VARIABLES.iter().filter(|plain| plain.path == path).map(|p| p.name).collect();
            let hint = if variables.is_empty() {
                String::new()
            } else {
                format!(", or set {}", variables.join(" or "))
            };
            self.fault(path, format!("is missing; write it{hint}"));
            return None;
        }
        self.written(path)
    }

    fn is_written(&self, path: &str) -> bool {
        self.raw.get(path).is_some()
    }

    fn url(&mut self, path: &str) -> Option<String> {
        self.written::<WebUrl>(path).map(|url| url.0)
    }

    fn path(&mut self, path: &str) -> Option<PathBuf> {
        self.written::<PathBuf>(path).map(|file| self.directory.join(file))
    }

    /// Notes a fault of a key where it was written.
    fn fault(&mut self, path: &str, problem: impl Into<String>) {
        let origin = self.raw.origin(path);
        self.note(Fault::new(origin, path, problem));
    }

    /// Notes a fault once, however often its key is looked at.
    fn note(&mut self, fault: Fault) {
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    /// Notes a fault unless `holds`.
    fn ensure(&mut self, holds: bool, path: &str, problem: &str) {
        if !holds {
            self.fault(path, problem);
        }
    }

    /// Is the default the only thing that holds here?
    fn is_default(&self, path: &str) -> bool {
        self.raw.origin(path) == Origin::Default
    }
}
