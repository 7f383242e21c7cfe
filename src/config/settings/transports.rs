//! The ways out: providers, relays, and the routes that pick one.

use posthaste_model::{Domain, Rate, Secret};
use std::time::Duration;

/// Where Microsoft is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphEndpoints {
    /// Where tokens are fetched, without a slash at its end.
    pub login_url: String,
    /// Where mail is handed in, without a slash at its end.
    pub graph_url: String,
}

/// What proves the providers' news. A webhook may be configured before its transport is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HookSettings {
    /// SendGrid's public keys (base64 SPKI).
    pub sendgrid_public_keys: Vec<String>,
    /// Mailgun's signing keys.
    pub mailgun_signing_keys: Vec<Secret>,
    /// SNS topics that are believed.
    pub sns_topic_arns: Vec<String>,
    /// Those of them that must sign with SHA-256.
    pub sns_v2_topic_arns: Vec<String>,
    /// How long a provider that should report may be silent; `None`: for ever.
    pub silence: Option<Duration>,
}

/// A configured way out.
#[derive(Clone, Debug, PartialEq)]
pub struct TransportSettings {
    /// Its name.
    pub name: String,
    /// What it speaks, and with whom.
    pub kind: TransportKind,
    /// Connections or requests at once.
    pub max_connections: usize,
    /// The most it is given in a time.
    pub rate: Option<Rate>,
    /// The most it is given in a day, UTC.
    pub daily_quota: Option<u32>,
}

/// What a transport speaks, and with whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransportKind {
    /// An SMTP relay.
    Smtp(SmtpRelay),
    /// SendGrid.
    Sendgrid(SendgridAccount),
    /// Mailgun.
    Mailgun(MailgunAccount),
    /// Amazon SES.
    Ses(SesAccount),
    /// Microsoft Graph.
    Graph(GraphAccount),
    /// The local inbox.
    Inbox,
}

impl TransportKind {
    /// The word for it in the configuration.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Smtp(_) => "smtp",
            Self::Sendgrid(_) => "sendgrid",
            Self::Mailgun(_) => "mailgun",
            Self::Ses(_) => "ses",
            Self::Graph(_) => "graph",
            Self::Inbox => "inbox",
        }
    }
}

/// An SMTP relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpRelay {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// How the connection is protected.
    pub encryption: Encryption,
    /// How to log in, if at all.
    pub credentials: Option<SmtpCredentials>,
    /// Our name in EHLO.
    pub helo_name: String,
}

/// Name and password at a relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpCredentials {
    /// The name.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// How a connection to a relay is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// Not at all.
    None,
    /// By STARTTLS, which must succeed.
    Starttls,
    /// TLS from the first byte.
    Tls,
}

/// SendGrid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendgridAccount {
    /// API key.
    pub api_key: Secret,
    /// Without a slash at its end.
    pub base_url: String,
    /// Of the signed event webhook.
    pub webhook_public_key: Option<String>,
}

/// Mailgun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailgunAccount {
    /// API key.
    pub api_key: Secret,
    /// Sending domain.
    pub domain: String,
    /// Without a slash at its end.
    pub base_url: String,
    /// Of its webhooks.
    pub webhook_signing_key: Option<Secret>,
}

/// Amazon SES.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SesAccount {
    /// Region.
    pub region: String,
    /// Access key.
    pub access_key_id: String,
    /// Secret key.
    pub secret_access_key: Secret,
    /// Of temporary keys.
    pub session_token: Option<Secret>,
    /// Without a slash at its end.
    pub base_url: String,
    /// Configuration set.
    pub configuration_set: Option<String>,
    /// Topics that are believed.
    pub sns_topic_arns: Vec<String>,
}

/// Microsoft Graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphAccount {
    /// Tenant.
    pub tenant_id: String,
    /// Application.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
    /// Where Microsoft is for this account.
    pub endpoints: GraphEndpoints,
}

/// The rule that picks transports. A condition that is absent always holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteSettings {
    /// The sender's domain.
    pub from_domain: Option<Domain>,
    /// The recipient's domain.
    pub to_domain: Option<Domain>,
    /// How the mail came in.
    pub source: Option<RouteSource>,
    /// The client, by name or id.
    pub client: Option<String>,
    /// A tag.
    pub tag: Option<String>,
    /// Priorities; none: any.
    pub priorities: Vec<u8>,
    /// Names of transports that exist, at least one.
    pub transports: Vec<String>,
    /// As many as transports, or none.
    pub weights: Vec<u32>,
    /// The most that goes this way in a time.
    pub rate: Option<Rate>,
    /// The most that goes this way in any 24 hours.
    pub daily_quota: Option<u32>,
}

/// How mail came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteSource {
    /// Over HTTP.
    Api,
    /// Over SMTP.
    Smtp,
}
