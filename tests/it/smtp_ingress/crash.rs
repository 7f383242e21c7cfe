//! A1, A7, A10: what 250 promises.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{MESSAGE, address_of, session};
use crate::harness::smtp::Session;
use crate::harness::{Relay, Server, ServerOptions, eventually};

const KILLS: usize = 8;

#[test]
fn a1_killed_under_load_nothing_that_was_answered_is_lost() {
    let relay = Relay::accepting();
    let mut server = Server::start(ServerOptions::to_relay(&relay).env("POSTHASTE_DELIVERY__LEASE", "5s"));
    let address = Mutex::new(Some(address_of(&server, "smtp")));
    let (next, answered) = (AtomicUsize::new(0), Mutex::new(Vec::<usize>::new()));
    let done = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while done.load(Ordering::Relaxed) == 0 {
                    let Some(at) = *address.lock().expect("no panic") else {
                        std::thread::yield_now();
                        continue;
                    };
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if send(at, number).is_some() {
                        answered.lock().expect("no panic").push(number);
                    }
                }
            });
        }
        for kill in 1..=KILLS {
            let enough = answered.lock().expect("no panic").len() + 5 + kill * 7 % 30;
            eventually("the load goes on", || {
                (answered.lock().expect("no panic").len() >= enough).then_some(())
            });
            *address.lock().expect("no panic") = None;
            server.restart();
            *address.lock().expect("no panic") = Some(address_of(&server, "smtp"));
        }
        done.store(1, Ordering::Relaxed);
    });
    let answered = answered.into_inner().expect("no panic");
    eventually("everything that was answered has arrived", || {
        let arrived: HashSet<String> =
            relay.messages().into_iter().map(|taken| taken.recipients[0].clone()).collect();
        answered.iter().all(|number| arrived.contains(&format!("n{number}@client.com"))).then_some(())
    });
}

/// The id, if the message was answered 250.
fn send(address: std::net::SocketAddr, number: usize) -> Option<String> {
    let mut session = Session::connect(address).ok()?;
    session.try_reply().ok().filter(|reply| reply.code == 220)?;
    session.try_say("EHLO x").ok()?;
    session.try_say("MAIL FROM:<ann@example.com>").ok()?;
    session.try_say(&format!("RCPT TO:<n{number}@client.com>")).ok()?;
    let reply = session.try_data(MESSAGE).ok()?;
    (reply.code == 250).then_some(reply.text)
}

#[test]
fn a10_a_transaction_under_way_may_end_before_the_stop() {
    let mut server = Server::inbox();
    let (mut busy, mut idle) = (session(&server), session(&server));
    busy.envelope("ann@example.com", "bob@client.com");
    server.signal("TERM");
    idle.reply().expect("421 4.3.2");
    busy.data(MESSAGE).id();
    busy.reply().expect("421 4.3.2");
    let status = server.wait_exit(std::time::Duration::from_secs(40));
    assert_eq!(status.code(), Some(0));
    assert!(!server.data().join("run/smtp.addr").exists());
}

#[test]
fn a_node_for_smtp_alone_takes_mail_and_serves_no_api() {
    let main = Server::start(ServerOptions::default().api_only());
    let node = Server::start_bare(ServerOptions::default().smtp_beside(&main));
    session(&node).say("MAIL FROM:<ann@example.com>").expect("250");
    assert_eq!(node.get("/api/emails").status, 404);
    node.get("/readyz").expect(200);
}
