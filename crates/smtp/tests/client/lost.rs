//! Relays that break off, stall, or talk nonsense, at every step.

use crate::{
    assert_later, assert_refused, assert_uncertain, connected, envelope, only, refused_session, send,
    settings, settings_for, taken, ways,
};
use posthaste_smtp::client::{Connection, RecipientOutcome};
use posthaste_smtp::failure::{FailureClass, Stage};
use posthaste_smtp_sink::relay::{Action, Relay, Script, Step};
use std::time::{Duration, Instant};

async fn start(script: Script) -> Relay {
    Relay::start(script).await.expect("a free port")
}

#[tokio::test]
async fn nobody_listens() {
    let relay = start(Script::accepting()).await;
    let mut settings = settings(&relay);
    drop(relay);
    let failure = refused_session(&settings).await;
    assert_eq!((failure.stage, failure.code), (Stage::Connect, FailureClass::TransportError));
    settings.host = "no-such-host.invalid".to_owned();
    let failure = refused_session(&settings).await;
    assert_eq!((failure.stage, failure.code), (Stage::Connect, FailureClass::TransportError));
    assert!(failure.message.starts_with("could not connect to no-such-host.invalid:"), "{}", failure.message);
}

#[tokio::test]
async fn no_session_comes_about() {
    use FailureClass::{ServerError, TransportError, Unknown};
    for (step, action, stage, code) in [
        (Step::Connect, Action::Reset, Stage::Greeting, TransportError),
        (Step::Connect, Action::Close, Stage::Greeting, TransportError),
        (Step::Connect, Action::Silence, Stage::Greeting, TransportError),
        (Step::Connect, Action::reply("421 too busy"), Stage::Greeting, TransportError),
        (Step::Connect, Action::reply("554 no service"), Stage::Greeting, TransportError),
        (Step::Connect, Action::Raw(b"hello\r\n".to_vec()), Stage::Greeting, Unknown),
        (Step::Connect, Action::Raw(b"220 no end".to_vec()), Stage::Greeting, TransportError),
        (Step::Connect, Action::LongLine(10_000_000), Stage::Greeting, Unknown),
        (Step::Ehlo, Action::Endless, Stage::Ehlo, Unknown),
        (Step::Ehlo, Action::Raw(b"250 no end".to_vec()), Stage::Ehlo, TransportError),
        (
            Step::Ehlo,
            Action::Trickle("250 relay.example".to_owned(), Duration::from_millis(50)),
            Stage::Ehlo,
            TransportError,
        ),
        (Step::Ehlo, Action::Close, Stage::Ehlo, TransportError),
        (Step::Ehlo, Action::reply("421 4.3.2 going down"), Stage::Ehlo, TransportError),
        (Step::Ehlo, Action::reply("550 I do not like you"), Stage::Ehlo, ServerError),
        (Step::Ehlo, Action::reply("354 what"), Stage::Ehlo, Unknown),
    ] {
        let relay = start(Script::accepting().on(step, action.clone())).await;
        let failure = refused_session(&settings_for(&relay, stage, &action)).await;
        assert_eq!((failure.stage, failure.code), (stage, code), "{action:?}: {failure:?}");
        assert!(failure.reconnect, "{action:?}");
    }
}

#[tokio::test]
async fn half_closed_after_ehlo() {
    for reply in ["250 relay.example", "250-relay.example\r\n250-PIPELINING\r\n250 CHUNKING"] {
        let ehlo = Action::ReplyThenHalfClose(reply.to_owned());
        let (relay, mut connection) = connected(Script::accepting().on(Step::Ehlo, ehlo)).await;
        let outcome = only(send(&mut connection, &["a@b.example"]).await);
        assert_later(&outcome, Stage::MailFrom, FailureClass::TransportError);
        assert!(!connection.is_reusable() && relay.messages().is_empty());
    }
}

/// What each way to break off at a step means when DATA is used: nothing can have been taken before the dot.
#[tokio::test]
async fn lost_before_the_dot_is_later() {
    for (step, stage) in
        [(Step::Mail, Stage::MailFrom), (Step::Rcpt, Stage::RcptTo), (Step::Data, Stage::Data)]
    {
        for (action, code) in [
            (Action::Close, FailureClass::TransportError),
            (Action::Reset, FailureClass::TransportError),
            (Action::Silence, FailureClass::TransportError),
            (Action::Endless, FailureClass::Unknown),
            (Action::LongLine(10_000_000), FailureClass::Unknown),
            (Action::Raw(b"what?\r\n".to_vec()), FailureClass::Unknown),
            (Action::reply("334 what"), FailureClass::Unknown),
        ] {
            for pipelining in [true, false] {
                let mut script = Script::accepting().without("CHUNKING").on(step, action.clone());
                if !pipelining {
                    script = script.without("PIPELINING");
                }
                let relay = start(script).await;
                let settings = settings_for(&relay, stage, &action);
                let mut connection = Connection::connect(&settings).await.expect("a session");
                let outcome = only(send(&mut connection, &["a@b.example"]).await);
                let RecipientOutcome::Later { failure } = &outcome else {
                    panic!("{step:?} {action:?}: {outcome:?}")
                };
                assert_eq!(failure.code, code, "{step:?} {action:?}: {failure:?}");
                // RST may overtake the replies before it.
                if action != Action::Reset {
                    assert_eq!(failure.stage, stage, "{step:?} {action:?}: {failure:?}");
                }
                assert!(!connection.is_reusable() && relay.messages().is_empty());
            }
        }
    }
}

#[tokio::test]
async fn lost_in_the_content_is_later() {
    let large = b"0123456789\r\n".repeat(1_000_000);
    for (chunking, action) in [
        (false, Action::Close),
        (false, Action::Reset),
        (false, Action::Silence),
        (true, Action::Close),
        (true, Action::Reset),
    ] {
        let mut script = Script::accepting().without("SIZE").in_content(1_000, action.clone());
        if !chunking {
            script = script.without("CHUNKING");
        }
        let relay = start(script).await;
        let settings = settings_for(&relay, Stage::Data, &action);
        let mut connection = Connection::connect(&settings).await.expect("a session");
        let result = connection.send(&envelope(&["a@b.example"]), &large, || true).await;
        let outcome = only(result);
        // A relay that reads on in silence may have taken it.
        if let RecipientOutcome::Uncertain { failure } = &outcome {
            assert_eq!(failure.stage, Stage::EndOfData, "{failure:?}");
        } else {
            assert_later(&outcome, Stage::Data, FailureClass::TransportError);
        }
        assert!(relay.messages().is_empty());
    }
}

#[tokio::test]
async fn a_relay_that_refuses_in_the_middle_is_heard() {
    let large = b"0123456789\r\n".repeat(1_000_000);
    let refusal = Action::ReplyThenClose("552 5.3.4 too big".to_owned());
    let script = Script::accepting().without("SIZE").without("CHUNKING").in_content(100_000, refusal);
    let (relay, mut connection) = connected(script).await;
    let outcome = only(connection.send(&envelope(&["a@b.example"]), &large, || true).await);
    // The reset that follows may destroy the reply before it is read.
    if let RecipientOutcome::Refused { .. } = outcome {
        assert_refused(&outcome, Stage::EndOfData, FailureClass::ServerError);
    } else {
        assert_later(&outcome, Stage::Data, FailureClass::TransportError);
    }
    assert!(relay.messages().is_empty() && !connection.is_reusable());
}

#[tokio::test]
async fn lost_after_the_dot_is_uncertain() {
    for (action, code) in [
        (Action::Close, FailureClass::TransportError),
        (Action::Reset, FailureClass::TransportError),
        (Action::Silence, FailureClass::TransportError),
        (Action::Raw(b"250 ok".to_vec()), FailureClass::TransportError),
        (Action::Raw(b"ok\r\n".to_vec()), FailureClass::Unknown),
        (Action::reply("354 more"), FailureClass::Unknown),
        (Action::Endless, FailureClass::Unknown),
    ] {
        for way in ways() {
            let breaking = |script: Script| script.on(Step::Content, action.clone());
            let impatient = |relay: &Relay| settings_for(relay, Stage::EndOfData, &action);
            let (_relay, mut connection) = way.then(breaking).connected(impatient).await;
            let result = send(&mut connection, &["a@b.example", "550-x@b.example"]).await;
            assert_uncertain(&result.outcomes[0], code);
            // RST may overtake the replies before it; without them the whole group is uncertain.
            if action != Action::Reset {
                assert_refused(&result.outcomes[1], Stage::RcptTo, FailureClass::InvalidEmail);
                let failure = result.outcomes[0].failure().expect("a failure");
                assert_eq!(failure.stage, Stage::EndOfData, "{failure:?}");
                assert!(failure.message.ends_with("after the message was sent"), "{}", failure.message);
            }
        }
    }
}

#[tokio::test]
async fn a_clear_no_after_the_dot_is_not_uncertain() {
    for reply in ["421 4.3.2 going down", "451 4.3.0 no"] {
        for way in ways() {
            let refusing = |script: Script| script.on(Step::Content, Action::reply(reply));
            let (relay, mut connection) = way.then(refusing).connected(settings).await;
            let outcome = only(send(&mut connection, &["a@b.example"]).await);
            assert!(matches!(outcome, RecipientOutcome::Later { .. }), "{outcome:?}");
            assert!(taken(&relay).is_empty());
        }
    }
}

/// A group that carried the content may have been taken even if not a word came back.
#[tokio::test]
async fn a_group_with_its_content_is_uncertain_from_the_first_word_on() {
    for action in [Action::Silence, Action::Close, Action::reply("354 what")] {
        let trusted = ways().remove(0).then(|script| script.on(Step::Mail, action.clone()));
        let impatient = |relay: &Relay| settings_for(relay, Stage::MailFrom, &action);
        let (_relay, mut connection) = trusted.connected(impatient).await;
        let outcome = only(send(&mut connection, &["a@b.example"]).await);
        assert!(matches!(outcome, RecipientOutcome::Uncertain { .. }), "{action:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_slow_relay_is_waited_for_and_a_stalling_one_is_not() {
    let reply = || Action::Trickle("250 2.1.0 ok".to_owned(), Duration::from_millis(5));
    let (_relay, mut connection) = connected(Script::accepting().on(Step::Mail, reply())).await;
    crate::assert_accepted(&only(send(&mut connection, &["a@b.example"]).await));

    let stalling = Action::Trickle("250 2.1.0 ok".to_owned(), Duration::from_secs(1));
    let relay = start(Script::accepting().without("CHUNKING").on(Step::Mail, stalling.clone())).await;
    let settings = settings_for(&relay, Stage::MailFrom, &stalling);
    let mut connection = Connection::connect(&settings).await.expect("a session");
    let begun = Instant::now();
    let outcome = only(send(&mut connection, &["a@b.example"]).await);
    assert_later(&outcome, Stage::MailFrom, FailureClass::TransportError);
    assert!(begun.elapsed() < Duration::from_secs(5), "the whole reply has a deadline");
}

#[tokio::test]
async fn a_reply_that_is_no_utf8_can_be_shown() {
    let script = Script::accepting().on(Step::Rcpt, Action::Raw(b"550 5.1.1 n\xe9 \x1b[2J\r\n".to_vec()));
    let (_relay, mut connection) = connected(script).await;
    let outcome = only(send(&mut connection, &["a@b.example"]).await);
    assert_refused(&outcome, Stage::RcptTo, FailureClass::InvalidEmail);
    let message = &outcome.failure().expect("a failure").message;
    assert_eq!(message, "550 5.1.1 n\u{fffd} \u{fffd}[2J");
}
