//! Trouble: broken relays, wrong credentials, poisoned mail, lost leases, rates.

use super::stage::{BACKOFF, Stage, reach};
use crate::dispatch::{BreakerSettings, Phase};
use crate::limits::Limits;
use crate::routing::{RouteRule, Routes};
use crate::transports::{LeaseGuard, Outgoing, Pulse, SmtpTransport, Transport};
use posthaste_model::email::Priority;
use posthaste_model::fault::Faults;
use posthaste_model::outcome::Outcome;
use posthaste_model::{Rate, Status};
use posthaste_smtp_sink::relay::{Action, Relay, Script, Step};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn circuit(failures: u32, open_for: Duration) -> BreakerSettings {
    BreakerSettings { failures, open_for }
}

#[tokio::test]
async fn when_a_circuit_opens_the_next_transport_takes_over_and_says_so() {
    let broken =
        Relay::start(Script::accepting().on(Step::Connect, Action::reply("421 down"))).await.unwrap();
    let works = Relay::start(Script::accepting()).await.unwrap();
    let mut stage = Stage::with(vec![("first", reach(broken.port())), ("second", reach(works.port()))]).await;
    let rule = RouteRule { transports: vec!["first".into(), "second".into()], ..RouteRule::default() };
    stage.routes = Routes::new(vec![rule], "first", &["first", "second"]).unwrap();
    stage.settings.breaker = circuit(2, Duration::from_secs(3600));
    let worker = stage.start().await;
    for _ in 0..2 {
        let id = stage.send(&["ann@b.example"]).await;
        stage.until_deferred(id, 1).await;
    }
    let id = stage.send(&["ann@b.example"]).await;
    let record = stage.until(id, |r| r.status == Status::Sent).await;
    assert_eq!((record.attempts, record.provider.as_deref()), (1, Some("second")));
    let timeline = stage.timeline(id).await;
    assert!(timeline.iter().any(|event| event.contains("the circuit of first is open")), "{timeline:?}");
    let state = worker.dispatch.transports();
    assert!(matches!(state[0].circuit, Phase::Open { .. }), "{state:?}");
    assert!(worker.metrics.encode().contains("posthaste_breaker_state{transport=\"first\"} 2"));
    worker.stop().await;
}

#[tokio::test]
async fn a_wrong_password_opens_the_circuit_at_once_and_costs_no_further_attempts() {
    let (relay, mut stage) = Stage::scripted(Script::accepting().login("PLAIN", "user", "right")).await;
    stage.log_in("user", "wrong");
    stage.settings.breaker = circuit(5, Duration::from_secs(3600));
    stage.in_flight = 1;
    let worker = stage.start().await;
    let first = stage.send(&["ann@b.example"]).await;
    stage.until_deferred(first, 1).await;
    let second = stage.send(&["bob@b.example"]).await;
    let record = stage.until(second, |r| r.error.is_some() && r.status == Status::Queued).await;
    assert_eq!(record.attempts, 0, "not tried, so not counted");
    assert!(record.next_attempt_at.is_some_and(|at| at > stage.clock.now()));
    assert_eq!(relay.connections().len(), 1);
    worker.stop().await;
}

#[tokio::test]
async fn while_the_only_way_out_is_shut_no_attempt_is_wasted() {
    let down = Script::accepting().on(Step::Connect, Action::reply("421 down"));
    let (relay, mut stage) = Stage::scripted(down).await;
    stage.settings.breaker = circuit(1, Duration::from_secs(3600));
    let worker = stage.start().await;
    let first = stage.send(&["ann@b.example"]).await;
    stage.until_deferred(first, 1).await;
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.extend(stage.accept((0..20).map(|_| stage.draft(&["bob@b.example"])).collect()).await);
    }
    // Mail for the inbox still gets through.
    let draft = posthaste_model::email::Email { test_mode: true, ..stage.draft(&["eve@b.example"]) };
    let inner = posthaste_model::email::Email { priority: Priority::new(1).unwrap(), ..draft };
    let id = stage.accept(vec![inner]).await[0];
    stage.until(id, |r| r.status == Status::Sent).await;
    for id in ids {
        let record = stage.until(id, |r| r.status == Status::Queued).await;
        assert_eq!(record.attempts, 0, "{record:?}");
        let put_off = stage.timeline(id).await.iter().filter(|e| e.starts_with("postponed")).count();
        assert!(put_off <= 1, "put off {put_off} times");
    }
    assert_eq!(relay.connections().len(), 1);
    worker.stop().await;
}

#[tokio::test]
async fn after_a_while_one_probe_closes_the_circuit_again() {
    let script = Script::accepting().first(1, Step::Connect, Action::reply("421 down"));
    let (relay, mut stage) = Stage::scripted(script).await;
    stage.settings.breaker = circuit(1, Duration::from_millis(200));
    let worker = stage.start().await;
    let id = stage.send(&["ann@b.example"]).await;
    stage.until_deferred(id, 1).await;
    assert!(matches!(worker.dispatch.transports()[0].circuit, Phase::Open { .. }));
    stage.clock.advance(BACKOFF);
    let moving = async {
        // Put off while the circuit is open; the manual clock has to pass those pauses too.
        while stage.look(id).await.status != Status::Sent {
            stage.clock.advance(Duration::from_millis(50));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), moving).await.expect("sent by the probe");
    assert_eq!(worker.dispatch.transports()[0].circuit, Phase::Closed);
    assert_eq!(relay.messages().len(), 1);
    worker.stop().await;
}

#[tokio::test]
async fn a_poisoned_email_fails_and_the_others_go_out() {
    let (relay, mut stage) = Stage::scripted(Script::accepting()).await;
    stage.faults = Faults::parse("render_panic:3").unwrap();
    stage.settings.policy.max_attempts = 1;
    stage.in_flight = 1;
    let worker = stage.start().await;
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(stage.send(&["ann@b.example"]).await);
    }
    let mut failed = 0;
    for id in ids {
        let record = stage.until(id, |r| r.status.is_settled()).await;
        if record.status == Status::Failed {
            failed += 1;
            let message = record.failure.map(|(_, message)| message);
            assert_eq!(message.as_deref(), Some("the message could not be rendered"));
        }
    }
    assert_eq!((failed, relay.messages().len()), (1, 5));
    worker.stop().await;
}

#[tokio::test]
async fn without_its_lease_an_attempt_says_nothing_to_the_relay() {
    let relay = Relay::start(Script::accepting()).await.unwrap();
    let transport = Transport::Smtp(SmtpTransport::new("smtp", reach(relay.port()), 1, Faults::none()));
    let mail = Arc::new(crate::testing::email("a@a.example", &["b@b.example"]));
    let claim = crate::testing::claim(&mail, 1);
    let message = bytes::Bytes::from_static(b"Subject: x\r\n\r\nx\r\n");
    let outgoing = Outgoing { claim: &claim, message: &message, is_8bit: false, smtputf8: false, due: &[0] };
    let pulse = Pulse::new(Duration::from_secs(60));
    let over = LeaseGuard::new(&pulse, Instant::now(), Duration::ZERO);
    assert_eq!(transport.send(&outgoing, &over).await, Outcome::LeaseLost);
    let lost = LeaseGuard::new(&pulse, Instant::now(), Duration::from_secs(60));
    lost.lose();
    assert_eq!(transport.send(&outgoing, &lost).await, Outcome::LeaseLost);
    transport.close().await;
    assert!(relay.connections().iter().all(|connection| !connection.text().contains("MAIL")));
}

#[tokio::test]
async fn a_worker_that_slept_through_its_lease_neither_sends_nor_records() {
    // The relay holds the first worker up until its lease is over and another has sent the email.
    let slow = Script::accepting().first(
        1,
        Step::Connect,
        Action::Trickle("220 slow".into(), Duration::from_millis(250)),
    );
    let (relay, mut stage) = Stage::scripted(slow).await;
    stage.clock = crate::base::clock::Clock::system();
    stage.settings.lease = Duration::from_millis(900);
    stage.settings.dead_after = Duration::from_secs(1);
    stage.settings.heartbeat_every = Duration::from_secs(3600);
    stage.settings.sweep_every = Duration::from_millis(50);
    let first = stage.start_on("node-1").await;
    let id = stage.send(&["ann@b.example"]).await;
    stage.until(id, |r| r.status == Status::Processing).await;
    stage.settings.heartbeat_every = Duration::from_millis(50);
    let second = stage.start_on("node-2").await;
    let record = stage.until(id, |r| r.status == Status::Sent).await;
    assert!(record.attempts >= 2, "another claim sent it: {record:?}");
    first.until_idle().await;
    first.stop().await;
    second.stop().await;
    assert_eq!(relay.messages().len(), 1, "one copy");
    assert!(stage.timeline(id).await.iter().any(|event| event.starts_with("lease_expired")));
}

#[tokio::test]
async fn a_clock_put_forward_ends_no_lease() {
    let slow = Script::accepting().delay(Duration::from_millis(150));
    let (relay, mut stage) = Stage::scripted(slow).await;
    stage.settings.after_clock_set = Duration::from_millis(600);
    let first = stage.start_on("node-1").await;
    let second = stage.start_on("node-2").await;
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(stage.send(&["ann@b.example"]).await);
    }
    stage.until(ids[0], |r| r.status == Status::Processing).await;
    stage.clock.advance(Duration::from_secs(3600));
    for id in ids {
        let record = stage.until(id, |r| r.status == Status::Sent).await;
        assert_eq!(record.attempts, 1, "{record:?}");
    }
    first.stop().await;
    second.stop().await;
    assert_eq!(relay.messages().len(), 20);
}

#[tokio::test]
async fn over_its_rate_mail_waits_and_none_is_lost() {
    let (relay, mut stage) = Stage::scripted(Script::accepting()).await;
    stage.rate = Some(Rate { count: 3, window: Duration::from_millis(640) });
    let worker = stage.start().await;
    let begun = Instant::now();
    for _ in 0..7 {
        stage.send(&["ann@b.example"]).await;
    }
    assert_eq!(relay.wait_for(7).await.len(), 7);
    assert!(begun.elapsed() >= Duration::from_millis(1200), "7 at 3 in 640 ms need two windows");
    worker.stop().await;
}

#[tokio::test]
async fn mail_far_over_its_rate_goes_back_to_the_store() {
    let (relay, mut stage) = Stage::scripted(Script::accepting()).await;
    stage.rate = Some(Rate::per_seconds(1, 3600));
    let worker = stage.start().await;
    let first = stage.send(&["ann@b.example"]).await;
    stage.until(first, |r| r.status == Status::Sent).await;
    let second = stage.send(&["bob@b.example"]).await;
    let record = stage.until(second, |r| r.error.is_some()).await;
    assert_eq!((record.status, record.attempts), (Status::Queued, 0));
    assert_eq!(record.error.as_deref(), Some("the rate of transport smtp is reached"));
    assert_eq!(relay.messages().len(), 1);
    worker.stop().await;
}

#[tokio::test]
async fn what_nodes_count_together_holds_for_a_node_that_has_just_begun() {
    let (relay, mut stage) = Stage::scripted(Script::accepting()).await;
    stage.rate = Some(Rate::per_seconds(2, 3600));
    stage.shared_limits = Some(Limits::memory());
    let first = stage.start_on("a").await;
    for _ in 0..2 {
        let id = stage.send(&["ann@b.example"]).await;
        stage.until(id, |r| r.status == Status::Sent).await;
    }
    first.stop().await;
    let second = stage.start_on("b").await;
    let id = stage.send(&["ann@b.example"]).await;
    let waiting = stage.until(id, |r| r.error.is_some() && r.status == Status::Queued).await;
    assert_eq!(waiting.error.as_deref(), Some("the rate of transport smtp is reached"));
    assert_eq!((waiting.attempts, relay.messages().len()), (0, 2));
    second.stop().await;
}
