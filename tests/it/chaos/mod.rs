//! Two API nodes and two workers under load while the parts between them die, in turn and two at once: nothing that was
//! acknowledged is lost, one key makes one email whichever node it meets, and what goes out twice says so.

mod database;
mod stage;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use self::stage::{Stage, Trouble};
use crate::crash::count::{Load, WORKERS, seen};
use crate::emails_api::{email_to, with};
use crate::harness::proxy::{Line, Proxy};
use crate::harness::server::NONE;
use crate::harness::{Postgres, Relay, Server, ServerOptions, eventually, scaled_only};
use crate::news::webhooks::delivered_by_mailgun;
use crate::smtp_ingress;

/// Senders of mail without attachments, and of mail with.
const PLAIN: usize = 8;
const ATTACHING: usize = 2;
/// So many emails more say that the installation works.
const ENOUGH: usize = 40;

/// An email whose attachment is no other's.
fn attached(token: &str) -> Value {
    let file = json!({"filename": "a.txt", "mime": "text/plain",
        "content_base64": BASE64.encode(format!("attached to {token}"))});
    with(email_to("user@client.com", token), json!({ "attachments": [file] }))
}

/// Runs a load through all rounds of trouble; those of one round come at once. Then counts.
#[track_caller]
fn survives(rounds: &[&[Trouble]]) {
    let Some(mut stage) = Stage::start() else { return };
    let (load, begun) = (Load::default(), AtomicU64::new(0));
    let key = stage.apis[0].key().to_owned();
    let addresses = stage.addresses();
    std::thread::scope(|scope| {
        let _ends = load.ends();
        for sender in 0..PLAIN + ATTACHING {
            let (load, addresses, key, begun) = (&load, &addresses, &key, &begun);
            let node = move || addresses.of(sender);
            scope.spawn(move || match sender {
                0..PLAIN => load.run(node, key),
                _ => load.run_with(node, key, |token| {
                    begun.fetch_add(1, Ordering::Relaxed);
                    attached(token)
                }),
            });
        }
        for round in rounds {
            goes_on(&load, &begun);
            eprintln!("{round:?}: {} accepted", load.count());
            let struck = Instant::now();
            round.iter().for_each(|trouble| stage.strike(*trouble, &addresses));
            if round.iter().any(|trouble| trouble.stops_acceptance()) {
                let enough = load.refusals() + PLAIN as u64;
                eventually("requests are refused", || (load.refusals() >= enough).then_some(()));
            } else {
                let enough = load.count() + ENOUGH;
                eventually("mail is accepted meanwhile", || (load.count() >= enough).then_some(()));
            }
            let lasts = round.iter().map(|trouble| trouble.lasts()).max().unwrap_or_default();
            eventually("it went on for long enough", || (struck.elapsed() >= lasts).then_some(()));
            round.iter().for_each(|trouble| stage.heal(*trouble, &addresses));
        }
        goes_on(&load, &begun);
    });
    load.settle(&stage.apis[0], &stage.relay);
    let kills = rounds.iter().flat_map(|round| round.iter());
    let kills = kills.filter(|trouble| matches!(trouble, Trouble::Worker(_))).count();
    judge(&stage, &load, kills);
}

/// Waits until mail of both kinds is accepted.
#[track_caller]
fn goes_on(load: &Load, begun: &AtomicU64) {
    let (enough, attached) = (load.count() + ENOUGH, begun.load(Ordering::Relaxed) + 2 * ATTACHING as u64);
    eventually("mail is accepted", || {
        (load.count() >= enough && begun.load(Ordering::Relaxed) >= attached).then_some(())
    });
}

/// What went out more than once must say that it may have, or have been in the hands of a worker that was killed.
#[track_caller]
fn judge(stage: &Stage, load: &Load, kills: usize) {
    let mut of_the_killed = 0;
    for (token, times) in seen(&stage.relay).iter().filter(|(_, times)| **times > 1) {
        let id = load.id_of(token).unwrap_or_else(|| panic!("{token} was never acknowledged"));
        let events = stage.apis[0].email(&id)["events"].clone();
        let told = events.to_string();
        if !told.contains("possible_duplicate") {
            assert!(told.contains("lease_expired"), "{token} went out {times} times: {events:#}");
            of_the_killed += times - 1;
        }
    }
    eprintln!("{} accepted, {of_the_killed} sent twice in {kills} kills of a worker", load.count());
    assert!(of_the_killed <= kills * WORKERS, "{of_the_killed} sent twice in {kills} kills");
}

#[test]
fn a4_a6_a9_parts_die_in_turn() {
    scaled_only!("it brings every part of its own");
    survives(&[
        &[Trouble::BrokerCut],
        &[Trouble::BrokerFrozen],
        &[Trouble::CacheKilled],
        &[Trouble::CacheHangs],
        &[Trouble::DatabaseCut],
        &[Trouble::DatabaseMute],
        &[Trouble::DatabaseFrozen],
        &[Trouble::DatabaseCrash],
        &[Trouble::ObjectsGone],
        &[Trouble::ObjectsFrozen],
        &[Trouble::AllSlow],
    ]);
}

#[test]
fn a4_a6_a9_two_parts_die_at_once() {
    scaled_only!("it brings every part of its own");
    survives(&[
        &[Trouble::BrokerCut, Trouble::CacheKilled],
        &[Trouble::BrokerFrozen, Trouble::DatabaseCrash],
        &[Trouble::CacheHangs, Trouble::DatabaseMute],
        &[Trouble::ObjectsGone, Trouble::BrokerCut],
        &[Trouble::ObjectsFrozen, Trouble::CacheKilled],
        &[Trouble::DatabaseCut, Trouble::ObjectsGone],
    ]);
}

#[test]
fn a6_silence_while_nobody_could_be_heard_is_not_death() {
    scaled_only!("it brings every part of its own");
    survives(&[&[Trouble::DatabaseCutLong]]);
}

#[test]
fn a6_without_the_database_nothing_is_acknowledged_at_any_door() {
    scaled_only!("it brings a database of its own");
    let (mut postgres, relay) = (Postgres::start(), Relay::accepting());
    let line = Proxy::to(postgres.address(), Line::Open);
    let options = ServerOptions::to_relay(&relay)
        .on_parts_of_its_own()
        .env("MAILGUN_WEBHOOK_SIGNING_KEY", "signing")
        .env("DATABASE_URL", Postgres::url_at(line.address()));
    let server = Server::start(options);
    // E53: a provider takes 4xx for delivered, and the news would be lost.
    let news = delivered_by_mailgun("signing");
    let tell = || server.post_raw("/api/webhooks/mailgun", &[("X-Api-Key", NONE)], news.as_bytes());
    let mut session = smtp_ingress::session(&server);
    let headers = [("Idempotency-Key", "the-same")];
    let ask = || server.post_with("/api/emails", &headers, &email_to("user@client.com", "token-0."));
    for cut in [Line::Cut, Line::Mute] {
        session.envelope("ann@example.com", "bob@client.com");
        line.set(cut);
        let refused = ask().expect(503);
        assert!(refused.header("retry-after").is_some(), "{refused:?}");
        assert!(tell().expect(503).header("retry-after").is_some());
        session.data(smtp_ingress::MESSAGE).expect("451 4.3.0");
        line.cut_once();
        line.set(Line::Open);
        eventually("it is ready again", || (server.get("/readyz").status == 200).then_some(()));
    }
    session.envelope("ann@example.com", "bob@client.com");
    postgres.crash();
    session.data(smtp_ingress::MESSAGE).expect("451 4.3.0");
    ask().expect(503);
    tell().expect(503);
    postgres.begin();
    // The same session and the same key, without a restart of ours.
    let id = eventually("it accepts again", || {
        let answer = ask();
        (answer.status == 202).then(|| answer.json()["email_id"].as_str().expect("an id").to_owned())
    });
    server.wait_status(&id, "sent");
    session.envelope("ann@example.com", "bob@client.com");
    session.data(smtp_ingress::MESSAGE).id();
    // Brought again it is taken, also where the first answer alone was lost.
    tell().expect(200);
    eventually("both are at the relay", || (relay.messages().len() >= 2).then_some(()));
    assert_eq!(seen(&relay).get("token-0."), Some(&1));
}

#[test]
fn a1_a3_nodes_are_killed_alone_and_with_a_part() {
    scaled_only!("it brings every part of its own");
    survives(&[
        &[Trouble::Api(0)],
        &[Trouble::Worker(0)],
        &[Trouble::Api(1), Trouble::Worker(1)],
        &[Trouble::BrokerCut, Trouble::Worker(0)],
        &[Trouble::CacheKilled, Trouble::Api(1)],
        &[Trouble::DatabaseCrash, Trouble::Worker(1)],
        &[Trouble::DatabaseMute, Trouble::Api(0)],
        &[Trouble::ObjectsGone, Trouble::Worker(0)],
    ]);
}
