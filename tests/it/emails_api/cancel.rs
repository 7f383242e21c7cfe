//! Cancelling and resending; A47: cancel and claim at the same instant.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::json;

use super::{email_to, with};
use crate::harness::{Relay, Server, soon};

#[test]
fn a_scheduled_email_can_be_cancelled_and_a_sent_one_not() {
    let relay = Relay::accepting();
    let server = Server::to_relay(&relay);
    let later = with(email_to("user@client.com", "x"), json!({"send_at": soon(Duration::from_secs(3600))}));
    let id = server.send(&later);
    let answer = server.post(&format!("/api/emails/{id}/cancel"), &json!({})).expect(200).json();
    assert_eq!(answer, json!({"email_id": id, "status": "cancelled"}));
    assert_eq!(server.email(&id)["status"], "cancelled");
    let problem = server.post(&format!("/api/emails/{id}/cancel"), &json!({})).expect(409).json();
    assert_eq!(problem["code"], "cannot_cancel");
    let sent = server.send(&email_to("user@client.com", "y"));
    server.wait_status(&sent, "sent");
    let problem = server.post(&format!("/api/emails/{sent}/cancel"), &json!({})).expect(409).json();
    assert_eq!(problem["code"], "cannot_cancel");
}

#[test]
fn resending_makes_a_new_email_linked_to_the_old() {
    let relay = Relay::accepting();
    let server = Server::to_relay(&relay);
    let id = server.send(&email_to("user@client.com", "again"));
    server.wait_status(&id, "sent");
    let answer = server.post(&format!("/api/emails/{id}/resend"), &json!({})).expect(202).json();
    let new = answer["email_id"].as_str().expect("an id");
    assert_ne!(new, id);
    assert_eq!(server.wait_status(new, "sent")["resent_from"], json!(id));
    assert_eq!(relay.wait_for(2).len(), 2);
}

#[test]
fn a47_of_cancel_and_claim_exactly_one_wins() {
    let relay = Relay::accepting();
    let server = Server::to_relay(&relay);
    // One client accepts and cancels at once, over and over: each time the worker may already hold the email.
    let cancelled: HashSet<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..10)
            .map(|thread| {
                let server = &server;
                scope.spawn(move || {
                    let mut cancelled = Vec::new();
                    for n in 0..100 {
                        let id = server.send(&email_to("user@client.com", &format!("token-{thread}-{n}.")));
                        let answer = server.post(&format!("/api/emails/{id}/cancel"), &json!({}));
                        match answer.status {
                            200 => cancelled.push((id, format!("token-{thread}-{n}."))),
                            409 => {}
                            other => panic!("{other} {}", answer.text()),
                        }
                    }
                    cancelled
                })
            })
            .collect();
        let all = threads.into_iter().flat_map(|thread| thread.join().expect("no panic"));
        all.map(|(id, token)| {
            assert_eq!(server.email(&id)["status"], "cancelled");
            token
        })
        .collect()
    });
    let taken = relay.wait_for(1000 - cancelled.len());
    let tokens: HashSet<String> = taken
        .iter()
        .map(|taken| {
            let text = String::from_utf8_lossy(&taken.content).into_owned();
            text[text.find("token-").expect("a token")..].lines().next().expect("a line").trim().to_owned()
        })
        .collect();
    assert_eq!(taken.len(), tokens.len(), "sent twice");
    assert_eq!(tokens.len() + cancelled.len(), 1000);
    assert!(tokens.is_disjoint(&cancelled), "cancelled mail was sent");
}
