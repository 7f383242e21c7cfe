//! A5: email that panics the renderer, a rendering that never ends, the heaviest there is, and permanent failures at the head
//! of the queue.

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

/// Nothing that is let in takes so long; what would is told by a fault that keeps the processor busy.
#[test]
fn a5_a_rendering_without_end_is_given_up_and_the_others_go_out_meanwhile() {
    let relay = Relay::accepting();
    let mut server = Server::start(ServerOptions::to_relay(&relay));
    server.restart_with(|options| options.fault("render_endless:1"));
    // Written apart from the rest, as all that may take its time.
    let large =
        with(email_to("user@client.com", "endless"), json!({"html": "<p>many words</p>".repeat(10_000)}));
    let endless = server.send(&large);
    server.wait_status(&endless, "processing");
    for n in 0..20 {
        let id = server.send(&email_to("user@client.com", &format!("n{n}")));
        server.wait_status(&id, "sent");
    }
    server.wait_status(&server.send(&large), "sent");
    assert_eq!(
        server.get(&format!("/api/emails/{endless}")).json()["status"],
        "processing",
        "all this meanwhile"
    );
    let email = server.wait_status(&endless, "failed");
    assert_eq!(email["failure_code"], "server_error", "{email:#}");
    assert!(
        email["failure_message"].as_str().is_some_and(|why| why.contains("longer than 10 s")),
        "{email:#}"
    );
    server.wait_status(&server.send(&large), "sent");
    assert_eq!(relay.messages().len(), 22);
    assert!(server.exited().is_none());
}

/// The most work that is let in: templates just below the bound of their steps, and a large attachment.
#[test]
fn a5_the_heaviest_email_that_is_accepted_goes_out_beside_others() {
    let relay = Relay::accepting();
    let mut server = Server::to_relay(&relay);
    let twice = "{% for a in l %}{% for b in l %}{{ b }}{% endfor %}{% endfor %}";
    let heavy = |items: usize| {
        let list = vec!["some text"; items];
        with(email_to("user@client.com", twice), json!({"html": twice, "variables": {"l": list}}))
    };
    let is_let_in = |items: usize| {
        let answer = server.post("/api/emails?dry_run=true", &heavy(items));
        assert!(matches!(answer.status, 200 | 422), "{}", answer.text());
        answer.status == 200
    };
    // What a step is worth may change; the most that is let in is looked for.
    let (mut most, mut too_many) = (1, 1001);
    assert!(is_let_in(most) && !is_let_in(too_many));
    while too_many - most > 1 {
        let middle = usize::midpoint(most, too_many);
        let changed = if is_let_in(middle) { &mut most } else { &mut too_many };
        *changed = middle;
    }
    assert!(most > 50, "no more than {most} rounds of {most}");
    let file = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, vec![b'a'; 6 << 20]);
    let attachment = json!([{"filename": "a.txt", "mime": "text/plain", "content_base64": file}]);
    let mut heavies: Vec<String> = (0..20).map(|_| server.send(&heavy(most))).collect();
    heavies.push(server.send(&with(email_to("user@client.com", "x"), json!({"attachments": attachment}))));
    for n in 0..20 {
        let id = server.send(&email_to("user@client.com", &format!("n{n}")));
        server.wait_status(&id, "sent");
    }
    for id in heavies {
        server.wait_status(&id, "sent");
    }
    assert_eq!(relay.messages().len(), 41);
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
