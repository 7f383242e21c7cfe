//! The plain variables: those that the replaced services used, and those of the process itself.

/// A variable that sets a key under a name of its own.
#[derive(Debug)]
pub struct PlainVariable {
    /// The variable.
    pub name: &'static str,
    /// The key it sets.
    pub path: &'static str,
    /// How its value is read.
    pub reading: Reading,
}

/// How the value of a plain variable becomes the value of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// As it is.
    AsIs,
    /// A plain number is a number an hour.
    AnHour,
    /// `tls` means STARTTLS and `ssl` TLS from the first byte, as mail libraries have it.
    Encryption,
    /// A plain number is milliseconds.
    Millis,
    /// `null` means not set, as Laravel writes it.
    NullIsUnset,
    /// The levels of syslog (RFC 5424), as PHP's and Python's loggers name them.
    Level,
}

impl Reading {
    /// The value as its key would have it; `None` when the variable counts as not set. An empty one always does:
    /// that is what `${NAME:-}` in a compose file leaves behind.
    pub fn apply(self, value: &str) -> Option<String> {
        let value = value.trim();
        if value.is_empty() {
            return None;
        }
        match self {
            Self::AnHour if value.bytes().all(|b| b.is_ascii_digit()) => Some(format!("{value}/h")),
            Self::Millis if value.bytes().all(|b| b.is_ascii_digit()) => Some(format!("{value}ms")),
            Self::AsIs | Self::AnHour | Self::Millis => Some(value.to_owned()),
            Self::Encryption => match value.to_ascii_lowercase().as_str() {
                "null" => Some("none".to_owned()),
                "tls" => Some("starttls".to_owned()),
                "ssl" => Some("tls".to_owned()),
                other => Some(other.to_owned()),
            },
            Self::NullIsUnset => (!value.eq_ignore_ascii_case("null")).then(|| value.to_owned()),
            Self::Level => Some(match value.to_ascii_lowercase().as_str() {
                "emergency" | "alert" | "critical" | "fatal" => "error".to_owned(),
                "warning" => "warn".to_owned(),
                "notice" => "info".to_owned(),
                _ => value.to_owned(),
            }),
        }
    }
}

const fn plain(name: &'static str, path: &'static str) -> PlainVariable {
    PlainVariable { name, path, reading: Reading::AsIs }
}

const fn read(name: &'static str, path: &'static str, reading: Reading) -> PlainVariable {
    PlainVariable { name, path, reading }
}

/// Every plain variable.
pub const PLAIN_VARIABLES: &[PlainVariable] = &[
    plain("API_KEY", "aegis.api_key"),
    read("RATE_LIMIT", "limits.aegis", Reading::AnHour),
    plain("SMTP_HOST", "transports.smtp.host"),
    plain("SMTP_PORT", "transports.smtp.port"),
    plain("SMTP_AUTH", "transports.smtp.auth"),
    plain("SMTP_USERNAME", "transports.smtp.username"),
    plain("SMTP_PASSWORD", "transports.smtp.password"),
    read("SMTP_ENCRYPTION", "transports.smtp.encryption", Reading::Encryption),
    read("MAIL_HOST", "transports.smtp.host", Reading::NullIsUnset),
    read("MAIL_PORT", "transports.smtp.port", Reading::NullIsUnset),
    read("MAIL_USERNAME", "transports.smtp.username", Reading::NullIsUnset),
    read("MAIL_PASSWORD", "transports.smtp.password", Reading::NullIsUnset),
    read("MAIL_ENCRYPTION", "transports.smtp.encryption", Reading::Encryption),
    read("MAIL_MAILER", "mail.default_transport", Reading::NullIsUnset),
    read("MAIL_FROM_ADDRESS", "mail.from_address", Reading::NullIsUnset),
    read("MAIL_FROM_NAME", "mail.from_name", Reading::NullIsUnset),
    plain("WEBHOOK_URL", "webhooks.url"),
    plain("WEBHOOK_SECRET", "webhooks.secret"),
    plain("WEBHOOKS_ALLOW_PRIVATE", "webhooks.allow_private"),
    plain("JWT_SECRET", "mail_proxy.jwt_secret"),
    plain("ORG_DOMAINS", "mail_proxy.org_domains"),
    plain("MICROSOFT_TENANT_ID", "transports.graph.tenant_id"),
    plain("MICROSOFT_CLIENT_ID", "transports.graph.client_id"),
    plain("MICROSOFT_CLIENT_SECRET", "transports.graph.client_secret"),
    plain("MICROSOFT_LOGIN_URL", "transports.graph.login_url"),
    plain("MICROSOFT_GRAPH_URL", "transports.graph.graph_url"),
    plain("SENDGRID_API_KEY", "transports.sendgrid.api_key"),
    plain("SENDGRID_BASE_URL", "transports.sendgrid.base_url"),
    plain("SENDGRID_WEBHOOK_PUBLIC_KEY", "transports.sendgrid.webhook_public_key"),
    plain("MAILGUN_API_KEY", "transports.mailgun.api_key"),
    plain("MAILGUN_DOMAIN", "transports.mailgun.domain"),
    plain("MAILGUN_BASE_URL", "transports.mailgun.base_url"),
    plain("MAILGUN_WEBHOOK_SIGNING_KEY", "transports.mailgun.webhook_signing_key"),
    plain("AWS_REGION", "transports.ses.region"),
    plain("AWS_ACCESS_KEY_ID", "transports.ses.access_key_id"),
    plain("AWS_SECRET_ACCESS_KEY", "transports.ses.secret_access_key"),
    plain("AWS_SESSION_TOKEN", "transports.ses.session_token"),
    plain("SES_BASE_URL", "transports.ses.base_url"),
    plain("SES_CONFIGURATION_SET", "transports.ses.configuration_set"),
    plain("SES_SNS_TOPIC_ARNS", "transports.ses.sns_topic_arns"),
    plain("SES_SNS_REQUIRE_V2", "transports.ses.sns_require_v2"),
    plain("DATABASE_URL", "store.url"),
    plain("AMQP_URL", "queue.url"),
    plain("REDIS_URL", "cache.url"),
    plain("KEYDB_URL", "cache.url"),
    plain("S3_ENDPOINT", "s3.endpoint"),
    plain("S3_BUCKET", "s3.bucket"),
    plain("S3_REGION", "s3.region"),
    plain("S3_ACCESS_KEY_ID", "s3.access_key_id"),
    plain("S3_SECRET_ACCESS_KEY", "s3.secret_access_key"),
    plain("BLOBS_DIR", "blobs.dir"),
    plain("ENCRYPTION_KEY", "secrets.encryption_key"),
    plain("HTTP_LISTEN", "http.listen"),
    plain("SMTP_LISTEN", "smtp.listen"),
    plain("DATA_DIR", "data.dir"),
    plain("LOG_FORMAT", "log.format"),
    read("LOG_LEVEL", "log.level", Reading::Level),
    plain("OTEL_EXPORTER_OTLP_ENDPOINT", "otel.endpoint"),
    plain("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "otel.traces_endpoint"),
    plain("OTEL_TRACES_EXPORTER", "otel.exporter"),
    plain("OTEL_SDK_DISABLED", "otel.disabled"),
    plain("OTEL_EXPORTER_OTLP_PROTOCOL", "otel.protocol"),
    plain("OTEL_EXPORTER_OTLP_HEADERS", "otel.headers"),
    plain("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "otel.traces_headers"),
    read("OTEL_EXPORTER_OTLP_TIMEOUT", "otel.timeout", Reading::Millis),
    read("OTEL_BSP_SCHEDULE_DELAY", "otel.schedule_delay", Reading::Millis),
    plain("OTEL_SERVICE_NAME", "otel.service_name"),
    plain("OTEL_RESOURCE_ATTRIBUTES", "otel.resource_attributes"),
    plain("OTEL_TRACES_SAMPLER", "otel.sampler"),
    plain("OTEL_TRACES_SAMPLER_ARG", "otel.sampler_arg"),
    plain("PUBLIC_URL", "http.public_url"),
    plain("TRUSTED_PROXIES", "http.trusted_proxies"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_ways_to_write_a_value_are_understood() {
        for (reading, written, read) in [
            (Reading::AsIs, " x ", Some("x")),
            (Reading::AsIs, "", None),
            (Reading::AsIs, "null", Some("null")),
            (Reading::AnHour, "100", Some("100/h")),
            (Reading::AnHour, "5/min", Some("5/min")),
            (Reading::Millis, "250", Some("250ms")),
            (Reading::Millis, "2s", Some("2s")),
            (Reading::Encryption, "TLS", Some("starttls")),
            (Reading::Encryption, "ssl", Some("tls")),
            (Reading::Encryption, "starttls", Some("starttls")),
            (Reading::Encryption, "none", Some("none")),
            (Reading::Encryption, "null", Some("none")),
            (Reading::Encryption, "rot13", Some("rot13")),
            (Reading::NullIsUnset, "null", None),
            (Reading::NullIsUnset, "me", Some("me")),
            (Reading::Level, "WARNING", Some("warn")),
            (Reading::Level, "critical", Some("error")),
            (Reading::Level, "info,posthaste::smtp=debug", Some("info,posthaste::smtp=debug")),
        ] {
            assert_eq!(reading.apply(written).as_deref(), read, "{reading:?} {written:?}");
        }
    }
}
