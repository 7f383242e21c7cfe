//! The configuration as it is used: every value present, typed and checked. Each part takes its own small struct
//! and sees nothing of the rest.

mod parts;
mod transports;

pub use parts::{BlobSettings, CacheSettings, QueueSettings, RedisSettings, S3Settings, StoreSettings};
pub use transports::*;

use crate::base::log::LogSettings;
use crate::base::network::Network;
use crate::base::trace::TraceSettings;
use posthaste_model::retry::RetryPolicy;
use posthaste_model::{Address, Domain, Rate, Secret};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// All settings of one server.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The data directory.
    pub data: DataSettings,
    /// Logs; `LogSettings::directory` is `logs` in the data directory.
    pub log: LogSettings,
    /// Traces, when a collector is named.
    pub otel: Option<TraceSettings>,
    /// The HTTP listener.
    pub http: HttpSettings,
    /// What callers are limited to.
    pub limits: LimitSettings,
    /// How mail gets out.
    pub delivery: DeliverySettings,
    /// What attachments may be.
    pub attachments: AttachmentSettings,
    /// The SMTP ingress.
    pub smtp: SmtpSettings,
    /// Outbound webhooks.
    pub webhooks: WebhookSettings,
    /// Idempotency keys.
    pub idempotency: IdempotencySettings,
    /// DNS.
    pub dns: DnsSettings,
    /// The organizers' reports.
    pub eo: EoSettings,
    /// The OAuth API.
    pub oauth: OauthSettings,
    /// How long things are kept.
    pub retention: RetentionSettings,
    /// Senders and the default way out.
    pub mail: MailSettings,
    /// The Aegis API.
    pub aegis: AegisSettings,
    /// Secrets at rest.
    pub secrets: SecretSettings,
    /// The Mail Proxy API.
    pub mail_proxy: MailProxySettings,
    /// Where Microsoft is, also for senders configured by clients.
    pub graph: GraphEndpoints,
    /// What proves the providers' news, over all transports.
    pub hooks: HookSettings,
    /// The transports; one of kind inbox is always among them.
    pub transports: Vec<TransportSettings>,
    /// The routes, in order.
    pub routes: Vec<RouteSettings>,
    /// The store.
    pub store: StoreSettings,
    /// The queue.
    pub queue: QueueSettings,
    /// Limits, status cache and live events.
    pub cache: CacheSettings,
    /// Attachments and raw mail.
    pub blobs: BlobSettings,
}

/// Where the embedded parts keep their files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataSettings {
    /// The directory, made at the start.
    pub dir: PathBuf,
}

/// A certificate and its key, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate chain.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// The HTTP listener.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The URL that the outside uses, without a slash at its end.
    pub public_url: Option<String>,
    /// Proxies whose forwarding headers are believed.
    pub trusted_proxies: Vec<Network>,
    /// For a request's head.
    pub header_timeout: Duration,
    /// For a request's body.
    pub body_timeout: Duration,
    /// Between requests.
    pub idle_timeout: Duration,
    /// Connections at once.
    pub max_connections: usize,
    /// HTTPS, when configured.
    pub tls: Option<TlsFiles>,
}

/// What callers are limited to.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitSettings {
    /// Requests of one key.
    pub per_key: Rate,
    /// Requests of one IP address.
    pub per_ip: Rate,
    /// Requests of one key on an endpoint of the Aegis API.
    pub aegis: Rate,
    /// Failed logins.
    pub login_attempts: Rate,
    /// The largest body, in bytes.
    pub body_bytes: u64,
    /// All bodies in memory together, in bytes.
    pub memory_for_bodies_bytes: u64,
    /// Recipients of an email.
    pub recipients: usize,
    /// Emails of a batch.
    pub batch: usize,
}

/// How mail gets out.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliverySettings {
    /// Emails attempted at once.
    pub workers: usize,
    /// When to try again.
    pub retry: RetryPolicy,
    /// How long a worker holds an email.
    pub lease: Duration,
    /// How long a stop may take.
    pub drain: Duration,
    /// Failures in a row that open a transport's breaker.
    pub breaker_failures: u32,
    /// How long the breaker stays open.
    pub breaker_open: Duration,
}

/// What attachments may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachmentSettings {
    /// The largest one, decoded.
    pub max_bytes: u64,
    /// All of an email, decoded.
    pub max_total_bytes: u64,
    /// Media types that are taken, in lower case.
    pub allowed_types: Vec<String>,
    /// Whether the types bind every surface.
    pub enforce_everywhere: bool,
    /// Above this size a link replaces the file.
    pub link_above_bytes: Option<u64>,
}

/// The SMTP ingress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where it listens with TLS from the first byte.
    pub tls_listen: Option<SocketAddr>,
    /// The certificate, when configured.
    pub tls: Option<TlsFiles>,
    /// Who may send without AUTH, unless `auth_required`.
    pub allowed_networks: Vec<Network>,
    /// Whether everybody must AUTH.
    pub auth_required: bool,
    /// The largest message.
    pub max_bytes: u64,
    /// Recipients of a message.
    pub max_recipients: usize,
    /// Connections at once.
    pub max_connections: usize,
    /// How long a connection may be silent.
    pub idle_timeout: Duration,
    /// Our name.
    pub hostname: String,
    /// The domain of our return paths.
    pub return_path_domain: Option<Domain>,
}

/// DNS.
#[derive(Clone, Debug, PartialEq)]
pub struct DnsSettings {
    /// Whom to ask; nobody: the machine's.
    pub name_servers: Vec<SocketAddr>,
    /// Between two looks for new signing keys.
    pub check_every: Duration,
}

/// Outbound webhooks.
#[derive(Clone, Debug, PartialEq)]
pub struct WebhookSettings {
    /// The default client's endpoint, when configured.
    pub default_endpoint: Option<WebhookEndpoint>,
    /// Whether private addresses may be reached.
    pub allow_private: bool,
    /// For one request.
    pub timeout: Duration,
    /// Waits between tries.
    pub retry_schedule: Vec<Duration>,
    /// How long one notification is tried.
    pub give_up_after: Duration,
    /// How long a webhook may fail before it is switched off.
    pub disable_after: Duration,
}

/// An endpoint of the default client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookEndpoint {
    /// Its URL.
    pub url: String,
    /// What its requests are signed with; unsigned when absent.
    pub secret: Option<Secret>,
}

/// Idempotency keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencySettings {
    /// How long a key is remembered.
    pub keep: Duration,
}

/// The organizers' reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EoSettings {
    /// When an email's wait asks for attention.
    pub attention_after: Duration,
    /// IANA name, known to exist.
    pub time_zone: String,
    /// `id` or `en`.
    pub locale: String,
}

/// The OAuth API.
#[derive(Clone, Debug, PartialEq)]
pub struct OauthSettings {
    /// How long a token is valid.
    pub token_lifetime: Duration,
    /// The template of mail without a body; the shipped one when absent.
    pub default_template: Option<String>,
    /// Token requests of a client and address.
    pub login_attempts: Rate,
}

/// How long things are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionSettings {
    /// Bodies and attachments.
    pub bodies: Duration,
    /// Records and events.
    pub records: Duration,
}

/// Senders and the default way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailSettings {
    /// Default sender address.
    pub from_address: Option<Address>,
    /// Default sender name.
    pub from_name: Option<String>,
    /// The name of a transport that exists.
    pub default_transport: String,
    /// The `MAIL_MAILER` (`log`, `array`) that keeps mail from leaving, where that makes the inbox the default.
    pub kept_by: Option<String>,
}

/// The Aegis API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AegisSettings {
    /// The default client's key.
    pub api_key: Option<Secret>,
}

/// Secrets at rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretSettings {
    /// 32 bytes in base64, checked; made in the data directory when absent.
    pub encryption_key: Option<Secret>,
}

/// The Mail Proxy API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailProxySettings {
    /// Signs its tokens; made when absent.
    pub jwt_secret: Option<Secret>,
    /// The organization's own domains.
    pub org_domains: Vec<Domain>,
    /// How far clocks may differ.
    pub jwt_leeway: Duration,
    /// Emails of a batch.
    pub batch: usize,
}
