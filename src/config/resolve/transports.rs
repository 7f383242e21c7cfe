//! The transports: named tables, and those that plain variables make.

use super::Resolver;
use crate::config::fault::Fault;
use crate::config::keys;
use crate::config::raw::Origin;
use crate::config::settings::{
    Encryption, GraphAccount, GraphEndpoints, HookSettings, MailSettings, MailgunAccount, SendgridAccount,
    SesAccount, SmtpCredentials, SmtpRelay, TransportKind, TransportSettings,
};
use crate::config::value::{SendgridKey, SigningKey, TopicArn, WebUrl};
use posthaste_model::Secret;
use std::time::Duration;

/// The order in which the first configured transport becomes the default one, and the last resort.
const BY_PREFERENCE: [&str; 6] = ["smtp", "sendgrid", "mailgun", "ses", "graph", INBOX];
/// The transport that is always there.
const INBOX: &str = "inbox";
/// Values of `MAIL_MAILER` by which a Laravel application keeps its mail to itself, in a log file or in memory.
const KEEPING_MAILERS: [&str; 2] = ["log", "array"];

impl Resolver<'_> {
    /// All transports, and what proves the news of their providers.
    pub(super) fn transports(&mut self, hostname: &str) -> (Vec<TransportSettings>, HookSettings) {
        let silence: Duration = self.value("news.silence");
        let silence = Some(silence).filter(|silence| !silence.is_zero());
        let (mut transports, mut hooks) = (Vec::new(), HookSettings { silence, ..HookSettings::default() });
        for name in self.raw.transports() {
            let Some(kind) = self.transport_kind(name) else { continue };
            if !self.check_keys(name, kind) {
                continue;
            }
            self.hooks(name, kind, &mut hooks);
            if self.is_configured(name, kind) {
                let account = self.account(name, kind, hostname);
                let settings = self.transport(name, account);
                transports.extend(settings);
            } else {
                self.judge_unused(name, kind);
            }
        }
        if !transports.iter().any(|transport| transport.name == INBOX) {
            let inbox = self.transport(INBOX, Some(TransportKind::Inbox));
            transports.extend(inbox);
        }
        (transports, hooks)
    }

    /// The kind as written, else the name when it is a kind.
    fn transport_kind(&mut self, name: &str) -> Option<&'static str> {
        let path = format!("transports.{name}.kind");
        if self.is_written(&path) {
            return self.choice(&path);
        }
        let named = BY_PREFERENCE.iter().find(|kind| **kind == name).copied();
        if named.is_none() {
            let origin = self.raw.under(&format!("transports.{name}.")).next().map(|(_, e)| e.origin.clone());
            let problem = format!("is missing; write one of {}", BY_PREFERENCE.join(", "));
            self.note(Fault::new(origin.unwrap_or(Origin::Default), path, problem));
        }
        named
    }

    fn check_keys(&mut self, name: &str, kind: &str) -> bool {
        let prefix = format!("transports.{name}.");
        let foreign: Vec<String> = self
            .raw
            .under(&prefix)
            .map(|(key, _)| format!("{prefix}{key}"))
            .filter(|path| keys::find(path).is_some_and(|key| !key.suits(kind)))
            .collect();
        for path in &foreign {
            let owners = keys::find(path).map(|key| key.only.join(", ")).unwrap_or_default();
            self.fault(path, format!("belongs to transports of kind {owners}; this one is {kind}"));
        }
        foreign.is_empty()
    }

    /// A transport that only plain variables speak of exists when what identifies it is there: a region or a base
    /// URL alone, which other programs use too, makes none.
    fn is_configured(&self, name: &str, kind: &str) -> bool {
        let prefix = format!("transports.{name}.");
        if self.raw.under(&prefix).any(|(_, entry)| !entry.origin.is_plain_variable()) {
            return true;
        }
        let identifying: &[&str] = match kind {
            "smtp" => &["host"],
            "sendgrid" | "mailgun" => &["api_key"],
            "ses" => &["region", "access_key_id", "secret_access_key"],
            "graph" => &["client_id"],
            _ => &[],
        };
        identifying.iter().all(|key| self.is_written(&format!("{prefix}{key}")))
    }

    /// A value that cannot be right is a fault also while it is not used; but Kubernetes sets `SMTP_PORT=tcp://10.0.0.1:25`
    /// for a service of that name.
    fn judge_unused(&mut self, name: &str, kind: &str) {
        let key = |key: &str| format!("transports.{name}.{key}");
        match kind {
            "smtp" => {
                let port: Option<String> = self.written(&key("port"));
                if port.is_some_and(|port| !port.starts_with("tcp://")) {
                    self.written::<u16>(&key("port"));
                }
                self.written::<bool>(&key("auth"));
                self.choice(&key("encryption"));
            }
            "sendgrid" | "mailgun" | "ses" => {
                self.url(&key("base_url"));
            }
            _ => {}
        }
    }

    fn hooks(&mut self, name: &str, kind: &str, hooks: &mut HookSettings) {
        match kind {
            "sendgrid" => hooks.sendgrid_public_keys.extend(self.sendgrid_public_key(name)),
            "mailgun" => hooks.mailgun_signing_keys.extend(self.mailgun_signing_key(name)),
            "ses" => {
                let topics = self.sns_topic_arns(name);
                if self.value(&format!("transports.{name}.sns_require_v2")) {
                    hooks.sns_v2_topic_arns.extend(topics.iter().cloned());
                }
                hooks.sns_topic_arns.extend(topics);
            }
            _ => {}
        }
    }

    fn sendgrid_public_key(&mut self, name: &str) -> Option<String> {
        self.written::<SendgridKey>(&format!("transports.{name}.webhook_public_key")).map(|key| key.0)
    }

    fn mailgun_signing_key(&mut self, name: &str) -> Option<Secret> {
        let key = self.written::<SigningKey>(&format!("transports.{name}.webhook_signing_key"));
        key.map(|key| Secret::new(key.0))
    }

    fn sns_topic_arns(&mut self, name: &str) -> Vec<String> {
        let topics = self.written::<Vec<TopicArn>>(&format!("transports.{name}.sns_topic_arns"));
        topics.unwrap_or_default().into_iter().map(|topic| topic.0).collect()
    }

    fn transport(&mut self, name: &str, kind: Option<TransportKind>) -> Option<TransportSettings> {
        let settings = TransportSettings {
            name: name.to_owned(),
            kind: kind.clone().unwrap_or(TransportKind::Inbox),
            max_connections: self.value(&format!("transports.{name}.max_connections")),
            rate: self.written(&format!("transports.{name}.rate")),
            daily_quota: self.written(&format!("transports.{name}.daily_quota")),
        };
        kind.map(|_| settings)
    }

    fn account(&mut self, name: &str, kind: &str, hostname: &str) -> Option<TransportKind> {
        match kind {
            "smtp" => self.smtp_relay(name, hostname).map(TransportKind::Smtp),
            "sendgrid" => self.sendgrid(name).map(TransportKind::Sendgrid),
            "mailgun" => self.mailgun(name).map(TransportKind::Mailgun),
            "ses" => self.ses(name).map(TransportKind::Ses),
            "graph" => self.graph(name).map(TransportKind::Graph),
            _ => Some(TransportKind::Inbox),
        }
    }

    fn smtp_relay(&mut self, name: &str, hostname: &str) -> Option<SmtpRelay> {
        let key = |key: &str| format!("transports.{name}.{key}");
        let host: Option<String> = self.required(&key("host"));
        let port: Option<u16> = self.written(&key("port"));
        let encryption = match self.choice(&key("encryption")) {
            Some("none") => Encryption::None,
            Some("starttls") => Encryption::Starttls,
            Some(_) => Encryption::Tls,
            None => match port {
                Some(465) => Encryption::Tls,
                Some(587) | None => Encryption::Starttls,
                Some(_) => Encryption::None,
            },
        };
        let port = port.unwrap_or(match encryption {
            Encryption::None => 25,
            Encryption::Starttls => 587,
            Encryption::Tls => 465,
        });
        let credentials = self.smtp_credentials(name);
        let helo_name = self.hostname(&key("helo_name")).unwrap_or_else(|| hostname.to_owned());
        Some(SmtpRelay { host: host?, port, encryption, credentials, helo_name })
    }

    fn smtp_credentials(&mut self, name: &str) -> Option<SmtpCredentials> {
        let key = |key: &str| format!("transports.{name}.{key}");
        let username: Option<String> = self.written(&key("username"));
        let password: Option<Secret> = self.written(&key("password"));
        let auth = self.written(&key("auth"));
        if auth == Some(false) {
            return None;
        }
        match (username, password) {
            (Some(username), Some(password)) => Some(SmtpCredentials { username, password }),
            (None, None) => {
                self.ensure(auth.is_none(), &key("auth"), "is true, but username and password are missing");
                None
            }
            (Some(_), None) => {
                self.fault(&key("username"), "needs a password");
                None
            }
            (None, Some(_)) => {
                self.fault(&key("password"), "needs a username");
                None
            }
        }
    }

    fn sendgrid(&mut self, name: &str) -> Option<SendgridAccount> {
        let key = |key: &str| format!("transports.{name}.{key}");
        let api_key = self.required(&key("api_key"));
        let base_url = self.url(&key("base_url")).unwrap_or_else(|| "https://api.sendgrid.com".to_owned());
        let webhook_public_key = self.sendgrid_public_key(name);
        Some(SendgridAccount { api_key: api_key?, base_url, webhook_public_key })
    }

    fn mailgun(&mut self, name: &str) -> Option<MailgunAccount> {
        let key = |key: &str| format!("transports.{name}.{key}");
        let (api_key, domain) = (self.required(&key("api_key")), self.required(&key("domain")));
        let base_url = self.url(&key("base_url")).unwrap_or_else(|| "https://api.mailgun.net".to_owned());
        let webhook_signing_key = self.mailgun_signing_key(name);
        Some(MailgunAccount { api_key: api_key?, domain: domain?, base_url, webhook_signing_key })
    }

    fn ses(&mut self, name: &str) -> Option<SesAccount> {
        let key = |key: &str| format!("transports.{name}.{key}");
        let region: Option<String> = self.required(&key("region"));
        let access_key_id = self.required(&key("access_key_id"));
        let secret_access_key = self.required(&key("secret_access_key"));
        let base_url = self.url(&key("base_url"));
        let session_token = self.written(&key("session_token"));
        let configuration_set = self.written(&key("configuration_set"));
        let sns_topic_arns = self.sns_topic_arns(name);
        let region = region?;
        Some(SesAccount {
            base_url: base_url.unwrap_or_else(|| format!("https://email.{region}.amazonaws.com")),
            region,
            access_key_id: access_key_id?,
            secret_access_key: secret_access_key?,
            session_token,
            configuration_set,
            sns_topic_arns,
        })
    }

    fn graph(&mut self, name: &str) -> Option<GraphAccount> {
        let key = |key: &str| format!("transports.{name}.{key}");
        let tenant_id = self.required(&key("tenant_id"));
        let client_id = self.required(&key("client_id"));
        let client_secret = self.required(&key("client_secret"));
        let endpoints = self.graph_endpoints(name);
        Some(GraphAccount {
            tenant_id: tenant_id?,
            client_id: client_id?,
            client_secret: client_secret?,
            endpoints,
        })
    }

    /// Where Microsoft is for the transport of this name; asked for `graph` also when there is none.
    pub(super) fn graph_endpoints(&mut self, name: &str) -> GraphEndpoints {
        GraphEndpoints {
            login_url: self.value::<WebUrl>(&format!("transports.{name}.login_url")).0,
            graph_url: self.value::<WebUrl>(&format!("transports.{name}.graph_url")).0,
        }
    }

    /// The default sender, and the default transport among those that exist.
    pub(super) fn mail(&mut self, transports: &[TransportSettings]) -> MailSettings {
        let path = "mail.default_transport";
        let asked: Option<String> = self.written(path);
        let first = BY_PREFERENCE
            .iter()
            .find_map(|kind| transports.iter().find(|transport| transport.kind.as_str() == *kind))
            .map_or(INBOX, |transport| &transport.name);
        let is_there = |name: &str| transports.iter().any(|transport| transport.name == name);
        let mailer = asked.clone().filter(|name| !is_there(name) && self.is_mailer(path));
        let kept_by = mailer.as_deref().filter(|mailer| KEEPING_MAILERS.contains(mailer)).map(str::to_owned);
        let asked = match mailer.as_deref() {
            Some(_) if kept_by.is_some() => Some(INBOX.to_owned()),
            Some("ses-v2") if is_there("ses") => Some("ses".to_owned()),
            _ => asked,
        };
        if let Some(name) = asked.as_deref().filter(|name| !is_there(name)) {
            let instead = mailer.as_deref().and_then(instead_of).map(|hint| format!(": {hint}"));
            let problem = format!(
                "{name:?} is no transport{}; {}",
                instead.unwrap_or_default(),
                configured(transports)
            );
            self.fault(path, problem);
        }
        MailSettings {
            from_address: self.written("mail.from_address"),
            from_name: self.written("mail.from_name"),
            default_transport: asked.unwrap_or_else(|| first.to_owned()),
            kept_by,
        }
    }

    /// Whether `path` was written as `MAIL_MAILER`, which applications of other makes write too.
    fn is_mailer(&self, path: &str) -> bool {
        self.raw.origin(path).is_plain_variable()
    }
}

/// What to do instead, for the mailers of Laravel that have no counterpart here.
fn instead_of(mailer: &str) -> Option<&'static str> {
    Some(match mailer {
        "sendmail" | "mail" => {
            "no program is run to send; name the machine's own mail server: SMTP_HOST=127.0.0.1, SMTP_PORT=25, \
             MAIL_MAILER=smtp"
        }
        "smtp" => "set SMTP_HOST (or MAIL_HOST) to the relay",
        "failover" | "roundrobin" => {
            "name the first choice, and write the others under [[routes]] (docs/routing.md)"
        }
        "postmark" | "resend" | "mailtrap" => {
            "send by the provider's SMTP relay: SMTP_HOST, SMTP_USERNAME, SMTP_PASSWORD, MAIL_MAILER=smtp"
        }
        "sendgrid" => "set SENDGRID_API_KEY",
        "mailgun" => "set MAILGUN_API_KEY and MAILGUN_DOMAIN",
        "ses" | "ses-v2" => "set AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        _ => return None,
    })
}

/// For messages: the transports that there are.
pub(super) fn configured(transports: &[TransportSettings]) -> String {
    let names: Vec<&str> = transports.iter().map(|transport| transport.name.as_str()).collect();
    format!("configured: {}", names.join(", "))
}
