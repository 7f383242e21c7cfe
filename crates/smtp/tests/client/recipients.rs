//! Mixed answers: each recipient gets its own, and nobody gets the message twice.

use crate::{
    MESSAGE, Way, assert_accepted, assert_later, assert_refused, connected, envelope, only, send, settings,
    taken, ways,
};
use posthaste_smtp::failure::{FailureClass, Stage};
use posthaste_smtp_sink::relay::{Action, Script, Step};

#[tokio::test]
async fn each_recipient_gets_its_own_answer() {
    for way in ways() {
        let (relay, mut connection) = way.connected(settings).await;
        let recipients =
            ["a@b.example", "450-x@b.example", "550-x@b.example", "552-x@b.example", "c@b.example"];
        let result = send(&mut connection, &recipients).await;
        assert_accepted(&result.outcomes[0]);
        assert_later(&result.outcomes[1], Stage::RcptTo, FailureClass::ServerError);
        assert_refused(&result.outcomes[2], Stage::RcptTo, FailureClass::InvalidEmail);
        assert_later(&result.outcomes[3], Stage::RcptTo, FailureClass::ServerError);
        assert_accepted(&result.outcomes[4]);
        let taken = taken(&relay);
        assert_eq!(
            (taken.len(), taken[0].recipients.as_slice()),
            (1, ["a@b.example", "c@b.example"].map(String::from).as_slice())
        );
        assert!(connection.is_reusable());
    }
}

#[tokio::test]
async fn when_nobody_is_taken_nothing_is_and_the_session_goes_on() {
    let early = Way { script: Script::accepting().without("CHUNKING").early_354(), trusted: false };
    for way in ways().into_iter().chain([early]) {
        let (relay, mut connection) = way.connected(settings).await;
        let result = send(&mut connection, &["550-x@b.example", "450-x@b.example"]).await;
        assert_refused(&result.outcomes[0], Stage::RcptTo, FailureClass::InvalidEmail);
        assert_later(&result.outcomes[1], Stage::RcptTo, FailureClass::ServerError);
        assert!(connection.is_reusable());
        assert_accepted(&only(send(&mut connection, &["a@b.example"]).await));
        let taken = taken(&relay);
        assert_eq!((taken.len(), taken[0].content.as_slice()), (1, MESSAGE));
        connection.quit().await;
        assert_eq!(relay.wait_closed(0).await.text().matches("RSET\r\n").count(), 1);
    }
}

#[tokio::test]
async fn an_early_354_is_answered_by_a_lone_dot() {
    let (relay, mut connection) = connected(Script::accepting().without("CHUNKING").early_354()).await;
    send(&mut connection, &["550-x@b.example"]).await;
    connection.quit().await;
    let text = relay.wait_closed(0).await.text();
    assert!(text.ends_with("RCPT TO:<550-x@b.example>\r\nDATA\r\n.\r\nQUIT\r\n"), "{text}");
}

#[tokio::test]
async fn a_refused_sender_is_everyones_answer() {
    for way in ways() {
        let refusing = |script: Script| script.first(1, Step::Mail, Action::reply("550 5.1.8 who are you"));
        let (relay, mut connection) = way.then(refusing).connected(settings).await;
        let result = send(&mut connection, &["a@b.example", "c@b.example"]).await;
        for outcome in &result.outcomes {
            assert_refused(outcome, Stage::MailFrom, FailureClass::ServerError);
        }
        assert!(connection.is_reusable());
        assert_accepted(&only(send(&mut connection, &["a@b.example"]).await));
        assert_eq!(taken(&relay).len(), 1);
    }
}

#[tokio::test]
async fn a_refused_message_is_the_answer_of_those_who_were_taken() {
    for (reply, later) in [("451 4.3.0 try again", true), ("554 5.7.1 spam", false)] {
        for way in ways() {
            let refusing = |script: Script| script.first(1, Step::Content, Action::reply(reply));
            let (relay, mut connection) = way.then(refusing).connected(settings).await;
            let result = send(&mut connection, &["a@b.example", "550-x@b.example"]).await;
            if later {
                assert_later(&result.outcomes[0], Stage::EndOfData, FailureClass::ServerError);
            } else {
                assert_refused(&result.outcomes[0], Stage::EndOfData, FailureClass::Bounce);
            }
            assert_refused(&result.outcomes[1], Stage::RcptTo, FailureClass::InvalidEmail);
            assert_accepted(&only(send(&mut connection, &["a@b.example"]).await));
            assert_eq!(taken(&relay).len(), 1);
        }
    }
}

#[tokio::test]
async fn data_refused() {
    let script =
        Script::accepting().without("CHUNKING").first(1, Step::Data, Action::reply("451 4.3.0 disk full"));
    let (_relay, mut connection) = connected(script).await;
    assert_later(
        &only(send(&mut connection, &["a@b.example"]).await),
        Stage::Data,
        FailureClass::ServerError,
    );
    assert_accepted(&only(send(&mut connection, &["a@b.example"]).await));
}

#[tokio::test]
async fn after_421_those_taken_before_wait_too() {
    for way in ways() {
        let busy =
            |script: Script| script.on_matching(Step::Rcpt, "<busy@", Action::reply("421 4.7.0 too many"));
        let (relay, mut connection) = way.then(busy).connected(settings).await;
        let result =
            send(&mut connection, &["a@b.example", "550-x@b.example", "busy@b.example", "c@b.example"]).await;
        for waiting in [0, 2, 3] {
            assert_later(&result.outcomes[waiting], Stage::RcptTo, FailureClass::TransportError);
        }
        assert_refused(&result.outcomes[1], Stage::RcptTo, FailureClass::InvalidEmail);
        assert!(!connection.is_reusable());
        let again = only(send(&mut connection, &["a@b.example"]).await);
        assert_later(&again, Stage::MailFrom, FailureClass::TransportError);
        assert_eq!(taken(&relay), []);
    }
}

#[tokio::test]
async fn a_thousand_recipients_go_in_groups() {
    let names: Vec<String> = (0..1000)
        .map(|number| format!("{}{number}@b.example", if number % 10 == 3 { "550-" } else { "" }))
        .collect();
    let recipients: Vec<&str> = names.iter().map(String::as_str).collect();
    for way in ways() {
        let (relay, mut connection) = way.connected(settings).await;
        let result = send(&mut connection, &recipients).await;
        for (number, outcome) in result.outcomes.iter().enumerate() {
            if number % 10 == 3 {
                assert_refused(outcome, Stage::RcptTo, FailureClass::InvalidEmail);
            } else {
                assert_accepted(outcome);
            }
        }
        assert_eq!(taken(&relay)[0].recipients.len(), 900);
    }
}

#[tokio::test]
async fn who_lost_the_lease_sends_nothing() {
    for way in ways() {
        let (relay, mut connection) = way.connected(settings).await;
        let result = connection.send(&envelope(&["a@b.example"]), MESSAGE, || false).await;
        assert!(result.aborted && result.outcomes.is_empty() && connection.is_reusable());
        connection.quit().await;
        assert!(!relay.wait_closed(0).await.text().contains("<a@b.example>"));
    }
}

#[tokio::test]
async fn who_loses_the_lease_on_the_way_takes_it_back() {
    let large = b"0123456789\r\n".repeat(10_000);
    for way in ways() {
        let (relay, mut connection) = way.connected(settings).await;
        let mut asked = 0;
        let first_only = || {
            asked += 1;
            asked == 1
        };
        let result = connection.send(&envelope(&["a@b.example"]), &large, first_only).await;
        assert!(result.aborted && result.outcomes.is_empty());
        if connection.is_reusable() {
            assert_accepted(&only(send(&mut connection, &["c@b.example"]).await));
        }
        connection.quit().await;
        let text = relay.wait_closed(0).await.text();
        assert!(!text.contains("0123456789"), "{text}");
        assert!(taken(&relay).iter().all(|taken| taken.recipients == ["c@b.example"]));
    }
}
