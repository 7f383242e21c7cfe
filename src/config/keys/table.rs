//! The table itself, in the order of the manual.

use super::{Key, Kind};

const fn key(
    section: &'static str,
    name: &'static str,
    kind: Kind,
    default: &'static str,
    doc: &'static str,
) -> Key {
    Key { section, name, kind, default, doc, only: &[] }
}

const fn transport(
    only: &'static [&'static str],
    name: &'static str,
    kind: Kind,
    default: &'static str,
    doc: &'static str,
) -> Key {
    Key { section: super::TRANSPORTS, name, kind, default, doc, only }
}

const SMTP: &[&str] = &["smtp"];
const SENDGRID: &[&str] = &["sendgrid"];
const MAILGUN: &[&str] = &["mailgun"];
const SES: &[&str] = &["ses"];
const GRAPH: &[&str] = &["graph"];

/// Media types that the Emails API takes as attachments when nothing else is written.
const ALLOWED_TYPES: &str = "application/pdf,text/plain,text/csv,text/calendar,text/html,application/json,\
application/xml,text/xml,image/png,image/jpeg,image/gif,image/webp,application/zip,message/rfc822,\
application/msword,application/vnd.ms-excel,application/vnd.ms-powerpoint,application/vnd.ms-outlook,\
application/vnd.openxmlformats-officedocument.wordprocessingml.document,\
application/vnd.openxmlformats-officedocument.wordprocessingml.template,\
application/vnd.openxmlformats-officedocument.spreadsheetml.sheet,\
application/vnd.openxmlformats-officedocument.presentationml.presentation,\
application/vnd.openxmlformats-officedocument.presentationml.slideshow,\
application/vnd.oasis.opendocument.text,application/vnd.oasis.opendocument.spreadsheet,\
application/vnd.oasis.opendocument.presentation,application/vnd.oasis.opendocument.graphics";

/// Every key.
#[rustfmt::skip]
pub static KEYS: &[Key] = &[
    key("data", "dir", Kind::Path, "./data", "Where the embedded store, attachments, generated secrets and logs are kept."),

    key("log", "format", Kind::Choice(&["text", "json"]), "text", "The shape of a log line."),
    key("log", "level", Kind::Text, "info", "What is logged: error, warn, info, debug or trace, or a list such as info,posthaste::smtp=debug."),
    key("log", "hash_addresses", Kind::Flag, "false", "Whether email addresses in logs are replaced by a hash."),

    key("http", "listen", Kind::Listen, "127.0.0.1:8000", "Where the HTTP surfaces listen; port 0 takes a free one, written to run/http.addr in the data directory."),
    key("http", "public_url", Kind::Text, "", "The URL under which the outside reaches the service, for links in mail and pages."),
    key("http", "trusted_proxies", Kind::List, "", "Networks of the load balancers whose X-Forwarded-* headers are believed."),
    key("http", "header_timeout", Kind::Duration, "10s", "How long a client may take to send a request's head."),
    key("http", "body_timeout", Kind::Duration, "30s", "How long a client may take to send a request's body; one that crawls is told so a tenth before."),
    key("http", "idle_timeout", Kind::Duration, "75s", "How long a connection may wait for its next request."),
    key("http", "max_connections", Kind::Number, "10000", "HTTP connections open at once."),
    key("http", "tls_cert", Kind::Path, "", "Certificate chain (PEM) for HTTPS; needs http.tls_key."),
    key("http", "tls_key", Kind::Path, "", "Private key (PEM) of http.tls_cert."),

    key("limits", "per_key", Kind::Rate, "60/min", "Requests of one key, unless the key has a limit of its own."),
    key("limits", "per_ip", Kind::Rate, "600/min", "Requests of one IP address."),
    key("limits", "aegis", Kind::Rate, "100/h", "Requests of one key on each limited endpoint of the Aegis API."),
    key("limits", "body", Kind::Size, "40MB", "The largest request body."),
    key("limits", "memory_for_bodies", Kind::Size, "256MB", "Memory that all request bodies may take together; beyond it requests wait, then get 503."),
    key("limits", "login_attempts", Kind::Rate, "5/15min", "Failed logins of one address or account."),
    key("limits", "recipients", Kind::Number, "50", "Recipients of one email over to, cc and bcc."),
    key("limits", "batch", Kind::Number, "500", "Emails in one batch of the Emails API."),

    key("delivery", "workers", Kind::Number, "by cores", "Emails on their way at once in one process, from the send until the outcome is stored; a crash sends again no more than these. By cores: 64 each."),
    key("delivery", "max_attempts", Kind::Number, "5", "Attempts until an email fails."),
    key("delivery", "retry_schedule", Kind::Durations, "30s,2m,8m,30m", "Waits before the second, third, ... attempt; the last one repeats, each varies by 20 %."),
    key("delivery", "lease", Kind::Duration, "60s", "How long a worker may hold an email before another one takes it over; at least 1s."),
    key("delivery", "on_uncertain", Kind::Choice(&["retry", "hold"]), "retry", "What follows when the peer may have taken a message without saying so: one more try, or a person decides."),
    key("delivery", "uncertain_delay", Kind::Duration, "10m", "The wait before the one more try after an uncertain end."),
    key("delivery", "drain", Kind::Duration, "25s", "How long a stopping process finishes what is in flight."),
    key("delivery", "breaker_failures", Kind::Number, "5", "Failures in a row after which a transport is left alone."),
    key("delivery", "breaker_open", Kind::Duration, "30s", "How long a failing transport is left alone."),

    key("attachments", "max_bytes", Kind::Size, "25MB", "The largest attachment, decoded."),
    key("attachments", "max_total_bytes", Kind::Size, "25MB", "All attachments of one email together, decoded."),
    key("attachments", "allowed_types", Kind::List, ALLOWED_TYPES, "Media types that are taken."),
    key("attachments", "enforce_everywhere", Kind::Flag, "false", "Whether allowed_types binds every surface, not only the Emails API."),
    key("attachments", "link_above_bytes", Kind::Size, "off", "Above this size the mail carries a signed, expiring link instead of the file."),

    key("smtp", "listen", Kind::Listen, "127.0.0.1:2525", "Where the SMTP ingress listens; port 0 takes a free one, written to run/smtp.addr in the data directory."),
    key("smtp", "tls_listen", Kind::Listen, "", "Where it listens with TLS from the first byte; needs smtp.tls_cert."),
    key("smtp", "tls_cert", Kind::Path, "", "Certificate chain (PEM) for STARTTLS and TLS; needs smtp.tls_key."),
    key("smtp", "tls_key", Kind::Path, "", "Private key (PEM) of smtp.tls_cert."),
    key("smtp", "allowed_networks", Kind::List, "127.0.0.0/8,::1", "Networks that may send without AUTH."),
    key("smtp", "auth_required", Kind::Flag, "false", "Whether AUTH is asked of everybody, allowed networks and loopback included."),
    key("smtp", "max_bytes", Kind::Size, "40MB", "The largest message."),
    key("smtp", "max_recipients", Kind::Number, "100", "Recipients of one message."),
    key("smtp", "max_connections", Kind::Number, "2000", "SMTP connections open at once."),
    key("smtp", "idle_timeout", Kind::Duration, "5m", "How long a connection may be silent."),
    key("smtp", "hostname", Kind::Text, "the machine's name", "The name said in the greeting, in Received lines and, unless a transport has its own, in EHLO."),
    key("smtp", "return_path_domain", Kind::Text, "", "The domain of our return paths, to which bounces come back."),

    key("webhooks", "url", Kind::Text, "", "Endpoint of the default client that is told what became of its mail."),
    key("webhooks", "secret", Kind::Secret, "", "Signing secret of webhooks.url."),
    key("webhooks", "allow_private", Kind::Flag, "false", "Whether webhooks may reach private and loopback addresses."),
    key("webhooks", "timeout", Kind::Duration, "10s", "How long an endpoint may take to answer."),
    key("webhooks", "retry_schedule", Kind::Durations, "5s,30s,2m,10m,1h,4h", "Waits before the next tries; the last one repeats."),
    key("webhooks", "give_up_after", Kind::Duration, "24h", "How long one notification is tried."),
    key("webhooks", "disable_after", Kind::Duration, "5d", "A client's webhook of which no call has succeeded for so long is switched off."),

    key("news", "silence", Kind::Duration, "24h", "How long a provider that should report may be silent while mail goes out by it, before health and doctor give notice; 0s: for ever."),

    key("dns", "name_servers", Kind::List, "", "Name servers that are asked (127.0.0.1:53); those of the machine when not set."),
    key("dns", "check_every", Kind::Duration, "10m", "How often DNS is looked at for new signing keys."),

    key("idempotency", "keep", Kind::Duration, "24h", "How long an Idempotency-Key is remembered."),

    key("eo", "attention_after", Kind::Duration, "5m", "How long an email may wait before the report asks for attention."),
    key("eo", "time_zone", Kind::Text, "Asia/Jakarta", "The time zone of the reports (IANA name)."),
    key("eo", "locale", Kind::Choice(&["id", "en"]), "id", "The language of the reports."),

    key("oauth", "token_lifetime", Kind::Duration, "1h", "How long an access token is valid."),
    key("oauth", "default_template", Kind::Text, "", "Template code for mail without a body; the shipped one when not set."),
    key("oauth", "login_attempts", Kind::Rate, "20/min", "Token requests of one client and IP address."),

    key("retention", "bodies", Kind::Duration, "30d", "How long bodies, attachments and the messages of the inbox are kept."),
    key("retention", "records", Kind::Duration, "400d", "How long records and events are kept."),

    key("mail", "from_address", Kind::Text, "", "Default sender address."),
    key("mail", "from_name", Kind::Text, "", "Default sender name."),
    key("mail", "default_transport", Kind::Text, "first configured", "The transport of mail that no route takes: else the first configured of kind smtp, sendgrid, mailgun, ses, graph, else inbox. `MAIL_MAILER=log` and `array` of a Laravel application mean the inbox."),

    key("aegis", "api_key", Kind::Secret, "", "API key of the default client on the Aegis API."),

    key("secrets", "encryption_key", Kind::Secret, "", "Key of all secrets in the store: 32 bytes in base64; after a rotation the older ones behind it, with commas between. Made in the data directory when not set, must be set with PostgreSQL."),

    key("mail_proxy", "jwt_secret", Kind::Secret, "", "HS256 secret of the Mail Proxy's tokens; made when not set, must be set with PostgreSQL."),
    key("mail_proxy", "org_domains", Kind::List, "", "The organization's own domains, sent through Microsoft Graph."),
    key("mail_proxy", "jwt_leeway", Kind::Duration, "30s", "How far clocks may differ when a token's times are checked."),
    key("mail_proxy", "batch", Kind::Number, "100", "Emails in one batch of the Mail Proxy API."),

    key("store", "url", Kind::SecretUrl, "", "sqlite://PATH or postgres://...; a SQLite file in the data directory when not set."),
    key("queue", "url", Kind::SecretUrl, "", "amqp:// or amqps:// of RabbitMQ; the store's own index when not set."),
    key("queue", "prefix", Kind::Text, "posthaste", "What the names of exchange and queues on RabbitMQ begin with, where several installations share one."),
    key("cache", "url", Kind::SecretUrl, "", "redis:// or rediss:// of Redis, KeyDB or Valkey; in process when not set."),
    key("cache", "prefix", Kind::Text, "posthaste", "What its keys and channels begin with; installations that share one cache need prefixes of their own."),
    key("blobs", "dir", Kind::Path, "", "A shared directory for attachments and raw mail; the data directory when not set."),
    key("s3", "endpoint", Kind::Text, "", "S3 endpoint; Amazon's own of the region when not set."),
    key("s3", "bucket", Kind::Text, "", "Bucket for attachments and raw mail; setting it chooses S3."),
    key("s3", "region", Kind::Text, "us-east-1", "Region of the bucket."),
    key("s3", "access_key_id", Kind::Text, "", "Access key of the bucket."),
    key("s3", "secret_access_key", Kind::Secret, "", "Secret of s3.access_key_id."),

    key("otel", "endpoint", Kind::SecretUrl, "", "Base URL of an OpenTelemetry collector (OTLP over HTTP, usually port 4318); spans go to /v1/traces under it. Nothing is traced without it or otel.traces_endpoint."),
    key("otel", "traces_endpoint", Kind::SecretUrl, "", "The whole URL for spans, where it is not /v1/traces under otel.endpoint."),
    key("otel", "exporter", Kind::Choice(&["otlp", "none"]), "otlp", "none traces nothing, whatever else is set."),
    key("otel", "disabled", Kind::Flag, "false", "true traces nothing, whatever else is set."),
    key("otel", "protocol", Kind::Choice(&["http/protobuf", "http/json", "grpc"]), "http/protobuf", "What the collector is to be sent; only http/protobuf is spoken."),
    key("otel", "headers", Kind::Secret, "", "Header fields of each export: name=value,name=value, percent-encoded."),
    key("otel", "traces_headers", Kind::Secret, "", "Header fields for spans, in place of otel.headers."),
    key("otel", "timeout", Kind::Duration, "10s", "How long one export may take."),
    key("otel", "schedule_delay", Kind::Duration, "5s", "How long a span waits for others to be exported with."),
    key("otel", "service_name", Kind::Text, "posthaste", "The name under which this process appears."),
    key("otel", "resource_attributes", Kind::Text, "", "What else it says of itself: name=value,name=value, percent-encoded."),
    key("otel", "sampler", Kind::Text, "parentbased_always_on", "Which traces are recorded: always_on, always_off, traceidratio, or one of these behind parentbased_."),
    key("otel", "sampler_arg", Kind::Text, "1", "The share that traceidratio records, 0 to 1."),

    transport(&[], "kind", Kind::Choice(&["smtp", "sendgrid", "mailgun", "ses", "graph", "inbox"]), "", "What it speaks; may be left out when the transport is named like its kind."),
    transport(&[], "max_connections", Kind::Number, "20", "Connections or requests open at once."),
    transport(&[], "rate", Kind::Rate, "", "The most it is given in a time, by all nodes that share a cache, else by each process."),
    transport(&[], "daily_quota", Kind::Number, "", "The most it is given in any 24 hours, by all nodes that share a cache, else by each process in one life."),
    transport(SMTP, "host", Kind::Text, "", "The relay's name or address."),
    transport(SMTP, "port", Kind::Number, "by encryption", "The relay's port: 25 for none, 587 for starttls, 465 for tls."),
    transport(SMTP, "encryption", Kind::Choice(&["none", "starttls", "tls"]), "by port", "465 is tls, 587 and no port starttls, any other none."),
    transport(SMTP, "auth", Kind::Flag, "with username", "Whether to log in; by default when there is a username."),
    transport(SMTP, "username", Kind::Text, "", "Name to log in with."),
    transport(SMTP, "password", Kind::Secret, "", "Password to log in with."),
    transport(SMTP, "helo_name", Kind::Text, "smtp.hostname", "The name said in EHLO."),
    transport(&["sendgrid", "mailgun"], "api_key", Kind::Secret, "", "The provider's API key."),
    transport(&["sendgrid", "mailgun", "ses"], "base_url", Kind::Text, "the provider's", "Another region, or a stand-in."),
    transport(SENDGRID, "webhook_public_key", Kind::Text, "", "Public key of SendGrid's signed event webhook."),
    transport(MAILGUN, "domain", Kind::Text, "", "The sending domain at Mailgun."),
    transport(MAILGUN, "webhook_signing_key", Kind::Secret, "", "Signing key of Mailgun's webhooks."),
    transport(SES, "region", Kind::Text, "", "AWS region."),
    transport(SES, "access_key_id", Kind::Text, "", "AWS access key."),
    transport(SES, "secret_access_key", Kind::Secret, "", "AWS secret key."),
    transport(SES, "session_token", Kind::Secret, "", "AWS session token, for temporary keys."),
    transport(SES, "configuration_set", Kind::Text, "", "SES configuration set, for its events."),
    transport(SES, "sns_topic_arns", Kind::List, "", "SNS topics whose notifications are believed."),
    transport(SES, "sns_require_v2", Kind::Flag, "false", "Whether these topics must sign with SHA-256 (their attribute SignatureVersion is 2)."),
    transport(GRAPH, "tenant_id", Kind::Text, "", "Microsoft Entra tenant."),
    transport(GRAPH, "client_id", Kind::Text, "", "Application (client) id."),
    transport(GRAPH, "client_secret", Kind::Secret, "", "Client secret of the application."),
    transport(GRAPH, "login_url", Kind::Text, "https://login.microsoftonline.com", "Where tokens are fetched."),
    transport(GRAPH, "graph_url", Kind::Text, "https://graph.microsoft.com", "Where Microsoft Graph is."),

    key("routes", "from_domain", Kind::Text, "", "Takes mail from this domain."),
    key("routes", "to_domain", Kind::Text, "", "Takes mail to this domain."),
    key("routes", "source", Kind::Choice(&["api", "smtp"]), "", "Takes mail that came in this way."),
    key("routes", "client", Kind::Text, "", "Takes mail of this client (name or id)."),
    key("routes", "tag", Kind::Text, "", "Takes mail with this tag."),
    key("routes", "priority", Kind::List, "", "Takes mail of these priorities (1 to 5)."),
    key("routes", "transports", Kind::List, "", "Transports, tried in this order."),
    key("routes", "weights", Kind::List, "", "Shares of the transports, one number each; without them the first one takes all while it works."),
    key("routes", "rate", Kind::Rate, "", "The most that goes by this route in a time, by all nodes that share a cache, else by each process; more waits."),
    key("routes", "daily_quota", Kind::Number, "", "The most that goes by this route in any 24 hours, by all nodes that share a cache, else by each process in one life; more waits."),
];
