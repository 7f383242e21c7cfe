//! A2: a worker that stood still longer than its lease; A10: asked to leave under full load.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::count::{Load, seen};
use crate::emails_api::email_to;
use crate::harness::relay::{Action, Script, Step};
use crate::harness::{Relay, Server, ServerOptions, embedded_only, eventually};

#[test]
fn a2_a_stopped_server_sends_nothing_with_a_lease_that_ran_out() {
    // The relay keeps the first attempt waiting at MAIL; meanwhile the server stands still past its lease.
    let slow = Action::Trickle("250 ok".into(), Duration::from_millis(300));
    let relay = Relay::start(Script::accepting().without("PIPELINING").first(1, Step::Mail, slow));
    let mut server = Server::start(ServerOptions::to_relay(&relay).env("POSTHASTE_DELIVERY__LEASE", "2s"));
    let id = server.send(&email_to("user@client.com", "token-once."));
    eventually("the attempt has begun", || {
        relay.connections().iter().any(|connection| connection.text().contains("MAIL FROM")).then_some(())
    });
    server.signal("STOP");
    let began = Instant::now();
    eventually("the lease is over", || (began.elapsed() > Duration::from_secs(4)).then_some(()));
    server.signal("CONT");
    server.wait_status(&id, "sent");
    assert_eq!(seen(&relay).get("token-once."), Some(&1), "sent twice");
    assert!(server.exited().is_none());
}

#[test]
fn a2_what_a_stopped_worker_held_another_sends_and_it_does_not_when_it_goes_on() {
    // The relay keeps the first attempt waiting at MAIL; meanwhile its worker stands still.
    let slow = Action::Trickle("250 ok".into(), Duration::from_millis(300));
    let relay = Relay::start(Script::accepting().without("PIPELINING").first(1, Step::Mail, slow));
    // The lease is longer than the test: only the worker's silence can end it.
    let options = ServerOptions::to_relay(&relay).env("POSTHASTE_DELIVERY__LEASE", "10m");
    let server = Server::start(options.clone().api_only());
    let mut first = Server::start_bare(options.clone().worker_beside(&server, 1));
    let id = server.send(&email_to("user@client.com", "token-once."));
    eventually("the attempt has begun", || {
        relay.connections().iter().any(|connection| connection.text().contains("MAIL FROM")).then_some(())
    });
    first.signal("STOP");
    let _second = Server::start_bare(options.worker_beside(&server, 2));
    let email = server.wait_status(&id, "sent");
    assert_eq!(email["retries"], 1, "{email:#}");
    assert!(email["events"].to_string().contains("lease_expired"), "{email:#}");
    first.signal("CONT");
    eventually("the first worker sees that its lease is lost", || {
        let told = format!("{}{}", first.stdout(), first.stderr());
        told.contains("lease was lost").then_some(())
    });
    assert_eq!(seen(&relay).get("token-once."), Some(&1), "sent twice");
    assert_eq!(server.email(&id)["status"], "sent");
    assert!(first.exited().is_none());
}

#[test]
fn a10_sigterm_under_full_load_drains_and_loses_nothing() {
    let relay = Relay::accepting();
    let mut server = Server::start(ServerOptions::to_relay(&relay));
    let load = Load::default();
    load.during(&mut server, 16, |server, address| {
        load.goes_on(200);
        let began = Instant::now();
        let status = server.sigterm();
        assert!(status.success(), "{status}");
        assert!(began.elapsed() < Duration::from_secs(27), "{:?}", began.elapsed());
        address.away(server, Server::restart);
        load.goes_on(50);
    });
    assert_eq!(load.settle(&server, &relay), 0, "sent twice");
}

#[test]
fn a10_sigterm_hands_back_what_a_silent_relay_holds_up() {
    let relay = Relay::start(Script::accepting().without("PIPELINING").on(Step::Mail, Action::Silence));
    let mut server = Server::start(ServerOptions::to_relay(&relay).env("POSTHASTE_DELIVERY__DRAIN", "2s"));
    let ids: HashSet<String> = (0..5).map(|_| server.send(&email_to("user@client.com", "x"))).collect();
    eventually("an attempt waits", || {
        relay.connections().iter().any(|connection| connection.text().contains("MAIL FROM")).then_some(())
    });
    let began = Instant::now();
    assert!(server.sigterm().success());
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let working = Relay::accepting();
    let port = working.port().to_string();
    server.restart_with(|options| options.env("SMTP_PORT", port));
    for id in ids {
        server.wait_status(&id, "sent");
    }
    assert_eq!(working.messages().len(), 5);
}

#[test]
fn two_servers_on_one_data_directory_are_refused_with_a_clear_error() {
    embedded_only!("only a store in the data directory has to be one server's alone");
    let server = Server::inbox();
    let output = server.cli(&["serve"]);
    assert!(!output.status.success());
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("another server"), "{told}");
    server.send(&email_to("user@client.com", "x"));
}
