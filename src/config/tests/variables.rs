//! Every variable that the operator's page names sets what it says.

use super::*;
use crate::base::trace::Sampler;
use crate::config::keys::{KEYS, PLAIN_VARIABLES, ROUTES, TRANSPORTS};
use posthaste_model::{Rate, Secret};
use std::net::SocketAddr;

/// A key of 32 zero bytes.
const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// A key of SendGrid's, that of the published vector A.
const PUBLIC_KEY: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw\
    +2fNNRaINXvVpiglSI8eNEc6wEA3F+g==";

/// Sets variables, resolves, and asks whether the setting they are for has the value expected.
type Case = (&'static [(&'static str, &'static str)], fn(&Settings) -> bool);

fn transport<'a>(settings: &'a Settings, name: &str) -> Option<&'a TransportKind> {
    settings.transports.iter().find(|transport| transport.name == name).map(|transport| &transport.kind)
}

fn redis(url: &str, prefix: &str) -> CacheSettings {
    CacheSettings::Redis(RedisSettings { url: Secret::new(url), prefix: prefix.to_owned() })
}

fn smtp(settings: &Settings) -> Option<&SmtpRelay> {
    match transport(settings, "smtp") {
        Some(TransportKind::Smtp(relay)) => Some(relay),
        _ => None,
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

const PROCESS: &[Case] = &[
    (&[("API_KEY", "k")], |s| s.aegis.api_key == Some(Secret::new("k"))),
    (&[("RATE_LIMIT", "250")], |s| s.limits.aegis == Rate::per_seconds(250, 3600)),
    (&[("RATE_LIMIT", "5/min")], |s| s.limits.aegis == Rate::per_seconds(5, 60)),
    (&[("MAIL_FROM_ADDRESS", "a@b.example"), ("MAIL_FROM_NAME", "Ann B")], |s| {
        s.mail.from_address.as_ref().is_some_and(|a| a.to_string() == "a@b.example")
            && s.mail.from_name.as_deref() == Some("Ann B")
    }),
    (&[("WEBHOOK_URL", "https://x.example/hook"), ("WEBHOOK_SECRET", "w")], |s| {
        s.webhooks.default_endpoint
            == Some(WebhookEndpoint { url: "https://x.example/hook".into(), secret: Some(Secret::new("w")) })
    }),
    (&[("WEBHOOK_URL", ""), ("WEBHOOK_SECRET", "w")], |s| s.webhooks.default_endpoint.is_none()),
    (&[("WEBHOOKS_ALLOW_PRIVATE", "true")], |s| s.webhooks.allow_private),
    (&[("JWT_SECRET", "j")], |s| s.mail_proxy.jwt_secret == Some(Secret::new("j"))),
    (&[("ORG_DOMAINS", "a.example, b.example")], |s| s.mail_proxy.org_domains.len() == 2),
    (&[("DATABASE_URL", "sqlite:///var/mail.db")], |s| {
        s.store == StoreSettings::Sqlite("/var/mail.db".into())
    }),
    (&[("DATABASE_URL", "postgres://u:p@db/x"), ("ENCRYPTION_KEY", KEY), ("JWT_SECRET", "j")], |s| {
        s.store == StoreSettings::Postgres(Secret::new("postgres://u:p@db/x"))
            && s.blobs == BlobSettings::Store
    }),
    (&[("AMQP_URL", "amqp://mq")], |s| {
        s.queue == QueueSettings::RabbitMq { url: Secret::new("amqp://mq"), prefix: "posthaste".into() }
    }),
    (&[("REDIS_URL", "redis://c")], |s| s.cache == redis("redis://c", "posthaste")),
    (&[("REDIS_URL", "redis://c"), ("POSTHASTE_CACHE__PREFIX", "a")], |s| s.cache == redis("redis://c", "a")),
    (&[("KEYDB_URL", "redis://c")], |s| s.cache == redis("redis://c", "posthaste")),
    (&[("S3_BUCKET", ""), ("S3_REGION", "eu-1")], |s| matches!(s.blobs, BlobSettings::Files(_))),
    (&[("BLOBS_DIR", "/mnt/blobs")], |s| s.blobs == BlobSettings::Files("/mnt/blobs".into())),
    (&[("ENCRYPTION_KEY", KEY)], |s| s.secrets.encryption_key == Some(Secret::new(KEY))),
    (&[("HTTP_LISTEN", "127.0.0.1:0")], |s| s.http.listen == address("127.0.0.1:0")),
    (&[("SMTP_LISTEN", "127.0.0.1:0")], |s| s.smtp.listen == address("127.0.0.1:0")),
    (&[("DATA_DIR", "/var/lib/posthaste")], |s| {
        s.data.dir.as_os_str() == "/var/lib/posthaste"
            && s.log.directory == Some("/var/lib/posthaste/logs".into())
            && s.store == StoreSettings::Sqlite("/var/lib/posthaste/posthaste.db".into())
            && s.blobs == BlobSettings::Files("/var/lib/posthaste/blobs".into())
    }),
    (&[("LOG_FORMAT", "json"), ("LOG_LEVEL", "DEBUG")], |s| {
        s.log.format == crate::base::log::LogFormat::Json && s.log.level.as_str() == "DEBUG"
    }),
    (&[("LOG_LEVEL", "Warning")], |s| s.log.level.as_str() == "warn"),
    (&[("PUBLIC_URL", "https://mail.example/")], |s| {
        s.http.public_url.as_deref() == Some("https://mail.example")
    }),
    (&[("TRUSTED_PROXIES", "10.0.0.0/8,::1")], |s| s.http.trusted_proxies.len() == 2),
    (
        &[
            ("S3_ENDPOINT", "http://minio:9000"),
            ("S3_BUCKET", "mail"),
            ("S3_REGION", "eu-1"),
            ("S3_ACCESS_KEY_ID", "a"),
            ("S3_SECRET_ACCESS_KEY", "s"),
        ],
        |s| {
            s.blobs
                == BlobSettings::S3(S3Settings {
                    endpoint: "http://minio:9000".into(),
                    bucket: "mail".into(),
                    region: "eu-1".into(),
                    access_key_id: "a".into(),
                    secret_access_key: Secret::new("s"),
                })
        },
    ),
];

const TRANSPORT: &[Case] = &[
    (&[("SMTP_HOST", "relay")], |s| {
        smtp(s).is_some_and(|r| {
            (r.host.as_str(), r.port, r.encryption) == ("relay", 587, Encryption::Starttls)
                && r.credentials.is_none()
        }) && s.mail.default_transport == "smtp"
    }),
    (&[("SMTP_HOST", "relay"), ("SMTP_PORT", "1025")], |s| {
        smtp(s).is_some_and(|r| (r.port, r.encryption) == (1025, Encryption::None))
    }),
    (&[("SMTP_HOST", "relay"), ("SMTP_ENCRYPTION", "tls")], |s| {
        smtp(s).is_some_and(|r| (r.port, r.encryption) == (587, Encryption::Starttls))
    }),
    (&[("SMTP_HOST", "relay"), ("SMTP_ENCRYPTION", "ssl")], |s| {
        smtp(s).is_some_and(|r| (r.port, r.encryption) == (465, Encryption::Tls))
    }),
    (&[("SMTP_HOST", "relay"), ("SMTP_ENCRYPTION", "none")], |s| {
        smtp(s).is_some_and(|r| (r.port, r.encryption) == (25, Encryption::None))
    }),
    (&[("SMTP_HOST", "r"), ("SMTP_USERNAME", "u"), ("SMTP_PASSWORD", "p")], |s| {
        let expected = SmtpCredentials { username: "u".into(), password: Secret::new("p") };
        smtp(s).is_some_and(|r| r.credentials == Some(expected.clone()))
    }),
    (&[("SMTP_HOST", "r"), ("SMTP_AUTH", "true"), ("SMTP_USERNAME", "u"), ("SMTP_PASSWORD", "p")], |s| {
        smtp(s).is_some_and(|r| r.credentials.is_some())
    }),
    (&[("SMTP_HOST", "r"), ("SMTP_AUTH", "false"), ("SMTP_USERNAME", "u"), ("SMTP_PASSWORD", "p")], |s| {
        smtp(s).is_some_and(|r| r.credentials.is_none())
    }),
    (
        &[
            ("MAIL_MAILER", "smtp"),
            ("MAIL_HOST", "relay"),
            ("MAIL_PORT", "2525"),
            ("MAIL_USERNAME", "null"),
            ("MAIL_PASSWORD", "null"),
            ("MAIL_ENCRYPTION", "null"),
        ],
        |s| {
            smtp(s).is_some_and(|r| (r.port, r.encryption, &r.credentials) == (2525, Encryption::None, &None))
        },
    ),
    (
        &[("MAIL_HOST", "r"), ("MAIL_USERNAME", "u"), ("MAIL_PASSWORD", "p"), ("MAIL_ENCRYPTION", "tls")],
        |s| smtp(s).is_some_and(|r| r.credentials.is_some() && r.encryption == Encryption::Starttls),
    ),
    (
        &[
            ("SENDGRID_API_KEY", "k"),
            ("SENDGRID_BASE_URL", "http://127.0.0.1:9/"),
            ("SENDGRID_WEBHOOK_PUBLIC_KEY", PUBLIC_KEY),
        ],
        |s| {
            transport(s, "sendgrid")
                == Some(&TransportKind::Sendgrid(SendgridAccount {
                    api_key: Secret::new("k"),
                    base_url: "http://127.0.0.1:9".into(),
                    webhook_public_key: Some(PUBLIC_KEY.into()),
                }))
                && s.mail.default_transport == "sendgrid"
                && s.hooks.sendgrid_public_keys == [PUBLIC_KEY]
        },
    ),
    (
        &[
            ("MAILGUN_API_KEY", "k"),
            ("MAILGUN_DOMAIN", "mg.example"),
            ("MAILGUN_BASE_URL", "https://api.eu.mailgun.net"),
            ("MAILGUN_WEBHOOK_SIGNING_KEY", "w"),
        ],
        |s| {
            transport(s, "mailgun")
                == Some(&TransportKind::Mailgun(MailgunAccount {
                    api_key: Secret::new("k"),
                    domain: "mg.example".into(),
                    base_url: "https://api.eu.mailgun.net".into(),
                    webhook_signing_key: Some(Secret::new("w")),
                }))
                && s.hooks.mailgun_signing_keys == [Secret::new("w")]
        },
    ),
    (
        &[
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", "a"),
            ("AWS_SECRET_ACCESS_KEY", "s"),
            ("AWS_SESSION_TOKEN", "t"),
            ("SES_CONFIGURATION_SET", "c"),
            (
                "SES_SNS_TOPIC_ARNS",
                "arn:aws:sns:eu-west-1:123456789012:a,arn:aws:sns:eu-west-1:123456789012:b",
            ),
        ],
        |s| {
            transport(s, "ses")
                == Some(&TransportKind::Ses(SesAccount {
                    region: "eu-west-1".into(),
                    access_key_id: "a".into(),
                    secret_access_key: Secret::new("s"),
                    session_token: Some(Secret::new("t")),
                    base_url: "https://email.eu-west-1.amazonaws.com".into(),
                    configuration_set: Some("c".into()),
                    sns_topic_arns: vec![
                        "arn:aws:sns:eu-west-1:123456789012:a".into(),
                        "arn:aws:sns:eu-west-1:123456789012:b".into(),
                    ],
                }))
        },
    ),
    (
        &[
            ("AWS_REGION", "r"),
            ("AWS_ACCESS_KEY_ID", "a"),
            ("AWS_SECRET_ACCESS_KEY", "s"),
            ("SES_BASE_URL", "http://127.0.0.1:9"),
        ],
        |s| matches!(transport(s, "ses"), Some(TransportKind::Ses(ses)) if ses.base_url == "http://127.0.0.1:9"),
    ),
    (
        &[("SES_SNS_TOPIC_ARNS", "arn:aws:sns:eu-west-1:123456789012:a"), ("SES_SNS_REQUIRE_V2", "true")],
        |s| s.hooks.sns_v2_topic_arns == ["arn:aws:sns:eu-west-1:123456789012:a"],
    ),
    (
        &[
            ("MICROSOFT_TENANT_ID", "t"),
            ("MICROSOFT_CLIENT_ID", "c"),
            ("MICROSOFT_CLIENT_SECRET", "s"),
            ("MICROSOFT_LOGIN_URL", "http://127.0.0.1:1"),
            ("MICROSOFT_GRAPH_URL", "http://127.0.0.1:2"),
        ],
        |s| {
            let endpoints = GraphEndpoints {
                login_url: "http://127.0.0.1:1".into(),
                graph_url: "http://127.0.0.1:2".into(),
            };
            transport(s, "graph")
                == Some(&TransportKind::Graph(GraphAccount {
                    tenant_id: "t".into(),
                    client_id: "c".into(),
                    client_secret: Secret::new("s"),
                    endpoints: endpoints.clone(),
                }))
                && s.graph == endpoints
        },
    ),
    // What identifies no account makes no transport, but is used all the same.
    (
        &[
            ("AWS_REGION", "eu-west-1"),
            ("MICROSOFT_GRAPH_URL", "http://127.0.0.1:2"),
            ("MAILGUN_WEBHOOK_SIGNING_KEY", "w"),
            ("SMTP_PORT", "25"),
        ],
        |s| {
            s.transports.len() == 1
                && s.mail.default_transport == "inbox"
                && s.graph.graph_url == "http://127.0.0.1:2"
                && s.hooks.mailgun_signing_keys.len() == 1
        },
    ),
    (
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=1"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
            ("OTEL_SERVICE_NAME", "mailer"),
            ("OTEL_RESOURCE_ATTRIBUTES", "team=mail"),
            ("OTEL_TRACES_EXPORTER", "otlp"),
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.5"),
        ],
        |s| {
            s.otel.as_ref().is_some_and(|otel| {
                otel.endpoint.expose() == "http://c:4318/v1/traces"
                    && otel.headers.len() == 1
                    && otel.timeout.as_millis() == 2500
                    && otel.schedule_delay.as_millis() == 50
                    && otel.resource.len() == 3
                    && otel.sampler == Sampler::parse("traceidratio", Some("0.5")).unwrap()
            })
        },
    ),
    (
        &[
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c/own"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=1,b=2"),
            ("OTEL_SDK_DISABLED", "false"),
        ],
        |s| {
            let otel = s.otel.as_ref();
            otel.is_some_and(|otel| otel.endpoint.expose() == "http://c/own" && otel.headers.len() == 2)
        },
    ),
    (&[("SMTP_HOST", "r"), ("SENDGRID_API_KEY", "k"), ("MAIL_MAILER", "sendgrid")], |s| {
        s.mail.default_transport == "sendgrid"
    }),
    (&[("SMTP_HOST", "r"), ("MAIL_MAILER", "inbox")], |s| s.mail.default_transport == "inbox"),
    (&[("SMTP_HOST", "r"), ("MAIL_MAILER", "array")], |s| {
        (s.mail.default_transport.as_str(), s.mail.kept_by.as_deref()) == ("inbox", Some("array"))
    }),
    (
        &[
            ("AWS_REGION", "r"),
            ("AWS_ACCESS_KEY_ID", "a"),
            ("AWS_SECRET_ACCESS_KEY", "s"),
            ("MAIL_MAILER", "ses-v2"),
        ],
        |s| s.mail.default_transport == "ses" && s.mail.kept_by.is_none(),
    ),
];

#[test]
fn every_plain_variable_does_what_it_says() {
    for (variables, holds) in PROCESS.iter().chain(TRANSPORT) {
        let settings = Place::new().variables(variables).settings();
        assert!(holds(&settings), "{variables:?}\n{settings:#?}");
        let in_dotenv: Vec<String> =
            variables.iter().map(|(name, value)| format!("{name}='{value}'")).collect();
        let settings = Place::new().file(".env", &in_dotenv.join("\n")).settings();
        assert!(holds(&settings), ".env {variables:?}\n{settings:#?}");
    }
    let named: Vec<&str> =
        PROCESS.iter().chain(TRANSPORT).flat_map(|(all, _)| *all).map(|(name, _)| *name).collect();
    for plain in PLAIN_VARIABLES {
        assert!(named.contains(&plain.name), "{} has no case", plain.name);
    }
}

#[test]
fn every_key_has_a_variable_of_its_own() {
    for key in KEYS {
        let value = match key.name {
            "kind" => "inbox",
            _ => "5 apples",
        };
        let name = key.variable().replace("<NAME>", "X").replace("<NUMBER>", "0");
        let faults = Place::new().variable(&name, value).faults();
        assert!(!faults.iter().any(|fault| fault.contains("unknown; did")), "{name}: {faults:?}");
    }
}

#[test]
fn an_empty_variable_is_not_set() {
    for plain in PLAIN_VARIABLES {
        let place = Place::new().variable(plain.name, " ");
        assert!(place.settings().transports.len() == 1, "{}", plain.name);
    }
    let place = Place::new().variable("POSTHASTE_DELIVERY__LEASE", "");
    assert_eq!(shown(&place, "delivery.lease"), (Some("60s".into()), "default".into()));
}

#[test]
fn the_defaults_are_those_of_the_operators_page() {
    let settings = Place::new().settings();
    assert_eq!(settings.http.listen, address("127.0.0.1:8000"));
    assert_eq!(settings.smtp.listen, address("127.0.0.1:2525"));
    assert_eq!(settings.limits.body_bytes, 40 * 1024 * 1024);
    assert_eq!(
        settings.delivery.retry.schedule.iter().map(std::time::Duration::as_secs).sum::<u64>(),
        30 + 120 + 480 + 1800
    );
    assert_eq!(settings.delivery.lease.as_secs(), 60);
    assert_eq!(settings.attachments.link_above_bytes, None);
    assert_eq!(settings.attachments.allowed_types, posthaste_mail::mime_sniff::default_allowed_types());
    assert_eq!(settings.eo.time_zone, "Asia/Jakarta");
    assert_eq!(settings.retention.records.as_secs(), 400 * 86_400);
    assert_eq!(settings.mail.default_transport, "inbox");
    assert_eq!(settings.transports.len(), 1);
    assert!(settings.smtp.allowed_networks.iter().any(|n| n.contains(address("127.0.0.1:1").ip())));
    assert!(!settings.smtp.hostname.is_empty());
    for key in KEYS.iter().filter(|key| key.section != TRANSPORTS && key.section != ROUTES) {
        let (value, origin) = shown(&Place::new(), &key.path(""));
        assert_eq!(origin, "default", "{}", key.path(""));
        assert_eq!(value.unwrap_or_default(), key.default, "{}", key.path(""));
    }
}
