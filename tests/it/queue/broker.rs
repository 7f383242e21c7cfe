//! A4: the broker is away, dies, forgets, takes nothing, rings twice or too often: 0 lost, 0 double, and nobody waits.

use std::time::Duration;

use serde_json::json;

use super::{Installation, Kind, accept, at, metric, wait_for};
use crate::crash::count::seen;
use crate::emails_api::email_to;
use crate::harness::proxy::{Line, Proxy};
use crate::harness::{Broker, Relay, Server, ServerOptions, eventually};

/// An API and a worker that reach the broker over a line of the test's.
struct Cuttable {
    relay: Relay,
    api: Server,
    worker: Option<Server>,
    line: Proxy,
    broker: Broker,
}

impl Cuttable {
    fn start(line: Line) -> Option<Self> {
        let (broker, relay) = (Broker::given()?, Relay::accepting());
        let line = broker.line(line);
        let options = broker.used_over(&line, ServerOptions::to_relay(&relay));
        let api = Server::start(options.clone().api_only());
        let worker = Some(Server::start_bare(options.worker_beside(&api, 1)));
        Some(Self { relay, api, worker, line, broker })
    }

    fn wait_connected(&self) {
        for server in [Some(&self.api), self.worker.as_ref()].into_iter().flatten() {
            eventually("the broker is connected", || {
                (metric(server, "posthaste_broker_connected") == 1).then_some(())
            });
        }
    }

    fn health(&self) -> serde_json::Value {
        self.api.get("/health").json()
    }

    #[track_caller]
    fn each_went_out_once(&self, count: usize) {
        wait_for(&self.api, &self.relay, count);
        assert!(seen(&self.relay).values().all(|times| *times == 1), "sent twice");
        assert_eq!(self.relay.messages().len(), count);
    }
}

#[test]
fn a4_absent_at_start_mail_is_accepted_and_sent_and_the_broker_is_noticed_when_it_comes() {
    let Some(cuttable) = Cuttable::start(Line::Cut) else { return };
    accept(&cuttable.api, 0..50, &json!({}));
    cuttable.each_went_out_once(50);
    let health = cuttable.health();
    assert_eq!((&health["status"], &health["services"]["rabbitmq"]), (&json!("degraded"), &json!("error")));
    cuttable.api.get("/readyz").expect(200);
    cuttable.line.set(Line::Open);
    cuttable.wait_connected();
    eventually("health says so", || (cuttable.health()["services"]["rabbitmq"] == "ok").then_some(()));
    let before = metric(&cuttable.api, "posthaste_rings_total{result=\"confirmed\"}");
    accept(&cuttable.api, 50..100, &json!({}));
    cuttable.each_went_out_once(100);
    eventually("rings are confirmed", || {
        (metric(&cuttable.api, "posthaste_rings_total{result=\"confirmed\"}") >= before + 50).then_some(())
    });
}

#[test]
fn a4_killed_before_a_publish_and_back_again() {
    let Some(cuttable) = Cuttable::start(Line::Open) else { return };
    cuttable.wait_connected();
    accept(&cuttable.api, 0..50, &json!({}));
    cuttable.line.set(Line::Cut);
    accept(&cuttable.api, 50..100, &json!({}));
    cuttable.each_went_out_once(100);
    eventually("health says degraded", || (cuttable.health()["status"] == "degraded").then_some(()));
    cuttable.line.set(Line::Open);
    cuttable.wait_connected();
    assert!(metric(&cuttable.api, "posthaste_broker_reconnects_total") >= 1);
    accept(&cuttable.api, 100..150, &json!({}));
    cuttable.each_went_out_once(150);
}

#[test]
fn a4_cut_between_publish_and_confirm() {
    let Some(cuttable) = Cuttable::start(Line::Open) else { return };
    cuttable.wait_connected();
    for round in 0..5 {
        // The broker gets the rings; we do not hear that it has them.
        cuttable.line.set(Line::Mute);
        accept(&cuttable.api, round * 20..round * 20 + 20, &json!({}));
        cuttable.line.cut_once();
        cuttable.line.set(Line::Open);
        cuttable.wait_connected();
    }
    cuttable.each_went_out_once(100);
}

#[test]
fn a4_a_broker_that_takes_nothing_delays_no_answer() {
    let Some(cuttable) = Cuttable::start(Line::Open) else { return };
    cuttable.wait_connected();
    // connection.blocked(reason), as its disk alarm says it: class 10, method 60.
    let reason = b"low on disk";
    let mut frame = vec![1, 0, 0, 0, 0, 0, 5 + reason.len() as u8, 0, 10, 0, 60, reason.len() as u8];
    frame.extend_from_slice(reason);
    frame.push(0xCE);
    cuttable.line.inject(&frame);
    cuttable.line.set(Line::Jammed);
    eventually("health says degraded", || (cuttable.health()["status"] == "degraded").then_some(()));
    // More than the buffer holds: what is over is dropped, and found.
    accept(&cuttable.api, 0..300, &json!({}));
    cuttable.each_went_out_once(300);
    cuttable.line.cut_once();
    cuttable.line.set(Line::Open);
    cuttable.wait_connected();
    accept(&cuttable.api, 300..350, &json!({}));
    cuttable.each_went_out_once(350);
}

#[test]
fn a4_a_frozen_broker_is_noticed() {
    let Some(cuttable) = Cuttable::start(Line::Open) else { return };
    cuttable.wait_connected();
    cuttable.line.set(Line::Frozen);
    let health = cuttable.health();
    assert_eq!((&health["status"], &health["services"]["rabbitmq"]), (&json!("degraded"), &json!("error")));
    accept(&cuttable.api, 0..50, &json!({}));
    cuttable.each_went_out_once(50);
}

#[test]
fn a4_a_deleted_queue_is_noticed_and_set_up_again() {
    let Some(mut cuttable) = Cuttable::start(Line::Open) else { return };
    cuttable.wait_connected();
    // The worker would set it up again at once.
    cuttable.worker = None;
    cuttable.broker.delete("due.3");
    accept(&cuttable.api, 0..5, &json!({}));
    eventually("the rings come back", || {
        (metric(&cuttable.api, "posthaste_rings_total{result=\"returned\"}") >= 1).then_some(())
    });
    eventually("the queue is there again", || cuttable.broker.waiting("due.3"));
    accept(&cuttable.api, 5..10, &json!({}));
    eventually("it takes rings", || cuttable.broker.waiting("due.3").filter(|rings| *rings >= 5));
    let options = cuttable.broker.used_by(ServerOptions::to_relay(&cuttable.relay));
    let worker = Server::start_bare(options.worker_beside(&cuttable.api, 1));
    cuttable.each_went_out_once(10);
    let heard = || metric(&worker, "posthaste_rings_heard_total");
    let ring_until = |enough: u64| {
        eventually("the worker hears rings", || {
            let id = cuttable.api.send(&email_to("user@client.com", "one more"));
            cuttable.api.wait_status(&id, "sent");
            (heard() >= enough).then_some(())
        });
    };
    ring_until(1);
    // Under the worker's hands: it goes on, and hears again.
    cuttable.broker.delete("due.3");
    ring_until(heard() + 1);
    assert!(metric(&worker, "posthaste_rings_claimed_total") >= 1);
    assert!(seen(&cuttable.relay).values().all(|times| *times == 1), "sent twice");
}

#[test]
fn a4_a_ring_that_kills_its_consumers_ends_as_a_dead_letter_and_its_mail_goes_out() {
    let Some(mut installation) = Installation::start(Kind::RabbitMq, Relay::accepting()) else { return };
    for worker in &mut installation.workers {
        worker.sigterm();
    }
    let id = installation.api.send(&email_to("user@client.com", "token-0."));
    let broker = installation.broker.as_ref().expect("a broker");
    eventually("it was rung for", || broker.waiting("due.3").filter(|rings| *rings == 1));
    let mut deaths = 0;
    while broker.die_of_a_message("due.3", "dead") {
        deaths += 1;
        assert!(deaths <= 25, "it is given out for ever");
    }
    assert!(deaths > 5, "{deaths}");
    for worker in &mut installation.workers {
        worker.spawn();
        worker.wait_ready();
    }
    installation.each_went_out_once(1);
    let doctor = installation.api.cli(&["doctor"]);
    let told = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(told.contains("1 were given up"), "{told}");
    let dead = broker.take("dead").expect("a dead letter");
    assert_eq!(dead, (id, true), "an id, and nothing else");
    assert_eq!(broker.take("dead"), None);
}

#[test]
fn a4_rings_that_are_doubled_stale_or_nonsense_send_nothing_twice() {
    let Some(installation) = Installation::start(Kind::RabbitMq, Relay::accepting()) else { return };
    let broker = installation.broker.as_ref().expect("a broker");
    let id = installation.api.send(&email_to("user@client.com", "token-0."));
    for _ in 0..50 {
        broker.put("due.3", &id);
        broker.put("due.1", &id);
    }
    let later = email_to("user@client.com", "token-1.");
    let later = installation.api.send(&crate::emails_api::with(later, at(Duration::from_secs(2))));
    for text in [later.as_str(), "", "nonsense", "00000000-0000-0000-0000-000000000000", "\u{0}"] {
        broker.put("due.3", text);
    }
    installation.each_went_out_once(2);
    for name in ["due.1", "due.3"] {
        eventually("all rings are answered", || (broker.waiting(name) == Some(0)).then_some(()));
    }
    assert_eq!(broker.waiting("dead"), Some(0));
}

#[test]
fn only_ids_travel_and_what_finds_room_in_the_process_is_not_rung_for() {
    let Some(installation) = Installation::start(Kind::RabbitMq, Relay::accepting()) else { return };
    let broker = installation.broker.as_ref().expect("a broker");
    drop(installation.workers);
    let id = installation.api.send(&email_to("user@client.com", "token-0."));
    eventually("it was rung for", || broker.waiting("due.3").filter(|rings| *rings == 1));
    assert_eq!(broker.take("due.3"), Some((id, true)));
    let own = Broker::given().expect("as before");
    let both = Server::start(own.used_by(ServerOptions::to_relay(&installation.relay)));
    let id = both.send(&email_to("user@client.com", "token-1."));
    both.wait_status(&id, "sent");
    assert_eq!(metric(&both, "posthaste_rings_total{result=\"published\"}"), 0);
}

#[test]
fn doctor_names_what_is_wrong_with_the_broker_and_how_to_mend_it() {
    let Some(broker) = Broker::given() else { return };
    let doctor = |url: String| {
        let options = broker.used_by(ServerOptions::default()).env("AMQP_URL", url);
        let output = Server::prepare(options).cli(&["doctor"]);
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (fine, told) = doctor(broker.url_of("guest:guest", "%2f"));
    assert_eq!(fine, Some(0), "{told}");
    broker.delete("due.2");
    broker.declare_classic("due.2");
    let away = broker.line(Line::Cut);
    for (url, reason, remedy) in [
        (broker.url_of("guest:guest", "%2f"), "set up differently", "delete the queue"),
        (broker.url_of("guest:wrong", "%2f"), "refuses the user or the password", "authenticate_user"),
        (broker.url_of("guest:guest", "nowhere"), "virtual host", "add_vhost"),
        (format!("amqp://guest:guest@{}", away.address()), "cannot be reached", "start the broker"),
    ] {
        let (code, told) = doctor(url.clone());
        assert_eq!(code, Some(1), "{url}: {told}");
        assert!(told.contains(reason) && told.contains(remedy), "{url}: {told}");
        assert!(!told.contains("wrong@"), "a password in {told}");
    }
}
