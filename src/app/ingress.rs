//! The SMTP ingress of one process: its listeners, and where others find them.

use super::serve::{REQUESTS_DRAIN, read_tls};
use super::{App, StartError};
use crate::admin::DEFAULT_CLIENT;
use crate::base::tasks::Tasks;
use crate::config::DataDirectory;
use crate::surfaces::http::body::Bodies;
use crate::surfaces::smtp_ingress::{self, BoundIngress, SmtpIngress, SmtpIngressParts};
use posthaste_smtp::server::ServerSettings;
use std::net::SocketAddr;

/// The share of the requests' drain that a transaction under way may take; the rest is for closing.
const SESSIONS_DRAIN: f64 = 0.8;

/// Listeners that have their addresses.
pub(super) struct Ingress {
    surface: SmtpIngress,
    bound: Vec<BoundIngress>,
    names: Vec<&'static str>,
}

/// Takes the addresses and writes them down. The content of mail shares the memory of `bodies`.
pub(super) fn open(app: &App, data: &DataDirectory, bodies: &Bodies) -> Result<Ingress, StartError> {
    let smtp = &app.settings.smtp;
    let surface = SmtpIngress::new(parts(app, bodies)?);
    let wanted = [("smtp", "smtp.listen", Some(smtp.listen)), ("smtps", "smtp.tls_listen", smtp.tls_listen)];
    let (mut bound, mut names) = (Vec::new(), Vec::new());
    for (name, key, address) in wanted {
        let Some(address) = address else { continue };
        let listener = bind(key, address, name == "smtps")?;
        data.write_address(name, listener.local_addr())?;
        tracing::info!(address = %listener.local_addr(), "{name} listens");
        bound.push(listener);
        names.push(name);
    }
    Ok(Ingress { surface, bound, names })
}

fn bind(key: &'static str, address: SocketAddr, tls_first: bool) -> Result<BoundIngress, StartError> {
    smtp_ingress::bind(address, tls_first).map_err(|error| StartError::Listen { key, address, error })
}

fn parts(app: &App, bodies: &Bodies) -> Result<SmtpIngressParts, StartError> {
    let (smtp, limits) = (&app.settings.smtp, &app.settings.limits);
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let tls = match &smtp.tls {
        None => None,
        Some(files) => {
            let mut config = rustls::ServerConfig::clone(&*read_tls("smtp", files)?);
            // The protocols named there are those of the web.
            config.alpn_protocols.clear();
            Some(config.into())
        }
    };
    let settings = ServerSettings {
        max_bytes: size(smtp.max_bytes),
        max_recipients: smtp.max_recipients,
        idle_timeout: smtp.idle_timeout,
        drain: app.settings.delivery.drain.mul_f64(REQUESTS_DRAIN * SESSIONS_DRAIN),
        tls,
        ..ServerSettings::new(smtp.hostname.clone())
    };
    Ok(SmtpIngressParts {
        intake: app.intake.clone(),
        news: app.news.clone(),
        return_paths: app.return_paths.clone(),
        auth: app.auth.clone(),
        limits: app.limits.clone(),
        budget: bodies.budget(),
        clock: app.clock.clone(),
        chance: app.chance.clone(),
        metrics: app.metrics.clone(),
        settings,
        allowed_networks: smtp.allowed_networks.clone(),
        auth_required: smtp.auth_required,
        client: DEFAULT_CLIENT,
        per_key: limits.per_key,
        per_address: limits.per_ip,
        max_connections: smtp.max_connections,
    })
}

impl Ingress {
    /// Serves until the shutdown of `tasks` begins.
    pub(super) fn run(&mut self, tasks: &Tasks) {
        self.surface.serve(std::mem::take(&mut self.bound), tasks);
    }

    /// Takes the addresses back.
    pub(super) fn leave(&self, data: &DataDirectory) {
        for name in &self.names {
            data.remove_address(name);
        }
    }
}
