//! Settings of the ways out become transports.

use super::StartError;
use crate::base::chance::Chance;
use crate::base::clock::Clock;
use crate::base::return_path::ReturnPaths;
use crate::base::vault::Vault;
use crate::blobs::Blobs;
use crate::config::{
    Encryption, GraphAccount, GraphEndpoints, RouteSettings, Settings, SmtpRelay, TransportKind,
    TransportSettings,
};
use crate::dispatch::Way;
use crate::routing::{Door, MailProxyDefaults, RouteRule, Routes, SENDER_CONFIG};
use crate::transports::provider::{
    Api, GraphApp, GraphPlace, GraphTransport, Mailgun, ProviderTransport, SenderConfigSource, Sendgrid, Ses,
    SesAccount,
};
use crate::transports::{InboxBell, InboxTransport, SmtpTransport, Transport};
use posthaste_model::fault::Faults;
use posthaste_smtp::client::{ConnectSettings, Credentials, Password, Timeouts, tls_client_config};
use posthaste_store::Store;
use std::sync::Arc;

/// Requests at once of the sender configs' way out; each application has its own limit of 4 beside.
const SENDER_CONFIG_CONNECTIONS: usize = 20;

/// What transports are built on.
pub struct Ground<'a> {
    pub store: &'a Store,
    pub blobs: &'a Blobs,
    pub bell: &'a InboxBell,
    pub clock: &'a Clock,
    pub chance: &'a Chance,
    pub faults: &'a Faults,
    pub return_paths: Option<&'a ReturnPaths>,
    pub vault: &'a Vault,
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
            | TransportKind::Graph(_) => provider(one, ground)?,
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

/// A mail provider's API.
fn provider(settings: &TransportSettings, ground: &Ground<'_>) -> Result<Transport, StartError> {
    let clock = ground.clock.clone();
    let api = match &settings.kind {
        TransportKind::Sendgrid(account) => {
            Sendgrid::new(&account.base_url, account.api_key.clone(), clock).map(Api::Sendgrid)
        }
        TransportKind::Mailgun(account) => {
            Mailgun::new(&account.base_url, &account.domain, &account.api_key, clock).map(Api::Mailgun)
        }
        TransportKind::Ses(account) => {
            let account = SesAccount {
                region: account.region.clone(),
                access_key_id: account.access_key_id.clone(),
                secret_access_key: account.secret_access_key.clone(),
                session_token: account.session_token.clone(),
                base_url: account.base_url.clone(),
                configuration_set: account.configuration_set.clone(),
            };
            Ses::new(account, clock).map(Api::Ses)
        }
        TransportKind::Graph(account) => {
            let place = graph_place(&account.endpoints);
            GraphTransport::new(place, graph_app(account), clock).map(Api::Graph)
        }
        TransportKind::Smtp(_) | TransportKind::Inbox => Err("is no provider".to_owned()),
    };
    let api = api.map_err(|error| StartError::Setting(format!("transports.{}: {error}", settings.name)))?;
    let (chance, faults) = (ground.chance.clone(), ground.faults.clone());
    Ok(Transport::Provider(ProviderTransport::new(&settings.name, api, chance, faults)))
}

/// Microsoft Graph by the clients' sender configs, for mail from the organization's domains, where there are any.
pub fn sender_configs(settings: &Settings, ground: &Ground<'_>) -> Result<Option<Way>, StartError> {
    let is_taken = settings.transports.iter().any(|one| one.name == SENDER_CONFIG);
    if settings.mail_proxy.org_domains.is_empty() || is_taken {
        return Ok(None);
    }
    let source = SenderConfigSource::new(ground.store.clone(), ground.vault.clone());
    let place = graph_place(&settings.graph);
    let connections = SENDER_CONFIG_CONNECTIONS;
    let graph = GraphTransport::of_sender_configs(place, source, ground.clock.clone())
        .map_err(|error| StartError::Setting(format!("{SENDER_CONFIG}: {error}")))?;
    let (chance, faults) = (ground.chance.clone(), ground.faults.clone());
    let transport = ProviderTransport::new(SENDER_CONFIG, Api::Graph(graph), chance, faults);
    Ok(Some(Way {
        transport: Transport::Provider(transport),
        max_in_flight: connections.min(settings.delivery.workers),
        rate: None,
        daily_quota: None,
    }))
}

/// The endpoints as the transport wants them.
pub fn graph_place(endpoints: &GraphEndpoints) -> GraphPlace {
    GraphPlace { login_url: endpoints.login_url.clone(), graph_url: endpoints.graph_url.clone() }
}

/// The application as the transport wants it.
pub fn graph_app(account: &GraphAccount) -> GraphApp {
    GraphApp {
        tenant_id: account.tenant_id.clone(),
        client_id: account.client_id.clone(),
        client_secret: account.client_secret.clone(),
    }
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
    let first = |kind: &str| settings.transports.iter().find(|one| one.kind.as_str() == kind);
    Ok(routes.with_defaults(MailProxyDefaults {
        organization: settings.mail_proxy.org_domains.clone(),
        sendgrid: first("sendgrid").map(|one| one.name.clone()),
        graph: first("graph").map(|one| one.name.clone()),
    }))
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
        priorities: settings.priorities.clone(),
        transports: settings.transports.clone(),
        weights: settings.weights.clone(),
        rate: settings.rate,
        daily_quota: settings.daily_quota,
    }
}
