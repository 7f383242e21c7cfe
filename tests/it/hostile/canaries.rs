//! A60: every secret that an installation has is a word found nowhere else, everything runs at `trace`, providers repeat
//! what they are told, a rendering panics; then all that can be read is looked through.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD as BASE64, STANDARD_NO_PAD};
use memchr::memmem;
use serde_json::{Value, json};

use crate::emails_api::{email_to, with};
use crate::harness::browser::{Browser, PASSWORD, make_user};
use crate::harness::provider::{Answer, Provider, Request};
use crate::harness::relay::{Action, Script, Step};
use crate::harness::server::NONE;
use crate::harness::{Installation, Relay, Server, ServerOptions, eventually};
use crate::{mail_proxy, oauth, smtp_ingress};

const ROOT: &str = "root@example.com";
const SMTP_PASSWORD: &str = "canary-of-the-relay";
const MAILGUN: &str = "key-canary-of-mailgun";
const SENDGRID: &str = "SG.canary-of-sendgrid";
const DATABASE: &str = "canary-of-the-database";

/// The configured ones, by the variable that holds each.
const CONFIGURED: [(&str, &str); 13] = [
    ("SMTP_PASSWORD", SMTP_PASSWORD),
    ("SENDGRID_API_KEY", SENDGRID),
    ("MAILGUN_API_KEY", MAILGUN),
    ("MAILGUN_WEBHOOK_SIGNING_KEY", "canary-of-mailguns-news"),
    ("AWS_SECRET_ACCESS_KEY", "canary/of+ses"),
    ("AWS_SESSION_TOKEN", "canary/of+the+aws+session"),
    ("MICROSOFT_CLIENT_SECRET", "canary~of~graph/1"),
    ("WEBHOOK_SECRET", "canary-of-the-webhook"),
    ("JWT_SECRET", "canary-of-the-tokens-0123456789-0123456789"),
    ("API_KEY", "canary-of-aegis"),
    // "canary of the vault: 32 bytes ok" in base64.
    ("ENCRYPTION_KEY", "Y2FuYXJ5IG9mIHRoZSB2YXVsdDogMzIgYnl0ZXMgb2s="),
    // Nobody listens there: what is said of it must not be the whole URL.
    ("REDIS_URL", "redis://:canary-of-redis@127.0.0.1:1/"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20canary-of-the-traces"),
];

/// The providers, each of which can be asked for by a tag of its name.
const PROVIDERS: [&str; 4] = ["sendgrid", "mailgun", "ses", "graph"];

/// Refuses everybody in the words of the request.
fn repeating() -> Provider {
    Provider::start(
        |_| false,
        |request: &Request| {
            let said = [
                request.header("authorization").unwrap_or_default(),
                request.header("x-amz-security-token").unwrap_or_default(),
                &*String::from_utf8_lossy(&request.body),
            ]
            .join(" ");
            let errors = json!([{"message": said, "field": null}]);
            let body = json!({"errors": errors, "message": said, "error": "invalid_client", "error_description": said});
            Answer::new(401, body.to_string())
        },
    )
}

fn options(relay: &Relay, provider: &Provider) -> ServerOptions {
    let mut options = ServerOptions::to_relay(relay)
        .env("SMTP_AUTH", "true")
        .env("SMTP_USERNAME", "posthaste")
        .env("MAIL_MAILER", "smtp")
        .env("SENDGRID_BASE_URL", provider.url())
        .env("MAILGUN_DOMAIN", "mg.example.com")
        .env("MAILGUN_BASE_URL", provider.url())
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("SES_BASE_URL", provider.url())
        .env("MICROSOFT_TENANT_ID", "tenant")
        .env("MICROSOFT_CLIENT_ID", "application")
        .env("MICROSOFT_LOGIN_URL", provider.url())
        .env("MICROSOFT_GRAPH_URL", provider.url())
        .env("ORG_DOMAINS", "org.example")
        .env("WEBHOOK_URL", "https://hooks.example.net/hook")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", provider.url())
        .env("LOG_LEVEL", "trace");
    for (name, secret) in CONFIGURED {
        options = options.env(name, secret);
    }
    let routes = PROVIDERS.map(|name| format!("[[routes]]\ntag = \"{name}\"\ntransports = [\"{name}\"]\n"));
    options.toml(&routes.concat()).fault("render_panic:1")
}

/// What must be found nowhere, with a name for each.
struct Secrets(Vec<(String, String)>);

impl Secrets {
    /// A secret, and what it looks like in base64 and as a column of octets.
    fn add(&mut self, name: &str, secret: &str) {
        assert!(secret.len() >= 8, "{name} is too short to be looked for");
        self.0.push((name.to_owned(), secret.to_owned()));
        self.0.push((format!("{name} in base64"), STANDARD_NO_PAD.encode(secret)));
        let mut hex = String::new();
        for byte in secret.bytes() {
            write!(hex, "{byte:02x}").expect("a text takes it");
        }
        self.0.push((format!("{name} in hexadecimal"), hex));
    }

    /// The login with it, as SMTP (RFC 4616) and HTTP (RFC 7617) say it.
    fn add_login(&mut self, name: &str, user: &str, secret: &str) {
        for login in [format!("\0{user}\0{secret}"), format!("{user}:{secret}")] {
            self.0.push((format!("the login with {name}"), STANDARD_NO_PAD.encode(login)));
        }
    }

    fn configured() -> Self {
        let mut secrets = Self(Vec::new());
        for (name, secret) in CONFIGURED {
            // Of a URL and of a header only the password is one.
            let secret = match name {
                "REDIS_URL" => "canary-of-redis",
                "OTEL_EXPORTER_OTLP_HEADERS" => "canary-of-the-traces",
                _ => secret,
            };
            secrets.add(name, secret);
        }
        secrets.add("the encryption key itself", "canary of the vault: 32 bytes ok");
        secrets.add("the database's password", DATABASE);
        secrets.add_login("SMTP_PASSWORD", "posthaste", SMTP_PASSWORD);
        secrets.add_login("MAILGUN_API_KEY", "api", MAILGUN);
        secrets
    }

    /// Every secret that stands in one of the places, with its place.
    fn found(&self, places: &[(String, Vec<u8>)]) -> Vec<String> {
        let mut found = Vec::new();
        for (name, secret) in &self.0 {
            let finder = memmem::Finder::new(secret.as_bytes());
            for (place, text) in places {
                if let Some(at) = finder.find(text) {
                    let around = &text[at.saturating_sub(60)..(at + secret.len() + 20).min(text.len())];
                    found.push(format!("{name} in {place}: {}", String::from_utf8_lossy(around)));
                }
            }
        }
        found
    }
}

/// Starts it; where there is a database server, with a password that it does not ask for.
fn start(options: ServerOptions) -> Server {
    let mut server = Server::prepare(options);
    if let Some(url) = database(&server) {
        let (scheme, rest) = url.split_once("://").expect("a URL");
        let (user, place) = rest.split_once('@').expect("a user");
        let user = user.split(':').next().unwrap_or_default();
        let url = format!("{scheme}://{user}:{DATABASE}@{place}");
        server.change(|options| options.env("DATABASE_URL", url));
    }
    server.spawn();
    server.wait_ready();
    server.cli_json(&["domain", "create", "example.com", "--client", "default"]);
    server
}

/// The URL of its database, where that is no file.
fn database(server: &Server) -> Option<String> {
    let command = server.command();
    let found = command.get_envs().find(|(name, _)| *name == "DATABASE_URL")?;
    Some(found.1?.to_string_lossy().into_owned())
}

fn word_after(text: &str, start: &str) -> String {
    let at = text.find(start).unwrap_or_else(|| panic!("{start} is not in {text}"));
    let is_word = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    text[at + start.len()..].chars().take_while(|c| is_word(*c)).collect()
}

/// Makes one of every secret that people and programs are given, and shows wrong ones at every door.
fn made(server: &Server, secrets: &mut Secrets) -> (String, Browser) {
    let banner = server.stdout();
    secrets.add("the first key", &format!("ph_live_{}", word_after(&banner, "ph_live_")));
    let setup = word_after(&banner, "/setup?token=");
    server.get_with(&format!("/setup?token={setup}"), &[("X-Api-Key", NONE)]);
    secrets.add("the first admin's link", &setup);
    let permissions = ["admin", "emails:send", "emails:read", "webhooks:write"];
    let permissions: Vec<&str> = permissions.iter().flat_map(|name| ["--permission", name]).collect();
    let key = server.new_key(&[&["--client", "default"], &permissions[..]].concat());
    secrets.add("a key", &key);
    secrets.add_login("a key", "default", &key);
    let by_key = [("X-Api-Key", key.as_str())];
    let hook = json!({"url": "https://hooks.example.net/x", "events": ["*"]});
    let hook = server.post_with("/api/webhooks", &by_key, &hook).expect(201).json();
    secrets.add("a webhook's secret", hook["secret"].as_str().expect("a secret"));
    oauth::client(server, "myawesomeapp", "canary-of-oauth", &["basic", "email"]);
    secrets.add("an OAuth secret", "canary-of-oauth");
    let bearer = oauth::bearer(server, "myawesomeapp", "canary-of-oauth");
    secrets.add("an access token", bearer.trim_start_matches("Bearer "));
    oauth::send(server, &bearer, &[], &oauth::email());
    let token = mail_proxy::token(server, "Accounting", &["admin"]);
    secrets.add("a department's token", token.bearer.trim_start_matches("Bearer "));
    let sender = json!({"sender_email": "noreply@org.example", "ms_tenant_id": "tenant", "ms_client_id": "application",
        "ms_client_secret": "canary-of-a-sender"});
    mail_proxy::post(server, &token, "/auth/sender-config", &sender).expect(201);
    secrets.add("a sender's secret", "canary-of-a-sender");
    let mut session = smtp_ingress::session(server);
    session.login("default", &key).expect("235");

    make_user(server, ROOT, "admin");
    let browser = Browser::logged_in(server, ROOT);
    secrets.add("a password", PASSWORD);
    secrets.add("a session", &browser.cookie("posthaste_session").expect("a session"));
    browser.post("/admin/domains/example.com/keys", &[("algorithm", "ed25519")]).expect(303);
    secrets.0.push(("a signing key".to_owned(), "PRIVATE KEY".to_owned()));

    secrets.add("a wrong key", "ph_live_canary_that_is_wrong");
    server.get_with("/api/emails", &[("X-Api-Key", "ph_live_canary_that_is_wrong")]).expect(401);
    secrets.add("a wrong token", "canary.wrong.bearer");
    oauth::get(server, "Bearer canary.wrong.bearer", "/emails");
    mail_proxy::call(server, "GET", "/mail/history", "Bearer canary.wrong.bearer", &[], None);
    secrets.add("a wrong OAuth secret", "canary-of-nobody");
    oauth::login(server, "myawesomeapp", "canary-of-nobody");
    secrets.add("a wrong password", "canary-that-nobody-has");
    let visitor = Browser::new(server);
    visitor.get("/login").expect(200);
    visitor.post("/login", &[("email", ROOT), ("password", "canary-that-nobody-has")]);
    smtp_ingress::session(server).login("default", "canary-that-nobody-has").expect("535");
    (key, browser)
}

/// An email by each way out; all but one are refused in the words of our own request.
fn sent(server: &Server, key: &str) -> Vec<String> {
    let by_key = [("X-Api-Key", key)];
    let send = |email: &Value| {
        let answer = server.post_with("/api/emails", &by_key, email).expect(202).json();
        answer["email_id"].as_str().expect("an id").to_owned()
    };
    let shown = |id: &str| server.get_with(&format!("/api/emails/{id}"), &by_key).expect(200).json();
    // It panics first, then the relay refuses its login in the words of the login, then it goes out.
    let first = send(&email_to("user@client.com", "x"));
    eventually("the email is sent", || (shown(&first)["status"] == "sent").then_some(()));
    let mut ids = vec![first];
    for name in PROVIDERS {
        let id = send(&with(email_to("user@client.com", "x"), json!({"tags": [name]})));
        eventually(&format!("{name} refused it"), || {
            shown(&id)["events"].to_string().contains("401").then_some(())
        });
        ids.push(id);
    }
    ids
}

fn files(folder: &Path, except: &Path, places: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && path != except {
            files(&path, except, places);
        } else if let Ok(text) = fs::read(&path) {
            places.push((path.display().to_string(), text));
        }
    }
}

/// Everything that an operator, a caller or a thief can read.
fn places(server: &Server, key: &str, browser: &Browser, ids: &[String]) -> Vec<(String, Vec<u8>)> {
    let mut places = vec![("the log".to_owned(), server.stderr().into_bytes())];
    let clients = server.cli_json(&["client", "list"]);
    let default = clients.as_array().and_then(|all| all.iter().find(|one| one["name"] == "default"));
    let client = default.and_then(|one| one["client_id"].as_str()).expect("the default client").to_owned();
    let mut pages: Vec<String> = [
        "/admin",
        "/admin/emails",
        "/admin/clients",
        "/admin/templates",
        "/admin/domains",
        "/admin/people",
        "/admin/audit",
        "/admin/system",
        "/inbox",
        "/eo/email-reports",
        "/account/password",
        "/account/codes",
    ]
    .map(str::to_owned)
    .to_vec();
    pages.extend(["webhooks", "suppressions", "emails"].map(|page| format!("/admin/{page}?client={client}")));
    let mut calls: Vec<String> = [
        "/metrics",
        "/health",
        "/readyz",
        "/api/emails",
        "/api/webhooks",
        "/api/audit",
        "/api/keys",
        "/api/events",
    ]
    .map(str::to_owned)
    .to_vec();
    for id in ids {
        pages.push(format!("/admin/emails/{client}/{id}"));
        calls.extend([format!("/api/emails/{id}"), format!("/api/emails/{id}/explain")]);
    }
    for path in pages {
        places.push((path.clone(), browser.get(&path).expect(200).body));
    }
    for path in calls {
        places.push((path.clone(), server.get_with(&path, &[("X-Api-Key", key)]).body));
    }
    for command in [
        &["config", "show"][..],
        &["config", "show", "--json"],
        &["config", "check"],
        &["doctor"],
        &["queue", "status"],
        &["client", "list", "--json"],
        &["key", "list", "--json"],
        &["token", "list", "--json"],
        &["oauth-client", "list", "--json"],
        &["domain", "list", "--json"],
        &["user", "list", "--json"],
    ] {
        let output = server.cli(command);
        places.push((command.join(" "), [output.stdout, output.stderr].concat()));
    }
    let arguments = fs::read(format!("/proc/{}/cmdline", server.pid())).expect("the arguments");
    places.push(("the process' arguments".to_owned(), arguments));
    stored(server, &mut places);
    assert!(places.iter().filter(|(_, text)| !text.is_empty()).count() > 40, "{} places", places.len());
    places
}

/// The store, its dump and a backup. What is kept under `secrets` is documented to be one.
fn stored(server: &Server, places: &mut Vec<(String, Vec<u8>)>) {
    let room = tempfile::tempdir().expect("a directory");
    let backup = room.path().join("backup");
    let made = server.cli(&["backup", backup.to_str().expect("a path")]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    files(&backup, &backup.join("secrets"), places);
    files(&server.data(), &server.data().join("secrets"), places);
    if let Some(url) = database(server) {
        let dump = Command::new("pg_dump").args(["--dbname", &url]).output().expect("pg_dump");
        assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
        places.push(("a dump of the database".to_owned(), dump.stdout));
    } else {
        assert_eq!(Installation::chosen(), Installation::Embedded);
    }
}

#[test]
fn a60_no_secret_stands_where_it_can_be_read() {
    let login = Script::accepting().login("PLAIN LOGIN", "posthaste", SMTP_PASSWORD);
    let repeated =
        format!("454 4.7.0 {} is what you said", BASE64.encode(format!("\0posthaste\0{SMTP_PASSWORD}")));
    let relay = Relay::start(login.first(1, Step::Auth, Action::reply(&repeated)));
    let provider = repeating();
    let server = start(options(&relay, &provider));
    let mut secrets = Secrets::configured();
    let (key, browser) = made(&server, &mut secrets);
    let ids = sent(&server, &key);
    assert!(server.stderr().contains("rendering panicked"), "nothing panicked");
    let places = places(&server, &key, &browser, &ids);
    let found = secrets.found(&places);
    assert!(found.is_empty(), "{}", found.join("\n"));
}
