//! Provider webhooks: proven, in any order, twice, unknown; E48, E49, E52, E53 of the acceptance list.

use super::{sent, server_with, suppressed, timeline};
use crate::harness::provider::{Answer, Provider};
use crate::harness::server::NONE;
use crate::harness::{Receiver, Relay, Response, Server, ServerOptions, eventually, soon};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// SubjectPublicKeyInfo of a P-256 key up to its point.
const SPKI: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE";

struct Sendgrid(EcdsaKeyPair);

impl Sendgrid {
    fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key"))
    }

    fn public(&self) -> String {
        let mut spki = STANDARD.decode(SPKI).expect("base64");
        spki.extend_from_slice(&self.0.public_key().as_ref()[1..]);
        STANDARD.encode(spki)
    }

    fn post(&self, server: &Server, events: &Value) -> Response {
        let body = format!("{events}\r\n");
        let signed = format!("1600112502{body}");
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).expect("a signature");
        let signature = STANDARD.encode(signature.as_ref());
        post(
            server,
            "sendgrid",
            &[
                ("X-Twilio-Email-Event-Webhook-Signature", &signature),
                ("X-Twilio-Email-Event-Webhook-Timestamp", "1600112502"),
            ],
            &body,
        )
    }
}

fn post(server: &Server, provider: &str, headers: &[(&str, &str)], body: &str) -> Response {
    let mut all = vec![("X-Api-Key", NONE), ("Content-Type", "application/json")];
    all.extend(headers);
    server.post_raw(&format!("/api/webhooks/{provider}"), &all, body.as_bytes())
}

fn event(kind: &str, key: &str, id: &str, to: &str) -> Value {
    json!({"event": kind, "sg_event_id": key, "posthaste_id": id, "email": to, "type": "bounce",
        "reason": "550 5.1.1 gone", "timestamp": 1_600_112_492})
}

#[test]
fn sendgrids_news_reaches_status_timeline_and_suppressions_in_any_order() {
    let (relay, sendgrid) = (Relay::accepting(), Sendgrid::new());
    let server = server_with(&relay, &[("SENDGRID_WEBHOOK_PUBLIC_KEY", &sendgrid.public())]);
    let ids = [sent(&server, "a@client.com"), sent(&server, "b@client.com")];
    let events = |id: &str, to: &str| {
        let kinds = ["delivered", "bounce", "open", "spamreport"];
        kinds.map(|kind| event(kind, &format!("{id}-{kind}"), id, to)).to_vec()
    };
    let forward = events(&ids[0], "a@client.com");
    let mut backward = events(&ids[1], "b@client.com");
    backward.reverse();
    for _ in 0..2 {
        sendgrid.post(&server, &json!(forward)).expect(200);
        sendgrid.post(&server, &json!(backward)).expect(200);
    }
    for id in &ids {
        let shown = server.email(id);
        assert_eq!(shown["status"], "complained", "{shown:#}");
        assert_eq!(shown["recipients"][0]["status"], "complained");
        let mut kinds = timeline(&shown);
        kinds.sort();
        assert_eq!(kinds, ["bounced", "complained", "delivered", "opened", "processing", "queued", "sent"]);
    }
    let mut listed: Vec<String> = suppressed(&server).iter().map(|one| one["email"].to_string()).collect();
    listed.sort();
    assert_eq!(listed, ["\"a@client.com\"", "\"b@client.com\""]);
    let again =
        server.send(&json!({"from": "a@example.com", "to": "a@client.com", "subject": "s", "text": "t"}));
    assert_eq!(server.email(&again)["failure_code"], "suppressed");
}

#[test]
fn a_provider_that_is_silent_is_noticed_until_it_reports() {
    let provider = Provider::start(|_| true, |_| Answer::new(202, "").header("X-Message-Id", "m-1"));
    let sendgrid = Sendgrid::new();
    let server = Server::start(
        ServerOptions::default()
            .env("SENDGRID_API_KEY", "SG.key")
            .env("SENDGRID_BASE_URL", provider.url())
            .env("SENDGRID_WEBHOOK_PUBLIC_KEY", sendgrid.public())
            .env("POSTHASTE_NEWS__SILENCE", "2s"),
    );
    let told = || server.get("/health").json()["checks"]["provider_reports"].clone();
    let doctor = || {
        let found = server.cli_json(&["doctor"]);
        let checks = found["checks"].as_array().cloned().unwrap_or_default();
        checks.into_iter().find(|one| one["name"] == "reports sendgrid").expect("a check of its reports")
    };
    assert_eq!(told()["status"], "healthy", "nothing went out");
    let id = sent(&server, "a@client.com");
    let noticed = eventually("the silence is noticed", || {
        let told = told();
        (told["status"] == "warning").then_some(told)
    });
    assert!(noticed["message"].as_str().is_some_and(|said| said.contains("sendgrid")), "{noticed}");
    assert_eq!(server.get("/health").expect(200).json()["status"], "healthy", "mail goes out all the same");
    let found = doctor();
    assert_eq!(found["status"], "warning", "{found:#}");
    assert!(
        found["remedy"].as_str().is_some_and(|said| said.contains("/api/webhooks/sendgrid")),
        "{found:#}"
    );
    sendgrid.post(&server, &json!([event("delivered", "1", &id, "a@client.com")])).expect(200);
    eventually("it was heard", || (told()["status"] == "healthy").then_some(()));
    assert_eq!(doctor()["status"], "ok");
}

#[test]
fn what_is_not_proven_is_401_and_changes_nothing() {
    let (relay, sendgrid) = (Relay::accepting(), Sendgrid::new());
    let server = server_with(&relay, &[("SENDGRID_WEBHOOK_PUBLIC_KEY", &sendgrid.public())]);
    let id = sent(&server, "a@client.com");
    let body = json!([event("delivered", "1", &id, "a@client.com")]);
    Sendgrid::new().post(&server, &body).expect(401);
    let text = body.to_string();
    post(&server, "sendgrid", &[], &text).expect(401);
    let signature = ("X-Twilio-Email-Event-Webhook-Signature", "AAAA");
    post(&server, "sendgrid", &[signature], &text).expect(401);
    post(&server, "sendgrid", &[signature, ("X-Twilio-Email-Event-Webhook-Timestamp", "1")], &text)
        .expect(401);
    post(&server, "mailgun", &[], &text).expect(401);
    post(&server, "ses", &[], &text).expect(401);
    assert_eq!(server.email(&id)["status"], "sent");
    // Too often is no answer either: none of these was counted.
    for _ in 0..70 {
        assert_eq!(post(&server, "mailgun", &[], "{}").status, 401);
    }
}

#[test]
fn unknown_mail_and_bad_events_do_not_hold_up_good_ones() {
    let (relay, sendgrid) = (Relay::accepting(), Sendgrid::new());
    let server = server_with(&relay, &[("SENDGRID_WEBHOOK_PUBLIC_KEY", &sendgrid.public())]);
    let id = sent(&server, "a@client.com");
    let mut events: Vec<Value> = (0..300)
        .map(|n| {
            event(
                "delivered",
                &format!("unknown {n}"),
                "0192f0c1-2d3e-7abc-8def-0123456789ab",
                "x@client.com",
            )
        })
        .collect();
    events.extend([json!(null), json!({"event": 7}), json!("text")]);
    events.push(event("delivered", "good", &id, "a@client.com"));
    sendgrid.post(&server, &json!(events)).expect(200);
    assert_eq!(server.email(&id)["status"], "delivered");
    sendgrid.post(&server, &json!({"not": "a list"})).expect(200);
}

#[test]
fn a_domain_may_switch_news_off() {
    let (relay, sendgrid) = (Relay::accepting(), Sendgrid::new());
    let server = server_with(&relay, &[("SENDGRID_WEBHOOK_PUBLIC_KEY", &sendgrid.public())]);
    server.cli_json(&["domain", "update", "example.com", "--bounce-webhook-enabled", "false"]);
    let id = sent(&server, "a@client.com");
    sendgrid.post(&server, &json!([event("bounce", "1", &id, "a@client.com")])).expect(200);
    assert_eq!(server.email(&id)["status"], "sent");
    assert!(suppressed(&server).is_empty());
}

fn mailgun(key: &str, at: u64, token: &str, data: &Value) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    let signature = hmac::sign(&key, format!("{at}{token}").as_bytes());
    let hex = hex(signature.as_ref());
    json!({"signature": {"timestamp": at.to_string(), "token": token, "signature": hex}, "event-data": data})
        .to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Mailgun tells that an email arrived, for a server with this key.
pub fn delivered_by_mailgun(key: &str) -> String {
    let data =
        json!({"event": "delivered", "id": "e53", "timestamp": now() as f64, "recipient": "bob@client.com"});
    mailgun(key, now(), "the-token-of-this-journey", &data)
}

/// Mailgun tells that an email arrived at an address, under a token of its own.
pub fn told_by_mailgun(key: &str, token: &str, recipient: &str, email: &str) -> String {
    let data = json!({"event": "delivered", "id": token, "timestamp": now() as f64, "recipient": recipient,
        "user-variables": {"posthaste_id": email}});
    mailgun(key, now(), &format!("the-token-of-this-journey-{token}"), &data)
}

#[expect(clippy::disallowed_methods, reason = "the provider's own clock")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

#[test]
fn a_token_of_mailgun_is_good_once_also_after_a_restart() {
    let relay = Relay::accepting();
    let mut server = server_with(&relay, &[("MAILGUN_WEBHOOK_SIGNING_KEY", "signing")]);
    let id = sent(&server, "a@client.com");
    let token = hex(digest::digest(&digest::SHA256, b"token").as_ref());
    let data = |event: &str| {
        json!({"event": event, "id": event, "timestamp": now() as f64, "recipient": "a@client.com",
            "severity": "permanent", "reason": "bounce", "user-variables": {"posthaste_id": id}})
    };
    let first = mailgun("signing", now(), &token, &data("delivered"));
    post(&server, "mailgun", &[], &first).expect(200);
    post(&server, "mailgun", &[], &first).expect(200);
    let other = mailgun("signing", now(), &token, &data("failed"));
    post(&server, "mailgun", &[], &other).expect(401);
    server.restart();
    post(&server, "mailgun", &[], &other).expect(401);
    post(&server, "mailgun", &[], &first).expect(200);
    for (at, key) in [(now() - 10 * 3600, "signing"), (now() + 3600, "signing"), (now(), "other")] {
        let stale = mailgun(key, at, &format!("{token}{at}{key}"), &data("failed"));
        post(&server, "mailgun", &[], &stale).expect(401);
    }
    assert_eq!(server.email(&id)["status"], "delivered");
    post(&server, "mailgun", &[], &mailgun("signing", now(), "another", &data("failed"))).expect(200);
    let shown = server.email(&id);
    assert_eq!(
        (&shown["status"], &shown["failure_code"]),
        (&json!("bounced"), &json!("bounce")),
        "{shown:#}"
    );
    assert_eq!(suppressed(&server)[0]["reason"], "bounce");
}

/// What makes an email `failed` to a client of Aegis is told to its webhook: news after `sent`, and a cancel.
#[test]
fn the_webhook_of_aegis_hears_of_bounces_and_cancels() {
    let (relay, receiver) = (Relay::accepting(), Receiver::start());
    let server = server_with(
        &relay,
        &[
            ("MAILGUN_WEBHOOK_SIGNING_KEY", "signing"),
            ("WEBHOOK_URL", &receiver.url()),
            ("WEBHOOK_SECRET", "s"),
        ],
    );
    let failed = |calls: usize| {
        eventually("a failure is told", || {
            let told: Vec<Value> = receiver.calls().iter().map(|call| call.json()).collect();
            (told.len() == calls)
                .then(|| told.last().cloned())
                .flatten()
                .filter(|told| told["status"] == "failed")
        })
    };
    let id = sent(&server, "a@client.com");
    let data = json!({"event": "failed", "id": "b", "timestamp": now() as f64, "recipient": "a@client.com",
        "severity": "permanent", "reason": "bounce", "user-variables": {"posthaste_id": id},
        "delivery-status": {"code": 550, "message": "gone"}});
    post(&server, "mailgun", &[], &mailgun("signing", now(), "t1", &data)).expect(200);
    let told = failed(2);
    assert!(told["error"].as_str().is_some_and(|error| error.contains("gone")), "{told}");
    assert_eq!(told["attempts"], 1, "the one that was made: {told}");
    assert_eq!(server.email(&id)["status"], "bounced");

    let id = sent(&server, "b@client.com");
    let data = json!({"event": "rejected", "id": "r", "timestamp": now() as f64, "reject": {"reason": "spam"},
        "user-variables": {"posthaste_id": id}});
    post(&server, "mailgun", &[], &mailgun("signing", now(), "t2", &data)).expect(200);
    let told = failed(4);
    assert_eq!(told["attempts"], 1, "{told}");
    assert_eq!(server.email(&id)["status"], "failed");

    let later = server
        .send(&json!({"from": "a@example.com", "to": "c@client.com", "subject": "s", "text": "t",
        "send_at": soon(Duration::from_secs(3600))}));
    server.post(&format!("/api/emails/{later}/cancel"), &json!({})).expect(200);
    let told = failed(5);
    assert_eq!((&told["error"], &told["attempts"]), (&json!("cancelled"), &json!(0)));
}

#[test]
fn a_provider_that_nobody_knows_has_no_path() {
    let server = Server::inbox();
    for unknown in ["postmark", "Mailgun", "mailgun%20", "x".repeat(300).as_str()] {
        let answer = post(&server, unknown, &[], "{}").expect(404);
        assert_eq!(answer.json()["code"], "not_found", "{unknown}");
        assert!(answer.header("x-ratelimit-limit").is_some(), "{unknown}");
    }
    // The path of an endpoint is there, without this method.
    post(&server, "0192f0c1-0000-7000-8000-000000000000", &[], "{}").expect(405);
    let forged = post(&server, "mailgun", &[], "{}").expect(401);
    assert!(forged.header("x-ratelimit-remaining").is_some());
}
