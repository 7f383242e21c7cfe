//! A1: the process dies at each named place, once early and once in the middle of a load; A8: a sync that fails.

use std::time::Duration;

use serde_json::json;

use super::count::{Load, WORKERS, few_at_once, seen, surplus};
use crate::emails_api::{email_to, with};
use crate::harness::server::NONE;
use crate::harness::{Relay, Server, ServerOptions, embedded_only, eventually};
use crate::news::webhooks::delivered_by_mailgun;

/// Runs a load into a server that will crash at `spec`, starts it again, counts both ends.
#[track_caller]
fn survives(spec: &str) {
    let relay = Relay::accepting();
    // First life: no fault, so that the domain and key stand; then armed.
    let mut server = Server::start(few_at_once(&relay).env("POSTHASTE_DELIVERY__LEASE", "5s"));
    server.restart_with(|options| options.fault(spec));
    let load = Load::default();
    load.during(&mut server, 8, |server, address| {
        let status = server.wait_exit(Duration::from_secs(60));
        assert!(!status.success(), "{spec}: it did not crash");
        address.away(server, |server| server.restart_with(|options| options.without("POSTHASTE_FAULT")));
        load.goes_on(50);
    });
    let doubles = load.settle(&server, &relay);
    // The only window: the relay has it, our record does not. It holds what was on its way, at most.
    assert!(doubles <= WORKERS, "{spec}: {doubles} sent twice");
}

macro_rules! crashes {
    ($($name:ident: $spec:literal)*) => { $(
        #[test]
        fn $name() {
            survives($spec);
        }
    )* };
}

crashes! {
    a1_killed_when_the_request_was_read: "read:20"
    a1_killed_when_all_checks_had_passed: "validated:20"
    a1_killed_when_the_row_was_written: "row_written:20"
    a1_killed_when_the_commit_was_on_disk: "commit_fsynced:20"
    a1_killed_before_the_answer: "answered:20"
    a1_killed_when_the_bell_rang: "rung:20"
    a1_killed_when_the_claim_was_held: "claimed:20"
    a1_killed_when_the_message_was_rendered: "rendered:20"
    a1_killed_when_the_recipients_were_named: "rcpt_sent:20"
    a1_killed_when_the_final_dot_was_sent: "final_dot_sent:20"
    a1_killed_when_the_acceptance_was_read: "acceptance_read:20"
    a1_killed_when_the_outcome_was_on_disk: "finish_committed:5"
}

/// A store that takes no outcome, for long, and then a kill: what went out without a record is what goes out again.
#[test]
fn a1_no_more_goes_out_unrecorded_than_may_be_on_its_way() {
    let relay = Relay::accepting();
    let mut server = Server::start(few_at_once(&relay));
    server.restart_with(|options| options.fault("outcomes_refused:1000000"));
    let bodies: Vec<_> = (0..50).map(|n| email_to("user@client.com", &format!("token-{n}."))).collect();
    server.post("/api/emails/batch", &json!({ "emails": bodies })).expect(202);
    eventually("as many as may be on their way are at the relay", || {
        (relay.messages().len() >= WORKERS).then_some(())
    });
    eventually("the outcomes were offered and refused again and again", || {
        let told = format!("{}{}", server.stdout(), server.stderr());
        (told.matches("outcomes wait for the store").count() >= 10).then_some(())
    });
    server.restart_with(|options| options.without("POSTHASTE_FAULT"));
    eventually("all mail is at the relay", || (seen(&relay).len() >= 50).then_some(()));
    eventually("all is recorded", || {
        let sent = server.get("/api/emails?status=sent&count=true").expect(200).json();
        (sent["total"] == 50).then_some(())
    });
    assert_eq!(surplus(&seen(&relay)), WORKERS);
}

/// The store cannot be written for longer than a lease: what waits to be recorded is not sent again by the same server.
#[test]
fn what_waits_for_the_store_longer_than_its_lease_is_not_sent_twice() {
    let relay = Relay::accepting();
    let options = few_at_once(&relay).env("POSTHASTE_DELIVERY__LEASE", "1s");
    let mut server = Server::start(options);
    // The waits between the tries come to five seconds.
    server.restart_with(|options| options.fault("outcomes_refused:7"));
    let id = server.send(&email_to("user@client.com", "token-once."));
    server.wait_status(&id, "sent");
    assert_eq!(seen(&relay).get("token-once."), Some(&1), "sent twice");
}

/// The two places that only mail with an attachment passes.
#[test]
fn a1_killed_while_an_attachment_is_written() {
    embedded_only!("attachments as files; the bucket's are proved in src/blobs/s3");
    for spec in ["blob_temp:1", "blob_renamed:1"] {
        let relay = Relay::accepting();
        let mut server = Server::start(ServerOptions::to_relay(&relay));
        server.restart_with(|options| options.fault(spec));
        let attachment = json!([{"filename": "a.txt", "mime": "text/plain", "content_base64": "aGVsbG8="}]);
        let email = with(email_to("user@client.com", "x"), json!({"attachments": attachment}));
        let headers = [("Idempotency-Key", "a"), ("Content-Type", "application/json")];
        let lost = server.try_request("POST", "/api/emails", &headers, email.to_string().as_bytes());
        assert!(lost.is_err(), "{spec}: it answered {lost:?}");
        server.wait_exit(Duration::from_secs(30));
        server.restart_with(|options| options.without("POSTHASTE_FAULT"));
        server.post_with("/api/emails", &headers[..1], &email).expect(202);
        let taken = relay.only_message();
        assert!(String::from_utf8_lossy(&taken.content).contains("aGVsbG8="), "{spec}");
        assert_eq!(server.get("/api/emails?count=true").expect(200).json()["total"], 1, "{spec}");
    }
}

#[test]
fn a8_a_failed_sync_acknowledges_nothing_and_readyz_says_no_until_a_clean_start() {
    embedded_only!("the embedded store's own fsync");
    let relay = Relay::accepting();
    let options = ServerOptions::to_relay(&relay).env("MAILGUN_WEBHOOK_SIGNING_KEY", "signing");
    let mut server = Server::start(options);
    let before = server.send(&email_to("user@client.com", "before"));
    server.wait_status(&before, "sent");
    // A start commits too: the sync that fails is one of those behind it.
    server.restart_with(|options| options.fault("commit_io_error:30"));
    let email = email_to("user@client.com", "after");
    let mut tries = 0;
    let (key, refused) = eventually("a refused commit", || {
        tries += 1;
        let key = format!("try-{tries}");
        let answer = server.post_with("/api/emails", &[("Idempotency-Key", key.as_str())], &email);
        (answer.status != 202).then_some((key, answer))
    });
    let headers = [("Idempotency-Key", key.as_str())];
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.header("retry-after").is_some());
    eventually("/readyz says no", || (server.get("/readyz").status == 503).then_some(()));
    // No second sync is trusted: it stays so.
    server.post_with("/api/emails", &[("Idempotency-Key", "b")], &email).expect(503);
    // E53: a provider takes 4xx for delivered, and the news would be lost.
    let news = delivered_by_mailgun("signing");
    let tell =
        |server: &Server| server.post_raw("/api/webhooks/mailgun", &[("X-Api-Key", NONE)], news.as_bytes());
    tell(&server).expect(503);
    server.restart_with(|options| options.without("POSTHASTE_FAULT"));
    tell(&server).expect(200);
    let id = server.post_with("/api/emails", &headers, &email).expect(202).json();
    server.wait_status(id["email_id"].as_str().expect("an id"), "sent");
}
