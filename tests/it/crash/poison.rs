//! A5: email that panics the renderer, and permanent failures at the head of the queue.

use serde_json::json;

use crate::emails_api::{email_to, with};
use crate::harness::relay::{Action, Script, Step};
use crate::harness::{Relay, Server, ServerOptions};

#[test]
fn a5_a_render_that_panics_costs_one_attempt_and_the_worker_lives_on() {
    let relay = Relay::accepting();
    let mut server = Server::start(ServerOptions::to_relay(&relay));
    server.restart_with(|options| options.fault("render_panic:1"));
    let poisoned = server.send(&email_to("user@client.com", "poison"));
    for n in 0..20 {
        let id = server.send(&email_to("user@client.com", &format!("n{n}")));
        server.wait_status(&id, "sent");
    }
    // It panicked once; the next attempt renders.
    let email = server.wait_status(&poisoned, "sent");
    assert!(email["retries"].as_u64().is_some_and(|retries| retries >= 1), "{email:#}");
    assert!(server.exited().is_none());
}

#[test]
fn a5_failures_at_the_head_do_not_hold_up_the_rest() {
    let script = Script::accepting().on_matching(Step::Rcpt, "<broken@", Action::reply("450 4.2.0 never"));
    let relay = Relay::start(script);
    let server = Server::start(ServerOptions::to_relay(&relay).env("POSTHASTE_DELIVERY__MAX_ATTEMPTS", "50"));
    for _ in 0..8 {
        server.send(&with(email_to("broken@client.com", "x"), json!({"priority": 1})));
    }
    for n in 0..50 {
        let id = server.send(&with(email_to("user@client.com", &format!("n{n}")), json!({"priority": 5})));
        server.wait_status(&id, "sent");
    }
    assert_eq!(relay.messages().len(), 50);
}
