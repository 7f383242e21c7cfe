//! A57: callers that are slow, greedy or many.

use std::time::{Duration, Instant};

use crate::emails_api::email_to;
use crate::harness::relay::{Action, Script, Step};
use crate::harness::smtp::Session;
use crate::harness::{Connection, Relay, Server, ServerOptions, eventually};
use crate::smtp_ingress::address_of;

#[test]
fn a57_slow_callers_are_dropped_and_others_served() {
    let server = Server::start(
        ServerOptions::default()
            .env("POSTHASTE_HTTP__HEADER_TIMEOUT", "2s")
            .env("POSTHASTE_HTTP__BODY_TIMEOUT", "2s"),
    );
    let key = server.key().to_owned();
    let half_head = "POST /api/emails HTTP/1.1\r\nHost: a\r\n".to_owned();
    let half_body = format!(
        "POST /api/emails HTTP/1.1\r\nHost: a\r\nX-Api-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{"
    );
    // This side of them needs files, too.
    rlimit::increase_nofile_limit(4096).expect("room for the callers");
    let mut slow: Vec<Connection> = (0..2000)
        .map(|n| {
            let mut connection = server.connect();
            let part = if n % 2 == 0 { &half_head } else { &half_body };
            connection.write(part.as_bytes()).expect("the server takes it");
            connection
        })
        .collect();
    let mut slowest = Duration::ZERO;
    for n in 0..50 {
        let began = Instant::now();
        server.send(&email_to("user@client.com", &format!("n{n}")));
        slowest = slowest.max(began.elapsed());
    }
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    // Each is answered by 408 or closed; neither waits on.
    for connection in &mut slow {
        if let Ok(answer) = connection.read_response() {
            assert!(matches!(answer.status, 400 | 408), "{}", answer.status);
        }
    }
}

#[test]
fn a57_too_many_or_too_large_headers_are_refused() {
    let server = Server::inbox();
    let many = "X-Many: y\r\n".repeat(10_000);
    let large = format!("X-Large: {}\r\n", "y".repeat(64 * 1024));
    for headers in [many, large] {
        let mut connection = server.connect();
        // The server may close before it has read all.
        let _ = connection.write(format!("GET /livez HTTP/1.1\r\nHost: a\r\n{headers}\r\n").as_bytes());
        if let Ok(answer) = connection.read_response() {
            assert!(matches!(answer.status, 400 | 431), "{}", answer.status);
        }
    }
    server.get("/livez").expect(200);
}

#[test]
fn a57_large_bodies_at_once_stay_within_the_budget() {
    let server = Server::start(ServerOptions::default().env("POSTHASTE_LIMITS__MEMORY_FOR_BODIES", "64MB"));
    let before = server.memory_kib("VmRSS");
    let body = vec![b' '; 20 * 1024 * 1024];
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let answer = server.try_request("POST", "/api/emails", &[], &body);
                let status = answer.map(|answer| answer.status);
                assert!(matches!(status, Ok(400 | 413 | 503) | Err(_)), "{status:?}");
            });
        }
        eventually("a healthy caller is served", || (server.get("/livez").status == 200).then_some(()));
    });
    let grown = server.memory_kib("VmHWM").saturating_sub(before) / 1024;
    assert!(grown < 64 + 100, "{grown} MiB");
    server.send(&email_to("user@client.com", "alive"));
}

#[test]
fn a57_large_messages_that_a_slow_relay_keeps_waiting_stay_within_bounds() {
    let script = Script::accepting().on_matching(Step::Rcpt, "<slow@", Action::Silence);
    let relay = Relay::start(script);
    let options = ServerOptions::to_relay(&relay).env("POSTHASTE_LIMITS__MEMORY_FOR_BODIES", "64MB");
    let server = Server::start(options);
    let before = server.memory_kib("VmRSS");
    let line = format!("{}\r\n", "x".repeat(76));
    let large = format!("Subject: large\r\n\r\n{}", line.repeat((20 << 20) / line.len()));
    for _ in 0..16 {
        let mut session = Session::open(address_of(&server, "smtp"));
        session.envelope("ann@example.com", "slow@client.com");
        session.data(large.as_bytes()).id();
    }
    // What is small passes them by.
    server.wait_status(&server.send(&email_to("user@client.com", "small")), "sent");
    let grown = server.memory_kib("VmHWM").saturating_sub(before) / 1024;
    assert!(grown <= 64 + 100, "{grown} MiB more");
}
