//! The pool: sessions are shared, bounded, and replaced without the sender's notice.

use crate::{MESSAGE, assert_accepted, assert_later, envelope, only, settings};
use posthaste_smtp::client::{Pool, SendResult};
use posthaste_smtp::failure::{FailureClass, Stage};
use posthaste_smtp_sink::relay::{Action, Relay, Script, Step};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

const LONG: Duration = Duration::from_secs(60);

async fn start(script: Script) -> Relay {
    Relay::start(script).await.expect("a free port")
}

async fn send(pool: &Pool) -> SendResult {
    pool.send(&envelope(&["a@b.example"]), MESSAGE, || true).await
}

#[tokio::test]
async fn one_session_carries_many_messages() {
    let relay = start(Script::accepting()).await;
    let pool = Pool::new(settings(&relay), 4, LONG, 1000);
    for _ in 0..20 {
        assert_accepted(&only(send(&pool).await));
    }
    assert_eq!((relay.connections().len(), pool.idle_connections()), (1, 1));
    pool.close().await;
    assert!(relay.wait_closed(0).await.text().ends_with("QUIT\r\n"));
    assert_later(&only(send(&pool).await), Stage::Connect, FailureClass::TransportError);
}

#[tokio::test]
async fn no_more_sessions_than_allowed() {
    let relay = start(Script::accepting().delay(Duration::from_millis(2))).await;
    let pool = Arc::new(Pool::new(settings(&relay), 3, LONG, 1000));
    let mut senders = JoinSet::new();
    for _ in 0..60 {
        let pool = pool.clone();
        senders.spawn(async move { only(send(&pool).await) });
    }
    for outcome in senders.join_all().await {
        assert_accepted(&outcome);
    }
    assert_eq!((relay.messages().len(), relay.connections().len()), (60, 3));
}

#[tokio::test]
async fn a_worn_session_is_replaced() {
    let relay = start(Script::accepting()).await;
    let pool = Pool::new(settings(&relay), 4, LONG, 5);
    for _ in 0..12 {
        assert_accepted(&only(send(&pool).await));
    }
    assert_eq!((relay.messages().len(), relay.connections().len()), (12, 3));
}

#[tokio::test]
async fn an_idle_session_is_pruned() {
    let relay = start(Script::accepting()).await;
    let pool = Pool::new(settings(&relay), 4, Duration::ZERO, 1000);
    assert_accepted(&only(send(&pool).await));
    assert_eq!(pool.idle_connections(), 1);
    pool.prune().await;
    assert_eq!(pool.idle_connections(), 0);
    assert!(relay.wait_closed(0).await.text().ends_with("QUIT\r\n"));
    assert_accepted(&only(send(&pool).await));
}

#[tokio::test]
async fn a_session_closed_while_idle_is_replaced_unnoticed() {
    // After each message the relay closes, or says 421 unasked.
    for (closes, action) in [
        (true, Action::ReplyThenClose("250 2.0.0 taken".to_owned())),
        (false, Action::Raw(b"250 2.0.0 taken\r\n421 4.3.2 enough\r\n".to_vec())),
    ] {
        let relay = start(Script::accepting().on(Step::Content, action)).await;
        let pool = Pool::new(settings(&relay), 1, LONG, 1000);
        for count in 0..5 {
            assert_accepted(&only(send(&pool).await));
            if closes {
                relay.wait_closed(count).await;
            }
            // The news of it reaches the session when the runtime looks at its sockets, which a yield lets it do.
            tokio::task::yield_now().await;
        }
        assert_eq!(relay.messages().len(), 5);
    }
}

#[tokio::test]
async fn refused_for_now_on_a_used_session_is_tried_on_a_fresh_one() {
    // The second MAIL of a session is answered 421, as a relay does that limits messages per session.
    let script = Script::accepting().first(1, Step::Mail, Action::reply("250 2.1.0 ok")).first(
        1,
        Step::Mail,
        Action::reply("421 4.7.0 enough for one session"),
    );
    let relay = start(script).await;
    let pool = Pool::new(settings(&relay), 1, LONG, 1000);
    assert_accepted(&only(send(&pool).await));
    assert_accepted(&only(send(&pool).await));
    assert_eq!((relay.messages().len(), relay.connections().len()), (2, 2));
}

#[tokio::test]
async fn once_the_relay_may_have_taken_it_nothing_is_sent_again() {
    let script = Script::accepting().first(1, Step::Content, Action::reply("250 2.0.0 taken")).first(
        1,
        Step::Content,
        Action::Close,
    );
    let relay = start(script).await;
    let pool = Pool::new(settings(&relay), 1, LONG, 1000);
    assert_accepted(&only(send(&pool).await));
    crate::assert_uncertain(&only(send(&pool).await), FailureClass::TransportError);
    assert_eq!((relay.messages().len(), relay.connections().len()), (2, 1));
}

#[tokio::test]
async fn waiting_for_a_session_has_an_end() {
    let relay = start(Script::accepting().on(Step::Mail, Action::Silence)).await;
    let mut settings = settings(&relay);
    settings.timeouts.pool_wait = Duration::from_millis(50);
    let pool = Arc::new(Pool::new(settings, 1, LONG, 1000));
    let mut stuck = JoinSet::new();
    let held = pool.clone();
    stuck.spawn(async move { send(&held).await });
    assert!(
        relay.wait_until(|connections, _| connections.iter().any(|one| one.text().contains("MAIL"))).await
    );
    assert_later(&only(send(&pool).await), Stage::Connect, FailureClass::TransportError);
}

#[tokio::test]
async fn no_session_is_everyones_failure() {
    let relay = start(Script::accepting().on(Step::Connect, Action::reply("554 closed"))).await;
    let pool = Pool::new(settings(&relay), 1, LONG, 1000);
    let result = pool.send(&envelope(&["a@b.example", "c@b.example"]), MESSAGE, || true).await;
    assert_eq!(result.outcomes.len(), 2);
    for outcome in &result.outcomes {
        assert_later(outcome, Stage::Greeting, FailureClass::TransportError);
    }
}
