//! Every kind of fault stops the start and says where it is and what would be right.

use super::*;
use crate::config::keys::{KEYS, Kind, ROUTES, TRANSPORTS};

#[test]
fn faults_of_the_file_name_file_line_and_key() {
    let cases = [
        (
            "[delivery]\nlease = \"5 apples\"",
            "posthaste.toml:2: delivery.lease: \"5 apples\" is not a duration; write 30s, 5m or 1h",
        ),
        (
            "[delivery]\nleese = \"5s\"",
            "posthaste.toml:2: delivery.leese: is unknown; did you mean delivery.lease?",
        ),
        (
            "[delivry]\nlease = \"5s\"",
            "posthaste.toml:2: delivry.lease: is unknown; did you mean delivery.lease?",
        ),
        ("listen = 'x'", "posthaste.toml:1: listen: is unknown; the sections are data, log, http"),
        ("[kitchen]", "posthaste.toml:1: kitchen: is unknown; the sections are data"),
        ("[oauth]\nzzzzzzzzzzzz = 1", "oauth.zzzzzzzzzzzz: is unknown; oauth has the keys token_lifetime"),
        ("[delivery", "posthaste.toml:1: is not TOML"),
        ("[delivery]\nlease = 5", "posthaste.toml:2: delivery.lease: \"5\" is not a duration"),
        ("[delivery]\nlease = ['5s']", "delivery.lease: a list stands where one value belongs"),
        ("[delivery]\nlease = '999ms'", "delivery.lease: is too short; write 1s or more"),
        ("[delivery]\nretry_schedule = []", "delivery.retry_schedule: is empty"),
        (
            "[delivery]\nretry_schedule = ['30s', 'soon']",
            "delivery.retry_schedule: \"soon\" is not a duration",
        ),
        ("[delivery]\nmax_attempts = 0", "delivery.max_attempts: \"0\" is not a number of 1 or more"),
        (
            "[delivery]\non_uncertain = 'guess'",
            "delivery.on_uncertain: \"guess\" is unknown; write retry or hold",
        ),
        ("[http]\ntls_cert = 'a.pem'", "posthaste.toml:2: http.tls_cert: needs http.tls_key"),
        ("[smtp]\ntls_key = 'a.pem'", "smtp.tls_key: needs smtp.tls_cert"),
        ("[smtp]\ntls_listen = '127.0.0.1:465'", "smtp.tls_listen: needs smtp.tls_cert and smtp.tls_key"),
        ("[smtp]\nhostname = 'a b'", "smtp.hostname: is not a host name"),
        (
            "[smtp]\nallowed_networks = ['10.0.0.0/99']",
            "smtp.allowed_networks: \"10.0.0.0/99\" is not a network",
        ),
        ("[limits]\nbody = '40 apples'", "limits.body: \"40 apples\" is not a size"),
        ("[limits]\nper_key = '60'", "limits.per_key: \"60\" is not a rate"),
        ("[limits]\nmemory_for_bodies = '1MB'", "limits.memory_for_bodies: is smaller than limits.body"),
        ("[retention]\nbodies = '500d'", "retention.bodies: is longer than retention.records"),
        ("[attachments]\nallowed_types = ['pdf']", "attachments.allowed_types: \"pdf\" is not a media type"),
        ("[eo]\ntime_zone = 'Moon/Tycho'", "eo.time_zone: \"Moon/Tycho\" is not a time zone"),
        ("[eo]\nlocale = 'tlh'", "eo.locale: \"tlh\" is unknown; write id, en"),
        ("[log]\nlevel = 'loud'", "log.level: \"loud\" is not a log level"),
        ("[webhooks]\nsecret = 'x'", "webhooks.secret: signs nothing without webhooks.url"),
        ("[transports.x]\nhost = 'r'", "posthaste.toml:2: transports.x.kind: is missing; write one of smtp"),
        ("[transports.x]\nkind = 'pigeon'", "transports.x.kind: \"pigeon\" is unknown; write smtp, sendgrid"),
        ("[transports.x]\nkind = 'smtp'", "transports.x.host: is missing"),
        (
            "[transports.smtp]\nport = 25",
            "transports.smtp.host: is missing; write it, or set SMTP_HOST or MAIL_HOST",
        ),
        (
            "[transports.x]\nkind = 'inbox'\napi_key = 'k'",
            "transports.x.api_key: belongs to transports of kind sendgrid, mailgun; this one is inbox",
        ),
        ("[transports.\"Big Relay\"]\nhost = 'r'", "a transport's name is made of lower-case letters"),
        (
            "[transports.smtp]\nhost = 'r'\nencryption = 'rot13'",
            "transports.smtp.encryption: \"rot13\" is unknown; write none, starttls, tls",
        ),
        ("[transports.smtp]\nhost = 'r'\nusername = 'u'", "transports.smtp.username: needs a password"),
        (
            "[transports.smtp]\nhost = 'r'\nauth = true",
            "transports.smtp.auth: is true, but username and password are missing",
        ),
        ("[transports.smtp]\nhost = 'r'\nport = 99999", "transports.smtp.port: \"99999\" is not a port"),
        (
            "[mail]\ndefault_transport = 'pigeon'",
            "mail.default_transport: \"pigeon\" is no transport; configured: inbox",
        ),
        ("[mail]\nfrom_address = 'nobody'", "mail.from_address: \"nobody\" is not an email address"),
        (
            "[[routes]]\ntransports = ['pigeon']",
            "posthaste.toml:2: routes.0.transports: \"pigeon\" is no transport",
        ),
        ("[[routes]]\ntag = 'x'", "routes.0.transports: is missing"),
        ("[[routes]]\ntransports = []", "routes.0.transports: is empty"),
        (
            "[[routes]]\ntransports = ['inbox']\nweights = [1, 2]",
            "routes.0.weights: must be as many as transports",
        ),
        (
            "[[routes]]\ntransports = ['inbox']\nto_domian = 'x'",
            "routes.0.to_domian: is unknown; did you mean routes.0.to_domain?",
        ),
        ("routes = ['inbox']", "routes: is a list of tables; write [[routes]]"),
        ("[delivery.lease]\nx = 1", "delivery.lease: is one value or a list, not a table"),
        ("[s3]\nendpoint = 'http://minio'", "s3.bucket: is missing; write it, or set S3_BUCKET"),
        (
            "[transports.sendgrid]\napi_key = 'k'\nwebhook_public_key = 'SG.key'",
            "transports.sendgrid.webhook_public_key: \"SG.key\" is not the verification key of SendGrid's",
        ),
        (
            "[transports.mailgun]\napi_key = 'k'\ndomain = 'd'\nwebhook_signing_key = 'two words'",
            "transports.mailgun.webhook_signing_key: the value is not a signing key",
        ),
        (
            "[transports.ses]\nsns_topic_arns = ['arn:aws:sns:eu-west-1:123456789012:ok', 'news']",
            "transports.ses.sns_topic_arns: \"news\" is not the ARN of an SNS topic; write arn:aws:sns:",
        ),
        (
            "[transports.mailgun]\nbase_url = 'https://api:hidden@api.mailgun.net'",
            "transports.mailgun.base_url: carries a user name or password; write the URL without them",
        ),
    ];
    for (text, expected) in cases {
        let faults = Place::new().toml(text).faults();
        assert!(
            faults.iter().any(|fault| fault.contains(expected)),
            "{text}\nexpected {expected}\ngot {faults:#?}"
        );
    }
}

#[test]
fn faults_of_variables_name_the_variable() {
    let cases: &[(&[(&str, &str)], &str)] = &[
        (
            &[("POSTHASTE_DELIVERY__LEESE", "5s")],
            "environment POSTHASTE_DELIVERY__LEESE: is unknown; did you mean POSTHASTE_DELIVERY__LEASE?",
        ),
        (
            &[("POSTHASTE_DELIVERY_LEASE", "5s")],
            "environment POSTHASTE_DELIVERY_LEASE: is unknown; did you mean POSTHASTE_DELIVERY__LEASE?",
        ),
        (
            &[("POSTHASTE_SMTP_HOST", "x")],
            "environment POSTHASTE_SMTP_HOST: is unknown; did you mean SMTP_HOST?",
        ),
        (
            &[("POSTHASTE_KITCHEN__SINK", "x")],
            "environment POSTHASTE_KITCHEN__SINK: is unknown; the sections are",
        ),
        (
            &[("POSTHASTE_DELIVERY__LEASE", "soon")],
            "environment POSTHASTE_DELIVERY__LEASE: delivery.lease: \"soon\" is not a duration",
        ),
        (
            &[("HTTP_LISTEN", "8000")],
            "environment HTTP_LISTEN: http.listen: \"8000\" is not an address and port",
        ),
        (&[("RATE_LIMIT", "many")], "environment RATE_LIMIT: limits.aegis: \"many\" is not a rate"),
        (
            &[("SMTP_HOST", "r"), ("SMTP_ENCRYPTION", "rot13")],
            "environment SMTP_ENCRYPTION: transports.smtp.encryption: \"rot13\" is unknown",
        ),
        // Wrong is wrong also where nothing uses it.
        (&[("SMTP_PORT", "mail")], "environment SMTP_PORT: transports.smtp.port: \"mail\" is not a port"),
        (&[("SMTP_AUTH", "maybe")], "environment SMTP_AUTH: transports.smtp.auth: \"maybe\" is neither"),
        (
            &[("MAIL_ENCRYPTION", "rot13")],
            "environment MAIL_ENCRYPTION: transports.smtp.encryption: \"rot13\" is unknown",
        ),
        (
            &[("SENDGRID_BASE_URL", "nonsense")],
            "environment SENDGRID_BASE_URL: transports.sendgrid.base_url: \"nonsense\" is not a URL",
        ),
        (
            &[("SMTP_HOST", "a"), ("MAIL_HOST", "b")],
            "environment SMTP_HOST: contradicts environment MAIL_HOST: both set transports.smtp.host",
        ),
        (
            &[("RATE_LIMIT", "5"), ("POSTHASTE_LIMITS__AEGIS", "6/h")],
            "contradicts environment POSTHASTE_LIMITS__AEGIS",
        ),
        (&[("REDIS_URL", "redis://a"), ("KEYDB_URL", "redis://b")], "both set cache.url"),
        (
            &[("DATABASE_URL", "mysql://u:hunter2@h/d")],
            "environment DATABASE_URL: store.url: is not a database; write sqlite://PATH or postgres://",
        ),
        (&[("DATABASE_URL", "sqlite::memory:")], "store.url: is not a database"),
        (
            &[("POSTHASTE_QUEUE__PREFIX", "a b")],
            "queue.prefix: is not 1 to 100 letters, digits, dots, hyphens and underscores",
        ),
        (&[("AMQP_URL", "http://mq")], "queue.url: is not a URL that starts with amqp:// or amqps://"),
        (&[("REDIS_URL", "redis://")], "cache.url: is not a URL that starts with redis://"),
        (
            &[("DATABASE_URL", "postgres://h/d")],
            "secrets.encryption_key: must be given with PostgreSQL, the same on every node; set ENCRYPTION_KEY",
        ),
        (&[("DATABASE_URL", "postgres://h/d")], "mail_proxy.jwt_secret: must be given with PostgreSQL"),
        (
            &[("ENCRYPTION_KEY", "hunter2")],
            "environment ENCRYPTION_KEY: secrets.encryption_key: the value is not a key: it must be 32 bytes in base64",
        ),
        (&[("BLOBS_DIR", "/b"), ("S3_BUCKET", "x")], "s3.bucket: contradicts blobs.dir"),
        (&[("S3_BUCKET", "x")], "s3.access_key_id: is missing; write it, or set S3_ACCESS_KEY_ID"),
        (
            &[("MAILGUN_API_KEY", "k")],
            "transports.mailgun.domain: is missing; write it, or set MAILGUN_DOMAIN",
        ),
        (
            &[("MICROSOFT_CLIENT_ID", "c")],
            "transports.graph.tenant_id: is missing; write it, or set MICROSOFT_TENANT_ID",
        ),
        (
            &[("MAIL_MAILER", "smtp")],
            "environment MAIL_MAILER: mail.default_transport: \"smtp\" is no transport: set SMTP_HOST",
        ),
        (
            &[("MAIL_MAILER", "sendmail")],
            "SMTP_HOST=127.0.0.1, SMTP_PORT=25, MAIL_MAILER=smtp; configured: inbox",
        ),
        (&[("MAIL_MAILER", "failover")], "write the others under [[routes]]"),
        (
            &[("MAIL_MAILER", "pigeon")],
            "mail.default_transport: \"pigeon\" is no transport; configured: inbox",
        ),
        (
            &[("POSTHASTE_MAIL__DEFAULT_TRANSPORT", "log")],
            "mail.default_transport: \"log\" is no transport; configured: inbox",
        ),
        (&[("MICROSOFT_GRAPH_URL", "nowhere")], "transports.graph.graph_url: \"nowhere\" is not a URL"),
        (&[("LOG_FORMAT", "xml")], "log.format: \"xml\" is not a log format; write text or json"),
        (&[("PUBLIC_URL", "mail.example")], "http.public_url: \"mail.example\" is not a URL"),
        (&[("TRUSTED_PROXIES", "haproxy")], "http.trusted_proxies: \"haproxy\" is not a network"),
        (&[("ORG_DOMAINS", "a b")], "mail_proxy.org_domains: \"a b\" is not a domain"),
    ];
    for (variables, expected) in cases {
        let faults = Place::new().variables(variables).faults();
        assert!(
            faults.iter().any(|f| f.contains(expected)),
            "{variables:?}\nexpected {expected}\ngot {faults:#?}"
        );
        assert!(!faults.iter().any(|fault| fault.contains("hunter2")), "a secret was repeated: {faults:#?}");
    }
}

#[test]
fn faults_of_dotenv_and_flags_say_where() {
    let faults =
        Place::new().file(".env", "POSTHASTE_DELIVERY__LEESE=5s\nSMTP_PASSWORD=\"hunter2\" two\n").faults();
    assert!(faults.iter().any(|f| f.starts_with(".env POSTHASTE_DELIVERY__LEESE: is unknown")), "{faults:?}");
    assert!(
        faults.iter().any(|f| f.starts_with(".env: a line after POSTHASTE_DELIVERY__LEESE cannot be read")),
        "{faults:?}"
    );
    assert!(!faults.iter().any(|f| f.contains("hunter2")), "{faults:?}");
    let faults = Place::new().flag("http.listen", "--listen", "here").faults();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].starts_with("flag --listen: http.listen: \"here\" is not an address"), "{faults:?}");
}

#[test]
fn variables_of_others_are_left_alone() {
    let place = Place::new().variables(&[
        ("PATH", "/bin"),
        ("POSTHASTE_SERVICE_HOST", "10.0.0.1"),
        ("POSTHASTE_PORT", "tcp://10.0.0.1:8000"),
        ("SMTP_PORT", "tcp://10.0.0.1:25"),
        ("POSTHASTE_PORT_8000_TCP_ADDR", "10.0.0.1"),
        ("SMPT_HOST", "x"),
    ]);
    assert_eq!(place.faults(), Vec::<String>::new());
}

#[test]
fn two_variables_that_agree_do_not_contradict() {
    let place = Place::new().variables(&[
        ("SMTP_HOST", "relay"),
        ("MAIL_HOST", "relay"),
        ("SMTP_ENCRYPTION", "tls"),
        ("POSTHASTE_TRANSPORTS__SMTP__ENCRYPTION", "starttls"),
    ]);
    assert_eq!(place.faults(), Vec::<String>::new());
}

#[test]
fn all_faults_are_reported_at_once() {
    let place = Place::new()
        .toml("[delivery]\nlease = 'soon'\n[http]\nlisten = 'here'\n[kitchen]\nsink = 1")
        .variable("LOG_LEVEL", "loud");
    let errors = place.load().err().map(|errors| errors.to_string()).unwrap_or_default();
    for part in ["delivery.lease", "http.listen", "kitchen.sink", "log.level"] {
        assert!(errors.contains(part), "{part} is missing in\n{errors}");
    }
    assert_eq!(errors.lines().count(), 4, "{errors}");
}

#[test]
fn every_typed_key_refuses_apples() {
    for key in KEYS {
        if matches!(key.kind, Kind::Text | Kind::Secret | Kind::SecretUrl | Kind::Path | Kind::List) {
            continue;
        }
        let name = match (key.section, key.only) {
            (TRANSPORTS, [kind, ..]) => kind,
            (TRANSPORTS, []) => "inbox",
            (ROUTES, _) => "0",
            _ => "",
        };
        let path = key.path(name);
        let (table, last) = path.rsplit_once('.').unwrap_or_default();
        let text = match key.section {
            ROUTES => format!("[[routes]]\ntransports = 'inbox'\n{last} = '5 apples'"),
            _ => format!("[{table}]\n{last} = '5 apples'"),
        };
        let faults = Place::new().toml(&text).faults();
        let expected = format!("{path}: \"5 apples\" is ");
        assert!(faults.iter().any(|fault| fault.contains(&expected)), "{path}: {faults:?}");
    }
}
