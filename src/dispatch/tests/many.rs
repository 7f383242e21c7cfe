//! Many emails, many workers, and the end of a worker.

use super::stage::Stage;
use posthaste_model::Status;
use posthaste_smtp_sink::relay::{Script, Taken};
use std::collections::HashSet;
use std::time::Duration;

fn message_ids(messages: &[Taken]) -> Vec<String> {
    messages
        .iter()
        .filter_map(|message| {
            let text = String::from_utf8_lossy(&message.content).into_owned();
            text.lines().find_map(|line| line.strip_prefix("Message-ID: ").map(str::to_owned))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_workers_send_each_of_two_hundred_emails_once() {
    for round in 0..5 {
        let (relay, mut stage) = Stage::scripted(Script::accepting()).await;
        stage.queue = crate::queue::Queue::in_process(0);
        let mut workers = Vec::new();
        for node in ["a", "b", "c", "d"] {
            workers.push(stage.start_on(node).await);
        }
        for _ in 0..20 {
            let drafts = (0..10).map(|_| stage.draft(&["ann@b.example"])).collect();
            stage.accept(drafts).await;
        }
        let messages = relay.wait_for(200).await;
        for worker in workers {
            worker.stop().await;
        }
        let ids = message_ids(&relay.messages());
        assert_eq!((messages.len(), ids.len()), (200, 200), "round {round}");
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 200, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_fits_into_memory_goes_out_once_without_being_moved_about() {
    let (relay, mut stage) = Stage::scripted(Script::accepting()).await;
    stage.settings.held_max = 64;
    stage.queue = crate::queue::Queue::in_process(16);
    stage.in_flight = 2;
    let worker = stage.start().await;
    let mut ids = Vec::new();
    for _ in 0..50 {
        ids.extend(stage.accept((0..10).map(|_| stage.draft(&["ann@b.example"])).collect()).await);
    }
    relay.wait_for(500).await;
    worker.until_idle().await;
    let sent: HashSet<String> = message_ids(&relay.messages()).into_iter().collect();
    assert_eq!((relay.messages().len(), sent.len()), (500, 500));
    for id in ids {
        assert_eq!(stage.look(id).await.attempts, 1);
        let timeline = stage.timeline(id).await;
        assert!(!timeline.iter().any(|event| event.starts_with("postponed")), "{timeline:?}");
    }
    worker.stop().await;
}

#[tokio::test]
async fn at_the_end_what_is_in_flight_is_finished_and_the_rest_handed_back() {
    let (relay, mut stage) = Stage::scripted(Script::accepting().delay(Duration::from_millis(30))).await;
    stage.in_flight = 2;
    let worker = stage.start().await;
    let drafts = (0..30).map(|_| stage.draft(&["ann@b.example"])).collect();
    let ids = stage.accept(drafts).await;
    relay.wait_for(3).await;
    worker.stop().await;
    let mut sent = 0;
    for id in ids {
        let record = stage.look(id).await;
        match record.status {
            Status::Sent => sent += 1,
            Status::Queued => assert_eq!(record.attempts, 0, "not begun, so not counted"),
            other => panic!("left as {other}"),
        }
    }
    assert_eq!(sent, relay.messages().len());
    assert!((3..30).contains(&sent), "{sent}");
    assert!(stage.store.workers(stage.clock.now()).await.unwrap().is_empty(), "signed off");

    let worker = stage.start().await;
    assert_eq!(relay.wait_for(30).await.len(), 30, "the next life sends the rest");
    worker.stop().await;
}

#[tokio::test]
async fn what_is_accepted_while_the_worker_closes_does_not_wait_for_a_lease() {
    let (relay, stage) = Stage::scripted(Script::accepting()).await;
    let worker = stage.start().await;
    let id = worker.dispatch.worker_id();
    // As intake does whose reservation is older than the end: the commit leases to a worker that takes nothing more.
    let lease = posthaste_store::Lease { worker: id, until: stage.clock.now().plus(Duration::from_secs(60)) };
    let acceptance = posthaste_store::Acceptance {
        emails: vec![std::sync::Arc::new(stage.draft(&["ann@b.example"]))],
        idempotency: None,
        lease: Some(lease),
        revision: stage.store.revision().await.unwrap(),
        now: stage.clock.now(),
    };
    stage.store.accept(acceptance).await.unwrap();
    worker.stop().await;
    let worker = stage.start_on("node-2").await;
    assert_eq!(relay.wait_for(1).await.len(), 1, "due at once for another node");
    worker.stop().await;
}

#[tokio::test]
async fn an_attempt_that_does_not_end_is_recalled_before_the_message() {
    // The greeting never comes: at the drain's end the email is handed back, not held until its lease is over.
    let silent = Script::accepting().on(
        posthaste_smtp_sink::relay::Step::Connect,
        posthaste_smtp_sink::relay::Action::Trickle("220 slow".into(), Duration::from_millis(200)),
    );
    let (_relay, mut stage) = Stage::scripted(silent).await;
    stage.settings.drain = Duration::from_secs(4);
    let worker = stage.start().await;
    let id = stage.send(&["ann@b.example"]).await;
    stage.until(id, |r| r.status == Status::Processing).await;
    worker.stop().await;
    assert_eq!(stage.look(id).await.status, Status::Queued);
}

#[tokio::test]
async fn a_new_life_takes_back_what_the_former_held() {
    let (relay, stage) = Stage::scripted(Script::accepting()).await;
    let dead = posthaste_model::WorkerId::new(stage.clock.now(), [9; 10]);
    let record = posthaste_store::WorkerRecord {
        id: dead,
        node: "node-1".into(),
        pid: 1,
        roles: "worker".into(),
        host: "localhost".into(),
        started_at: stage.clock.now(),
    };
    stage.store.heartbeat(record, stage.clock.now()).await.unwrap();
    let id = stage.send(&["ann@b.example"]).await;
    let now = stage.clock.now();
    let claims = stage.store.claim_due(dead, now, now.plus(Duration::from_secs(60)), 10).await.unwrap();
    assert_eq!(claims.len(), 1);
    let worker = stage.start_on("node-1").await;
    let record = stage.until(id, |r| r.status == Status::Sent).await;
    assert_eq!((record.attempts, relay.messages().len()), (2, 1));
    worker.stop().await;
}
