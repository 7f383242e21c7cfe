//! Running it: the first start, probes, the command line, and settings that are wrong.

use std::net::TcpListener;
use std::time::Duration;

use serde_json::{Value, json};

use crate::emails_api::email_to;
use crate::harness::relay::{Action, Script, Step};
use crate::harness::server::NONE;
use crate::harness::{Relay, Server, ServerOptions, eventually};

#[test]
fn the_first_start_prints_a_key_and_a_curl_line_once() {
    let mut server = Server::inbox();
    let banner = server.stdout();
    assert!(banner.contains("curl") && banner.contains(server.key()), "{banner}");
    assert_eq!(banner.matches(server.key()).count(), banner.matches("ph_").count(), "one key only: {banner}");
    server.restart();
    assert_eq!(server.stdout().matches(server.key()).count(), banner.matches(server.key()).count());
}

#[test]
fn the_curl_line_of_the_banner_works_as_it_stands() {
    let server = Server::start_bare(ServerOptions::default());
    let banner = server.stdout();
    let from = banner.find("curl ").expect("a curl line");
    let mut line = String::new();
    for part in banner[from..].lines() {
        line.push_str(part.trim_end_matches('\\'));
        if !part.trim_end().ends_with('\\') {
            break;
        }
    }
    let Ok(output) = std::process::Command::new("sh").args(["-c", &line]).output() else { panic!("sh") };
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("email_id"), "{line}\n{told}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_server_takes_as_many_open_files_as_it_may() {
    // As most systems start a process: far fewer files than the connections in the settings.
    let server = Server::start_bare(ServerOptions::default().under("ulimit -Sn 256"));
    let Ok(limits) = std::fs::read_to_string(format!("/proc/{}/limits", server.pid())) else {
        panic!("no limits")
    };
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("the limit");
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[3], words[4], "soft and hard: {line}");
    assert_ne!(words[3], "256", "{line}");
}

#[test]
fn probes_health_and_metrics_answer_without_a_key() {
    let server = Server::inbox();
    let without = [("X-Api-Key", NONE)];
    server.get_with("/livez", &without).expect(200);
    server.get_with("/readyz", &without).expect(200);
    // A start does not wait for the broker, where there is one.
    let health = eventually("all parts are there", || {
        let health = server.get_with("/health", &without);
        (health.status == 200).then(|| health.json())
    });
    assert_eq!(health["status"], "healthy");
    for member in ["version", "timestamp", "checks", "services"] {
        assert!(!health[member].is_null(), "{member}: {health:#}");
    }
    let metrics = server.get_with("/metrics", &without).expect(200).text();
    let number = |name: &str| metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    assert!(number("posthaste_store_connections ").is_some_and(|open: u32| open > 0), "{metrics}");
}

#[test]
fn without_any_setting_mail_stays_in_the_inbox() {
    let server = Server::inbox();
    let id = server.send(&email_to("user@client.com", "for the inbox"));
    assert_eq!(server.wait_status(&id, "sent")["provider"], "inbox");
    let page = server.get_with("/inbox", &[("X-Api-Key", NONE)]).expect(200);
    assert!(page.text().contains("Selamat datang"), "{}", page.text());
}

#[test]
fn a_wrong_setting_stops_the_start_and_says_what_would_be_right() {
    let rows = [
        ("POSTHASTE_DELIVERY__LEESE", "5s", "lease"),
        ("POSTHASTE_DELIVERY__LEASE", "soon", "lease"),
        ("POSTHASTE_DELIVERY__ON_UNCERTAIN", "panic", "retry"),
        ("SMTP_PORT", "70000", "SMTP_PORT"),
        ("LOG_FORMAT", "xml", "json"),
        ("HTTP_LISTEN", "nowhere", "HTTP_LISTEN"),
    ];
    for (name, value, hint) in rows {
        let server = Server::prepare(ServerOptions::default().env("SMTP_HOST", "127.0.0.1").env(name, value));
        for command in [["config", "check"].as_slice(), &["serve"]] {
            let output = server.cli(command);
            assert!(!output.status.success(), "{name}={value}: {command:?} went on");
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(told.contains(name) || told.contains(hint), "{name}={value}: {told}");
        }
    }
}

#[test]
fn a_configuration_file_is_read_and_an_unknown_key_in_it_is_named() {
    let relay = Relay::accepting();
    let smtp =
        format!("host = \"127.0.0.1\"\nport = {}\nencryption = \"none\"\nauth = false\n", relay.port());
    let server =
        Server::start(ServerOptions::default().toml(&format!("[transports.out]\nkind = \"smtp\"\n{smtp}")));
    let id = server.send(&email_to("user@client.com", "x"));
    assert_eq!(server.wait_status(&id, "sent")["provider"], "out");
    relay.only_message();
    let wrong = Server::prepare(ServerOptions::default().toml("[delivery]\nleese = \"5s\"\n"));
    let output = wrong.cli(&["serve"]);
    assert!(!output.status.success());
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("leese") && told.contains("posthaste.toml"), "{told}");
}

#[test]
fn queue_status_counts_what_waits() {
    let server = Server::inbox();
    let email = crate::emails_api::with(
        email_to("user@client.com", "x"),
        json!({"send_at": crate::harness::soon(Duration::from_secs(3600))}),
    );
    server.send(&email);
    let status = server.cli_json(&["queue", "status"]);
    assert_eq!(status["scheduled"], 1, "{status}");
    for member in ["pending", "processing", "oldest_due_seconds", "workers"] {
        assert!(status.get(member).is_some(), "{member}: {status}");
    }
}

#[test]
fn doctor_finds_a_relay_that_is_not_there() {
    let relay = Relay::accepting();
    let server = Server::to_relay(&relay);
    let fine = server.cli(&["doctor"]);
    assert_eq!(fine.status.code(), Some(0), "{}", String::from_utf8_lossy(&fine.stdout));
    drop(relay);
    let broken = server.cli(&["doctor"]);
    assert_eq!(broken.status.code(), Some(1), "{}", String::from_utf8_lossy(&broken.stdout));
}

#[test]
fn doctor_finds_an_endpoint_that_is_not_there_and_waits_for_a_slow_relay() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let nobody = format!("http://{}/hook", taken.local_addr().expect("an address"));
    drop(taken);
    // Its greeting takes longer than a monitor waits.
    let greeting = Action::Trickle("220 relay".into(), Duration::from_millis(200));
    let relay = Relay::start(Script::accepting().on(Step::Connect, greeting));
    let options = ServerOptions::to_relay(&relay)
        .env("WEBHOOK_URL", &nobody)
        .env("WEBHOOK_SECRET", "a secret of the endpoint");
    let output = Server::prepare(options).cli(&["doctor", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let checks = found["checks"].as_array().expect("checks");
    let of = |name: &str| checks.iter().find(|check| check["name"] == name).expect(name).clone();
    assert_eq!(of("transport smtp")["status"], "ok", "{found}");
    assert_eq!(of("webhook")["status"], "failed", "{found}");
}

#[test]
fn a_backup_of_a_running_server_starts_elsewhere_with_the_same_mail() {
    let server = Server::inbox();
    let id = server.send(&email_to("user@client.com", "x"));
    server.wait_status(&id, "sent");
    let place = tempfile::tempdir().expect("a directory");
    let backup = place.path().join("backup");
    let made = server.cli(&["backup", backup.to_str().expect("a path")]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let other = Server::prepare(ServerOptions::default());
    let restored = other.cli(&["restore", backup.to_str().expect("a path")]);
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    let mut other = other;
    other.spawn();
    other.wait_ready();
    let shown =
        other.get_with(&format!("/api/emails/{id}"), &[("X-Api-Key", server.key())]).expect(200).json();
    assert_eq!(shown["status"], "sent");
}

#[test]
fn a_second_life_takes_back_the_leases_of_the_first() {
    let relay = Relay::start(Script::accepting().without("PIPELINING").first(1, Step::Mail, Action::Silence));
    let mut server = Server::start(ServerOptions::to_relay(&relay).env("POSTHASTE_DELIVERY__LEASE", "10m"));
    let id = server.send(&email_to("user@client.com", "x"));
    eventually("the attempt waits", || {
        relay.connections().iter().any(|connection| connection.text().contains("MAIL FROM")).then_some(())
    });
    server.restart();
    // The lease would run for ten minutes; the next life of the same node does not wait for it.
    server.wait_status(&id, "sent");
}

#[test]
fn a_node_without_workers_shows_how_much_waits() {
    let server = Server::start(ServerOptions::default().api_only());
    server.send(&email_to("user@client.com", "waits"));
    let without = [("X-Api-Key", NONE)];
    let metrics = server.get_with("/metrics", &without).expect(200).text();
    for (name, value) in [("queue_queued", "1"), ("queue_due", "1"), ("queue_leased", "0")] {
        let line = metrics.lines().find(|line| line.starts_with(&format!("posthaste_{name} ")));
        assert_eq!(line, Some(format!("posthaste_{name} {value}").as_str()), "{metrics}");
    }
}
