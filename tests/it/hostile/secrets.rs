//! A60, A63: no secret anywhere it can be read, files for their owner alone.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::emails_api::email_to;
use crate::harness::relay::{Action, Script, Step};
use crate::harness::{Relay, Server, ServerOptions};

#[test]
fn a60_secrets_stand_in_no_log_answer_or_setting() {
    let relay =
        Relay::start(Script::accepting().login("PLAIN LOGIN", "canary-user", "canary-password").first(
            1,
            Step::Auth,
            Action::reply("454 4.7.0 canary-password is what you said"),
        ));
    let server = Server::start(
        ServerOptions::to_relay(&relay)
            .env("SMTP_AUTH", "true")
            .env("SMTP_USERNAME", "canary-user")
            .env("SMTP_PASSWORD", "canary-password")
            .env("JWT_SECRET", "canary-jwt-secret-of-enough-length-0123456789")
            .env("WEBHOOK_URL", "https://example.com/hook")
            .env("WEBHOOK_SECRET", "canary-webhook-secret")
            .env("MAILGUN_WEBHOOK_SIGNING_KEY", "canary-mailgun-key")
            // Nobody listens there: what is said of it must not be the whole URL.
            .env("REDIS_URL", "redis://:canary-redis@127.0.0.1:1/")
            .env("LOG_LEVEL", "trace"),
    );
    server
        .post_with(
            "/api/emails",
            &[("X-Api-Key", "ph_live_canary_key_that_is_wrong")],
            &email_to("u@client.com", "x"),
        )
        .expect(401);
    // The first login is refused in the password's own words, the second taken: all of it has been logged by then.
    let id = server.send(&email_to("user@client.com", "canary-body"));
    let shown = server.wait_status(&id, "sent").to_string();
    assert!(shown.contains("454 4.7.0"), "{shown}");
    for secret in ["canary-password", "Y2FuYXJ5LXBhc3N3b3Jk"] {
        assert!(!shown.contains(secret), "{secret} stands in {shown}");
    }
    let metrics = server.get("/metrics").text();
    let readiness = server.get("/health").text();
    let settings = server.cli(&["config", "show"]);
    let settings = String::from_utf8_lossy(&settings.stdout).into_owned();
    let key = server.key().to_owned();
    let base64_login = "AGNhbmFyeS11c2VyAGNhbmFyeS1wYXNzd29yZA";
    let secrets = [
        "canary-password",
        "canary-jwt",
        "canary-webhook",
        "canary-mailgun",
        "canary-redis",
        "canary_key_that",
        base64_login,
        key.as_str(),
    ];
    let mut places = vec![
        ("log", server.stderr()),
        ("metrics", metrics),
        ("health", readiness),
        ("config show", settings),
    ];
    let logs = server.data().join("logs");
    for entry in fs::read_dir(logs).into_iter().flatten().flatten() {
        places.push(("log file", fs::read_to_string(entry.path()).unwrap_or_default()));
    }
    places.push((
        "process arguments",
        fs::read_to_string(format!("/proc/{}/cmdline", server.pid())).unwrap_or_default(),
    ));
    for (place, text) in &places {
        for secret in secrets {
            assert!(!text.contains(secret), "{secret} stands in the {place}");
        }
        assert!(!text.contains("canary-body"), "a body stands in the {place}");
    }
    assert!(places.iter().any(|(_, text)| !text.is_empty()));
}

#[test]
fn a60_addresses_stand_in_no_log() {
    let relay = Relay::start(Script::accepting().first(
        1,
        Step::Rcpt,
        Action::reply("450 4.2.0 <canary-user@client.com> busy"),
    ));
    let server = Server::start(ServerOptions::to_relay(&relay).env("LOG_LEVEL", "trace"));
    let id = server.send(&email_to("canary-user@client.com", "x"));
    server.wait_status(&id, "sent");
    assert!(!server.stderr().contains("canary-user@"), "an address stands in the log");
}

#[test]
fn a63_files_are_for_their_owner_alone() {
    let server = Server::inbox();
    server.send(&email_to("user@client.com", "x"));
    let mut paths = vec![server.data()];
    let mut seen = 0;
    while let Some(path) = paths.pop() {
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        let mode = metadata.permissions().mode() & 0o777;
        let expected = if metadata.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode & !expected, 0, "{}: {mode:o}", path.display());
        seen += 1;
        if metadata.is_dir() {
            paths.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        }
    }
    assert!(seen > 3, "{seen} files");
}
