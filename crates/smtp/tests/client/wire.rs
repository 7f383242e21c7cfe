//! What goes over the wire, byte by byte.

use crate::{MESSAGE, assert_accepted, connected, envelope, only, send, settings};
use posthaste_smtp::client::{ConnectSettings, Connection, Credentials, Envelope, Password};
use posthaste_smtp::failure::{FailureClass, Stage};
use posthaste_smtp_sink::relay::{Action, Relay, Script, Step};

#[tokio::test]
async fn on_a_session_that_has_proved_itself_a_small_message_is_one_group() {
    let (relay, mut connection) = connected(Script::accepting()).await;
    assert_accepted(&only(send(&mut connection, &["a@b.example"]).await));
    assert_accepted(&only(send(&mut connection, &["c@b.example"]).await));
    connection.quit().await;
    let expected = "EHLO client.example\r\n\
        MAIL FROM:<sender@client.example> SIZE=32\r\nRCPT TO:<a@b.example>\r\nDATA\r\n\
        Subject: hello\r\n\r\nHow are you?\r\n.\r\n\
        MAIL FROM:<sender@client.example> SIZE=32\r\nRCPT TO:<c@b.example>\r\nBDAT 32 LAST\r\n\
        Subject: hello\r\n\r\nHow are you?\r\n\
        QUIT\r\n";
    assert_eq!(relay.wait_closed(0).await.text(), expected);
    assert!(relay.messages().iter().all(|taken| taken.content == MESSAGE));
}

#[tokio::test]
async fn without_chunking_data_is_pipelined() {
    let (relay, mut connection) = connected(Script::accepting().without("CHUNKING").without("SIZE")).await;
    assert_accepted(&only(send(&mut connection, &["a@b.example"]).await));
    assert_accepted(&only(send(&mut connection, &["c@d.example"]).await));
    connection.quit().await;
    let one = |to: &str| {
        format!(
            "MAIL FROM:<sender@client.example>\r\nRCPT TO:<{to}>\r\nDATA\r\n\
             Subject: hello\r\n\r\nHow are you?\r\n.\r\n"
        )
    };
    let expected = format!("EHLO client.example\r\n{}{}QUIT\r\n", one("a@b.example"), one("c@d.example"));
    assert_eq!(relay.wait_closed(0).await.text(), expected);
}

#[tokio::test]
async fn without_pipelining_one_command_waits_for_the_other() {
    for chunking in [true, false] {
        let mut script = Script::accepting().without("PIPELINING");
        if !chunking {
            script = script.without("CHUNKING");
        }
        let (relay, mut connection) = connected(script).await;
        let result = send(&mut connection, &["a@b.example", "550-x@b.example", "c@b.example"]).await;
        assert_accepted(&result.outcomes[0]);
        assert_accepted(&result.outcomes[2]);
        assert_accepted(&only(send(&mut connection, &["d@b.example"]).await));
        connection.quit().await;
        let recorded = relay.wait_closed(0).await;
        // BDAT's content may follow its command at once, the relay knows its length.
        let early: Vec<_> = recorded.violations.iter().filter(|text| !text.contains("\"BDAT")).collect();
        assert!(early.is_empty(), "{early:?}");
        assert_eq!(relay.messages()[0].recipients, ["a@b.example", "c@b.example"]);
    }
}

#[tokio::test]
async fn a_relay_that_knows_only_helo() {
    let script = Script::accepting().on(Step::Ehlo, Action::reply("502 5.5.1 what"));
    let relay = Relay::start(script.without("PIPELINING")).await.expect("a free port");
    let mut connection = Connection::connect(&settings(&relay)).await.expect("a session");
    assert_accepted(&only(send(&mut connection, &["a@b.example"]).await));
    connection.quit().await;
    let text = relay.wait_closed(0).await.text();
    assert!(
        text.starts_with(
            "EHLO client.example\r\nHELO client.example\r\nMAIL FROM:<sender@client.example>\r\n"
        )
    );
    assert!(text.contains("\r\nDATA\r\n"), "{text}");
}

#[tokio::test]
async fn parameters_only_where_offered_and_needed() {
    let bounce = Envelope { mail_from: "", body_8bit: true, ..envelope(&["a@b.example"]) };
    let plain = Script::accepting().without("SIZE").without("8BITMIME");
    for (script, envelope, parameters) in [
        (Script::accepting(), bounce, "SIZE=32 BODY=8BITMIME"),
        (plain, bounce, ""),
        (
            Script::accepting(),
            Envelope { smtputf8: true, ..envelope(&["a@b.example"]) },
            "SIZE=32 BODY=8BITMIME SMTPUTF8",
        ),
        (Script::accepting(), envelope(&["jürgen@b.example"]), "SIZE=32 BODY=8BITMIME SMTPUTF8"),
    ] {
        let (relay, mut connection) = connected(script).await;
        assert_accepted(&only(connection.send(&envelope, MESSAGE, || true).await));
        let taken = relay.wait_for(1).await.remove(0);
        assert_eq!(
            (taken.sender.as_str(), taken.sender_parameters.as_str()),
            (envelope.mail_from, parameters)
        );
    }
}

#[tokio::test]
async fn what_the_relay_cannot_take_is_refused_without_asking() {
    let script = || Script::accepting().without("SMTPUTF8").without("SIZE").offering("SIZE 100");
    let (relay, mut connection) = connected(script()).await;
    let large = vec![b'x'; 101];
    let too_large =
        connection.send(&Envelope { size: 101, ..envelope(&["a@b.example"]) }, &large, || true).await;
    crate::assert_refused(&only(too_large), Stage::MailFrom, FailureClass::ServerError);
    let utf8 = Envelope { smtputf8: true, ..envelope(&["a@b.example"]) };
    let not_utf8 = only(connection.send(&utf8, MESSAGE, || true).await);
    crate::assert_refused(&not_utf8, Stage::MailFrom, FailureClass::InvalidEmail);
    let one_utf8 = send(&mut connection, &["jürgen@b.example", "a@b.example"]).await;
    crate::assert_refused(&one_utf8.outcomes[0], Stage::RcptTo, FailureClass::InvalidEmail);
    assert_accepted(&one_utf8.outcomes[1]);
    assert_eq!(relay.wait_for(1).await.len(), 1);

    let own = ConnectSettings { max_message_bytes: Some(10), ..settings(&relay) };
    let mut connection = Connection::connect(&own).await.expect("a session");
    let refused = only(send(&mut connection, &["a@b.example"]).await);
    crate::assert_refused(&refused, Stage::MailFrom, FailureClass::ServerError);
    assert!(refused.failure().is_some_and(|failure| failure.message.starts_with("5.3.4")), "{refused:?}");
}

#[tokio::test]
async fn no_address_breaks_a_command() {
    let (relay, mut connection) = connected(Script::accepting()).await;
    let result = send(&mut connection, &["a@b>\r\nDATA", "a@b.example", "x y@z", "", "a@b\0"]).await;
    for bad in [0, 2, 3, 4] {
        crate::assert_refused(&result.outcomes[bad], Stage::RcptTo, FailureClass::InvalidEmail);
    }
    assert_accepted(&result.outcomes[1]);
    let smuggled = Envelope { mail_from: "a@b>\r\nRCPT TO:<evil@c", ..envelope(&["a@b.example"]) };
    let refused = only(connection.send(&smuggled, MESSAGE, || true).await);
    crate::assert_refused(&refused, Stage::MailFrom, FailureClass::ServerError);
    connection.quit().await;
    assert_eq!(relay.wait_closed(0).await.text().matches("RCPT").count(), 1);

    let bad_name = ConnectSettings { helo_name: "a\r\nMAIL FROM:<x@y>".to_owned(), ..settings(&relay) };
    let failure = crate::refused_session(&bad_name).await;
    assert!(failure.alarm && relay.connections().len() == 1);
}

fn with_login(relay: &Relay, username: &str, password: &str) -> ConnectSettings {
    let credentials = Credentials { username: username.to_owned(), password: Password::new(password) };
    ConnectSettings { credentials: Some(credentials), ..settings(relay) }
}

#[tokio::test]
async fn logs_in_by_what_is_offered() {
    for (mechanisms, said) in [
        ("LOGIN PLAIN", "AUTH PLAIN AHVzZXIAcMOkc3M="),
        ("CRAM-MD5 LOGIN", "AUTH LOGIN\r\ndXNlcg==\r\ncMOkc3M="),
    ] {
        let relay =
            Relay::start(Script::accepting().login(mechanisms, "user", "päss")).await.expect("a free port");
        let mut connection =
            Connection::connect(&with_login(&relay, "user", "päss")).await.expect("logged in");
        assert_accepted(&only(send(&mut connection, &["a@b.example"]).await));
        let text = relay.connections()[0].text();
        assert!(text.starts_with(&format!("EHLO client.example\r\n{said}\r\nMAIL")), "{text}");
    }
}

#[tokio::test]
async fn credentials_that_do_not_fit_are_the_operators_business() {
    let relay =
        Relay::start(Script::accepting().login("PLAIN LOGIN", "user", "right")).await.expect("a free port");
    let wrong = crate::refused_session(&with_login(&relay, "user", "left")).await;
    assert_eq!((wrong.stage, wrong.code, wrong.alarm), (Stage::Auth, FailureClass::ServerError, true));
    assert_eq!(wrong.message, "535 5.7.8 wrong credentials");
    let nul = crate::refused_session(&with_login(&relay, "user\0admin", "right")).await;
    assert_eq!((nul.stage, nul.alarm), (Stage::Auth, true));
    let mut connection = Connection::connect(&settings(&relay)).await.expect("no login asked");
    let outcome = only(send(&mut connection, &["a@b.example"]).await);
    crate::assert_later(&outcome, Stage::MailFrom, FailureClass::ServerError);
    assert!(outcome.failure().is_some_and(|failure| failure.alarm));

    let no_auth = Relay::start(Script::accepting()).await.expect("a free port");
    let failure = crate::refused_session(&with_login(&no_auth, "user", "right")).await;
    assert_eq!((failure.stage, failure.alarm), (Stage::Auth, true));
    assert!(!no_auth.wait_closed(0).await.text().contains("AUTH"));

    let busy =
        Script::accepting().login("PLAIN", "user", "right").on(Step::Auth, Action::reply("454 4.7.0 later"));
    let relay = Relay::start(busy).await.expect("a free port");
    let failure = crate::refused_session(&with_login(&relay, "user", "right")).await;
    assert_eq!((failure.code, failure.alarm), (FailureClass::ServerError, false));
}

#[tokio::test]
async fn a_relay_that_repeats_what_it_refuses_gives_no_password_away() {
    for (mechanism, said) in [
        ("PLAIN", "500 5.5.1 unknown command: AUTH PLAIN AHVzZXIAaHVudGVyMg=="),
        ("PLAIN", "535 5.7.8 hunter2 is not it"),
        ("LOGIN", "535-5.7.8 no\r\n535 5.7.8 aHVudGVyMg=="),
    ] {
        let script = Script::accepting().login(mechanism, "user", "hunter2");
        let relay = Relay::start(script.on(Step::Auth, Action::reply(said))).await.expect("a free port");
        let refused = crate::refused_session(&with_login(&relay, "user", "hunter2")).await;
        assert_eq!((refused.stage, refused.alarm), (Stage::Auth, true), "{said}");
        let shown = format!("{refused:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("HVudGVyMg"), "{shown}");
        assert!(refused.message.starts_with(&said[..3]), "{shown}");
    }
}

#[test]
fn a_password_does_not_show_itself() {
    let credentials = Credentials { username: "user".to_owned(), password: Password::new("hunter2") };
    assert!(!format!("{credentials:?}").contains("hunter2"));
}
