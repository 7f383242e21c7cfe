//! Which of several values wins, and what `config show` says of it.

use super::*;

#[test]
fn each_layer_wins_over_the_one_before() {
    let place = Place::new();
    assert_eq!(shown(&place, "delivery.lease"), (Some("60s".into()), "default".into()));
    let place = place.toml("# a comment\n[delivery]\nlease = \"10s\"\n");
    assert_eq!(shown(&place, "delivery.lease"), (Some("10s".into()), "posthaste.toml:3".into()));
    let place = place.file(".env", "POSTHASTE_DELIVERY__LEASE=20s\n");
    let origin = ".env POSTHASTE_DELIVERY__LEASE".to_owned();
    assert_eq!(shown(&place, "delivery.lease"), (Some("20s".into()), origin));
    let place = place.variable("POSTHASTE_DELIVERY__LEASE", "30s");
    let origin = "environment POSTHASTE_DELIVERY__LEASE".to_owned();
    assert_eq!(shown(&place, "delivery.lease"), (Some("30s".into()), origin));
    let place = place.flag("delivery.lease", "--lease", "40s");
    assert_eq!(shown(&place, "delivery.lease"), (Some("40s".into()), "flag --lease".into()));
    assert_eq!(place.settings().delivery.lease.as_secs(), 40);
}

#[test]
fn a_plain_variable_of_a_later_layer_wins_without_contradiction() {
    let place = Place::new()
        .file(".env", "SMTP_HOST=old.example\n")
        .variable("POSTHASTE_TRANSPORTS__SMTP__HOST", "new.example");
    assert_eq!(shown(&place, "transports.smtp.host").0.as_deref(), Some("new.example"));
}

#[test]
fn a_password_in_dotenv_is_what_stands_there() {
    let place = Place::new().file(".env", "SMTP_HOST=r\nSMTP_USERNAME=u\nSMTP_PASSWORD=a$b \\c'd#e # ours\n");
    let settings = place.settings();
    let Some(TransportKind::Smtp(relay)) = settings.transports.first().map(|one| &one.kind) else {
        panic!("no relay: {settings:?}")
    };
    let password = relay.credentials.as_ref().map(|credentials| credentials.password.expose());
    assert_eq!(password, Some(r"a$b \c'd#e"));
}

#[test]
fn a_named_file_is_read_instead_and_must_exist() {
    let mut place =
        Place::new().toml("[delivery]\nlease = '10s'").file("other.toml", "[delivery]\nlease = '11s'");
    place.overrides.file = Some("other.toml".into());
    assert_eq!(place.settings().delivery.lease.as_secs(), 11);
    place.overrides.file = Some("missing.toml".into());
    let faults = place.faults();
    assert!(faults[0].starts_with("missing.toml: cannot be read"), "{faults:?}");
}

#[test]
fn a_file_holds_named_transports_and_ordered_routes() {
    let text = r#"
        [mail]
        default_transport = "main"
        [transports.main]
        kind = "smtp"
        host = "relay.example"
        port = 2_525
        rate = "10/s"
        daily_quota = 50000
        [transports.bulk]
        kind = "sendgrid"
        api_key = "k"
        max_connections = 0x10
        [transports.inbox]
        [delivery]
        retry_schedule = ["1s", "2s"]
        [attachments]
        link_above_bytes = 1048576
        [[routes]]
        tag = "bulk"
        source = "smtp"
        transports = ["bulk", "main"]
        weights = [3, 1]
        [[routes]]
        from_domain = "Example.org"
        transports = "main"
    "#;
    let settings = Place::new().toml(text).settings();
    let names: Vec<&str> = settings.transports.iter().map(|transport| transport.name.as_str()).collect();
    assert_eq!(names, ["bulk", "main", "inbox"]);
    assert_eq!(settings.transports[0].max_connections, 16);
    assert_eq!(settings.transports[1].daily_quota, Some(50_000));
    assert_eq!(settings.mail.default_transport, "main");
    assert_eq!(settings.delivery.retry.schedule.len(), 2);
    assert_eq!(settings.attachments.link_above_bytes, Some(1 << 20));
    assert_eq!(settings.routes[0].transports, ["bulk", "main"]);
    assert_eq!(settings.routes[0].weights, [3, 1]);
    assert_eq!(settings.routes[0].source, Some(RouteSource::Smtp));
    assert_eq!(
        settings.routes[1].from_domain.as_ref().map(ToString::to_string).as_deref(),
        Some("example.org")
    );
    assert_eq!(settings.routes[1].transports, ["main"]);
}

#[test]
fn variables_name_transports_and_number_routes() {
    let settings = Place::new()
        .variables(&[
            ("POSTHASTE_TRANSPORTS__MAIN__KIND", "smtp"),
            ("POSTHASTE_TRANSPORTS__MAIN__HOST", "relay.example"),
            ("POSTHASTE_ROUTES__0__TRANSPORTS", "main,inbox"),
            ("POSTHASTE_ROUTES__10__TRANSPORTS", "inbox"),
            ("POSTHASTE_ROUTES__2__TRANSPORTS", "main"),
        ])
        .settings();
    let routes: Vec<&[String]> = settings.routes.iter().map(|route| route.transports.as_slice()).collect();
    assert_eq!(routes, [&["main".to_owned(), "inbox".into()][..], &["main".into()], &["inbox".into()]]);
    assert_eq!(settings.mail.default_transport, "main");
}

#[test]
fn secrets_are_masked_wherever_they_are_shown() {
    let place = Place::new().variables(&[
        ("SMTP_HOST", "relay"),
        ("SMTP_USERNAME", "u"),
        ("SMTP_PASSWORD", "hunter2"),
        ("API_KEY", "hunter2"),
        ("REDIS_URL", "redis://u:hunter2@cache"),
    ]);
    let loaded = place.load().unwrap_or_else(|faults| panic!("{faults}"));
    let lines = show(&loaded.raw);
    let everything =
        format!("{} {} {loaded:?}", show_text(&lines), serde_json::to_string(&lines).unwrap_or_default());
    assert!(!everything.contains("hunter2"), "{everything}");
    assert!(
        everything.contains("transports.smtp.password = ****  # environment SMTP_PASSWORD"),
        "{everything}"
    );
    assert!(everything.contains("redis://****@cache"), "{everything}");
}

#[test]
fn relative_paths_start_at_the_working_directory() {
    let place = Place::new().variables(&[("DATA_DIR", "mail"), ("DATABASE_URL", "sqlite://mail.db")]);
    let (settings, here) = (place.settings(), place.directory.path());
    assert_eq!(settings.data.dir, here.join("mail"));
    assert_eq!(settings.store, StoreSettings::Sqlite(here.join("mail.db")));
}

#[test]
fn two_places_are_two_configurations() {
    let (one, two) = (Place::new().variable("HTTP_LISTEN", "127.0.0.1:1"), Place::new());
    assert_ne!(one.settings().http.listen, two.settings().http.listen);
}

/// What `laravel new` writes (Laravel 12), but for what has nothing to do with mail.
const LARAVEL: &str = r#"APP_NAME="Ticket Shop"
APP_ENV=local
LOG_CHANNEL=stack
LOG_LEVEL=debug
REDIS_HOST=127.0.0.1
REDIS_PASSWORD=null
REDIS_PORT=6379

MAIL_MAILER=log
MAIL_SCHEME=null
MAIL_HOST=127.0.0.1
MAIL_PORT=2525
MAIL_USERNAME=null
MAIL_PASSWORD=null
MAIL_FROM_ADDRESS="hello@example.com"
MAIL_FROM_NAME="${APP_NAME}"

AWS_ACCESS_KEY_ID=
AWS_SECRET_ACCESS_KEY=
AWS_DEFAULT_REGION=us-east-1
AWS_BUCKET=
"#;

#[test]
fn a_new_laravel_applications_mail_stays_here() {
    let mail = Place::new().file(".env", LARAVEL).settings().mail;
    assert_eq!((mail.default_transport.as_str(), mail.kept_by.as_deref()), ("inbox", Some("log")));
    assert_eq!(mail.from_name.as_deref(), Some("Ticket Shop"));
    // A transport of that name is what is meant.
    let named = Place::new().file(".env", LARAVEL).toml("[transports.log]\nkind = 'smtp'\nhost = 'r'");
    let mail = named.settings().mail;
    assert_eq!((mail.default_transport.as_str(), mail.kept_by), ("log", None));
}
