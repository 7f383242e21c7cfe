//! Settings of the ways out become transports.

use super::StartError;
use crate::base::chance::Chance;
use crate::base::clock::Clock;
use crate::base::return_path::ReturnPaths;
use crate::blobs::Blobs;
use crate::config::{Encryption, RouteSettings, Settings, SmtpRelay, TransportKind, TransportSettings};
use crate::dispatch::Way;
use crate::routing::{Door, RouteRule, Routes};
use crate::transports::{InboxBell, InboxTransport, SmtpTransport, Transport};
use posthaste_model::fault::Faults;
use posthaste_smtp::client::{ConnectSettings, Credentials, Password, Timeouts, tls_client_config};
use posthaste_store::Store;
use std::sync::Arc;

/// What transports are built on.
pub struct Ground<'a> {
    pub store: &'a Store,
    pub blobs: &'a Blobs,
    pub bell: &'a InboxBell,
    pub clock: &'a Clock,
    pub chance: &'a Chance,
    pub faults: &'a Faults,
    pub return_paths: Option<&'a ReturnPaths>,
}

/// Every configured transport, with the operator's limits on it: `attempts_at_once` (`delivery.workers`) holds for each,
/// so that one that is stuck leaves the others theirs.
pub fn build(
    settings: &[TransportSettings],
    attempts_at_once: usize,
    ground: &Ground<'_>,
) -> Result<Vec<Way>, StartError> {
    let tls = tls_client_config(None).map_err(|error| StartError::Setting(error.to_string()))?;
    let mut ways = Vec::with_capacity(settings.len());
    for one in settings {
        let transport = match &one.kind {
            TransportKind::Smtp(relay) => {
                let connect = connect_settings(relay, &tls);
                let smtp = SmtpTransport::new(&one.name, connect, one.max_connections, ground.faults.clone());
                Transport::Smtp(smtp.with_return_paths(ground.return_paths.cloned()))
            }
            TransportKind::Inbox => Transport::Inbox(InboxTransport::new(
                &one.name,
                ground.store.clone(),
                ground.blobs.clone(),
                ground.bell.clone(),
                ground.clock.clone(),
                ground.chance.clone(),
            )),
            TransportKind::Sendgrid(_)
            | TransportKind::Mailgun(_)
            | TransportKind::Ses(_)
            | TransportKind::Graph(_) => {
                let kind = one.kind.as_str();
                let message = format!(
                    "transports.{}: this version cannot send by {kind} yet; remove it, or use the provider's \
                     SMTP relay",
                    one.name
                );
                return Err(StartError::Setting(message));
            }
        };
        ways.push(Way {
            transport,
            max_in_flight: one.max_connections.min(attempts_at_once),
            rate: one.rate,
            daily_quota: one.daily_quota,
        });
    }
    Ok(ways)
}

fn connect_settings(relay: &SmtpRelay, tls: &Arc<rustls::ClientConfig>) -> ConnectSettings {
    ConnectSettings {
        host: relay.host.clone(),
        port: relay.port,
        encryption: match relay.encryption {
            Encryption::None => posthaste_smtp::client::Encryption::None,
            Encryption::Starttls => posthaste_smtp::client::Encryption::StartTls,
            Encryption::Tls => posthaste_smtp::client::Encryption::Tls,
        },
        credentials: relay.credentials.as_ref().map(|own| Credentials {
            username: own.username.clone(),
            password: Password::new(own.password.expose()),
        }),
        helo_name: relay.helo_name.clone(),
        tls: Arc::clone(tls),
        timeouts: Timeouts::default(),
        max_message_bytes: None,
    }
}

/// The rules in force.
pub fn routes(settings: &Settings) -> Result<Routes, StartError> {
    let rules = settings.routes.iter().map(rule).collect();
    let names: Vec<&str> = settings.transports.iter().map(|one| one.name.as_str()).collect();
    let routes = Routes::new(rules, &settings.mail.default_transport, &names)
        .map_err(|error| StartError::Setting(error.to_string()))?;
    Ok(routes.with_organization(&settings.mail_proxy.org_domains))
}

fn rule(settings: &RouteSettings) -> RouteRule {
    RouteRule {
        from_domain: settings.from_domain.as_ref().map(|domain| domain.as_str().to_owned()),
        to_domain: settings.to_domain.as_ref().map(|domain| domain.as_str().to_owned()),
        source: settings.source.map(|source| match source {
            crate::config::RouteSource::Api => Door::Api,
            crate::config::RouteSource::Smtp => Door::Smtp,
        }),
        client: settings.client.clone(),
        tag: settings.tag.clone(),
        transports: settings.transports.clone(),
        weights: settings.weights.clone(),
    }
}
