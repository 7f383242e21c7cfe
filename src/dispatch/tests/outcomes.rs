//! What each answer of a relay leads to.

use super::stage::{BACKOFF, LATE, Stage};
use posthaste_model::retry::OnUncertain;
use posthaste_model::{FailureCode, RecipientStatus, Status};
use posthaste_smtp_sink::relay::{Action, Script, Step};
use std::time::Duration;

#[tokio::test]
async fn an_accepted_email_is_sent_with_its_reply_and_timeline() {
    let (relay, stage) = Stage::scripted(Script::accepting()).await;
    let worker = stage.start().await;
    let id = stage.send(&["ann@b.example"]).await;
    let record = stage.until(id, |r| r.status == Status::Sent).await;
    assert_eq!((record.attempts, record.provider.as_deref()), (1, Some("smtp")));
    assert_eq!(record.recipients[0].status, RecipientStatus::Sent);
    assert!(record.recipients[0].last_reply.as_deref().is_some_and(|reply| reply.starts_with("250")));
    let kinds: Vec<String> =
        stage.timeline(id).await.iter().map(|e| e.split(' ').next().unwrap_or_default().to_owned()).collect();
    assert_eq!(kinds, ["queued", "processing", "sent"]);
    let taken = relay.wait_for(1).await;
    assert_eq!((taken.len(), taken[0].sender.as_str()), (1, "sender@a.example"));
    let metrics = worker.metrics.encode();
    worker.stop().await;
    assert!(metrics.contains("posthaste_attempts_total{transport=\"smtp\",outcome=\"sent\"} 1"), "{metrics}");
}

#[tokio::test]
async fn only_deferred_recipients_are_tried_again() {
    let script = Script::accepting()
        .on_matching(Step::Rcpt, "gone@", Action::reply("550 5.1.1 no such user"))
        .first(1, Step::Rcpt, Action::reply("450 4.2.0 busy"));
    let (relay, stage) = Stage::scripted(script).await;
    let worker = stage.start().await;
    let id = stage.send(&["busy@b.example", "fine@b.example", "gone@b.example"]).await;

    let record = stage.until(id, |r| r.status == Status::Sent).await;
    let states: Vec<RecipientStatus> = record.recipients.iter().map(|r| r.status).collect();
    assert_eq!(states, [RecipientStatus::Queued, RecipientStatus::Sent, RecipientStatus::Failed]);
    assert_eq!(record.recipients[2].failure_code, Some(FailureCode::InvalidEmail));
    assert_eq!(record.next_attempt_at, Some(stage.clock.now().plus(BACKOFF)));
    assert_eq!(relay.messages()[0].recipients, ["fine@b.example"]);

    stage.clock.advance(BACKOFF);
    stage.until(id, |r| r.recipients[0].status == RecipientStatus::Sent).await;
    let messages = relay.messages();
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[1].recipients, ["busy@b.example"], "those accepted or refused are never tried again");
    assert_eq!(messages[0].content, messages[1].content, "the same bytes on every attempt");
    worker.stop().await;
}

#[tokio::test]
async fn a_transient_refusal_waits_for_its_time_and_fails_when_attempts_run_out() {
    let script = Script::accepting().on(Step::Content, Action::reply("451 4.3.0 try again"));
    let (_relay, stage) = Stage::scripted(script).await;
    let worker = stage.start().await;
    let id = stage.send(&["ann@b.example"]).await;
    stage.until_deferred(id, 1).await;
    let almost = Duration::from_millis(29_999);
    stage.clock.advance(almost);
    stage.queue.ring(&[]);
    stage.clock.advance(BACKOFF.saturating_sub(almost));
    let record = stage.until_deferred(id, 2).await;
    assert_eq!(record.next_attempt_at, Some(stage.clock.now().plus(BACKOFF)), "not before its time");
    stage.clock.advance(BACKOFF);
    let record = stage.until(id, |r| r.status == Status::Failed).await;
    assert_eq!(record.attempts, 3);
    assert_eq!(record.failure.map(|(code, _)| code), Some(FailureCode::ServerError));
    worker.stop().await;
}

#[tokio::test]
async fn a_refusal_for_good_fails_at_once() {
    let script = Script::accepting().on(Step::Content, Action::reply("554 5.7.1 spam"));
    let (_relay, stage) = Stage::scripted(script).await;
    let worker = stage.start().await;
    let id = stage.send(&["ann@b.example"]).await;
    let record = stage.until(id, |r| r.status == Status::Failed).await;
    assert_eq!(record.attempts, 1);
    assert_eq!(record.failure, Some((FailureCode::Bounce, "554 5.7.1 spam".into())));
    worker.stop().await;
}

#[tokio::test]
async fn a_loss_after_the_last_byte_is_tried_once_more_late_and_says_so() {
    let script = Script::accepting().first(1, Step::Content, Action::Close);
    let (relay, stage) = Stage::scripted(script).await;
    let worker = stage.start().await;
    let id = stage.send(&["ann@b.example"]).await;
    let record = stage.until_deferred(id, 1).await;
    assert_eq!(record.status, Status::Queued);
    assert_eq!(record.next_attempt_at, Some(stage.clock.now().plus(LATE)));
    assert!(stage.timeline(id).await.iter().any(|event| event.starts_with("possible_duplicate")));
    stage.clock.advance(LATE);
    stage.until(id, |r| r.status == Status::Sent).await;
    let messages = relay.messages();
    assert_eq!(messages.len(), 2, "the relay had taken the first one");
    assert_eq!(messages[0].content, messages[1].content, "with the same Message-ID");
    worker.stop().await;
}

#[tokio::test]
async fn a_loss_after_the_last_byte_is_held_where_the_operator_wants_it() {
    let script = Script::accepting().first(1, Step::Content, Action::Close);
    let (relay, mut stage) = Stage::scripted(script).await;
    stage.settings.policy.on_uncertain = OnUncertain::Hold;
    let worker = stage.start().await;
    let id = stage.send(&["ann@b.example"]).await;
    let record = stage.until_deferred(id, 1).await;
    assert_eq!((record.status, record.next_attempt_at), (Status::Queued, None));
    assert!(stage.timeline(id).await.iter().any(|event| event.starts_with("held")));
    stage.clock.advance(LATE * 100);
    let other = stage.send(&["bob@b.example"]).await;
    stage.until(other, |r| r.status == Status::Sent).await;
    assert_eq!(relay.messages().len(), 2, "the held one was not tried again");
    worker.stop().await;
}

#[tokio::test]
async fn of_several_recipients_only_the_uncertain_one_is_held() {
    let script = Script::accepting().first(1, Step::Rcpt, Action::reply("450 4.2.0 busy")).first(
        1,
        Step::Content,
        Action::Close,
    );
    let (relay, mut stage) = Stage::scripted(script).await;
    stage.settings.policy.on_uncertain = OnUncertain::Hold;
    let worker = stage.start().await;
    let id = stage.send(&["busy@b.example", "ann@b.example"]).await;
    let record = stage.until_deferred(id, 1).await;
    let states: Vec<RecipientStatus> = record.recipients.iter().map(|r| r.status).collect();
    assert_eq!(states, [RecipientStatus::Queued, RecipientStatus::Held]);
    assert_eq!(record.next_attempt_at, Some(stage.clock.now().plus(BACKOFF)));
    let timeline = stage.timeline(id).await;
    assert!(timeline.iter().any(|event| event.starts_with("held")), "{timeline:?}");
    assert!(timeline.iter().any(|event| event.starts_with("deferred")), "{timeline:?}");
    stage.clock.advance(BACKOFF);
    let record = stage.until(id, |r| r.status == Status::Sent).await;
    assert_eq!(record.recipients[1].status, RecipientStatus::Held, "for a person to decide");
    assert_eq!(record.next_attempt_at, None);
    let messages = relay.messages();
    assert_eq!(
        messages.last().map(|message| message.recipients.clone()),
        Some(vec!["busy@b.example".to_owned()])
    );
    worker.stop().await;
}

#[tokio::test]
async fn mail_of_a_test_key_stays_on_the_machine() {
    let (relay, stage) = Stage::scripted(Script::accepting()).await;
    let worker = stage.start().await;
    let mut bell = stage.bell.subscribe();
    let draft = posthaste_model::email::Email { test_mode: true, ..stage.draft(&["ann@b.example"]) };
    let id = stage.accept(vec![draft]).await[0];
    bell.changed().await.expect("the inbox rings");
    let record = stage.until(id, |r| r.status == Status::Sent).await;
    assert_eq!(record.provider.as_deref(), Some("inbox"));
    assert_eq!(relay.connections().len(), 0);
    assert_eq!(stage.store.inbox_count(None).await.expect("the store"), 1);
    worker.stop().await;
}
