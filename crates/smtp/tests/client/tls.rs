//! TLS: what was asked for, or nothing at all.

use crate::{assert_accepted, only, refused_session, send, settings};
use posthaste_smtp::client::{
    ConnectSettings, Connection, Credentials, Encryption, Password, tls_client_config,
};
use posthaste_smtp::failure::{FailureClass, Stage};
use posthaste_smtp_sink::relay::{Action, Certificate, Relay, Script, Step};
use std::time::Duration;

/// Settings with credentials, trusting the relay's authority.
fn secure(relay: &Relay, encryption: Encryption) -> ConnectSettings {
    let credentials = Credentials { username: "user".to_owned(), password: Password::new("secret") };
    ConnectSettings {
        encryption,
        credentials: Some(credentials),
        tls: tls_client_config(relay.roots_pem().map(str::as_bytes)).expect("a configuration"),
        ..settings(relay)
    }
}

async fn start(script: Script) -> Relay {
    Relay::start(script.login("PLAIN", "user", "secret")).await.expect("a free port")
}

#[tokio::test]
async fn starttls_hides_everything_but_ehlo() {
    let relay = start(Script::accepting().starttls(Certificate::Valid)).await;
    for host in ["127.0.0.1", "localhost"] {
        let settings = ConnectSettings { host: host.to_owned(), ..secure(&relay, Encryption::StartTls) };
        let mut connection = Connection::connect(&settings).await.expect("a session");
        assert!(!connection.capabilities().starttls, "EHLO was said again");
        assert_accepted(&only(send(&mut connection, &["a@b.example"]).await));
        assert_accepted(&only(send(&mut connection, &["a@b.example"]).await));
        connection.quit().await;
    }
    let recorded = relay.wait_closed(0).await;
    assert_eq!(recorded.clear, b"EHLO client.example\r\nSTARTTLS\r\n");
    assert!(recorded.encrypted.starts_with(b"EHLO client.example\r\nAUTH PLAIN "));
    assert_eq!((relay.messages().len(), recorded.violations.len()), (4, 0));
}

#[tokio::test]
async fn implicit_tls_and_large_content() {
    let relay = start(Script::accepting().without("CHUNKING").implicit_tls(Certificate::Valid)).await;
    let mut connection = Connection::connect(&secure(&relay, Encryption::Tls)).await.expect("a session");
    let large = b".0123456789\r\n".repeat(100_000);
    let result = connection.send(&crate::envelope(&["a@b.example"]), &large, || true).await;
    assert_accepted(&only(result));
    assert!(relay.wait_for(1).await[0].content == large);
    assert!(relay.connections()[0].clear.is_empty());
}

#[tokio::test]
async fn a_certificate_that_does_not_fit_ends_the_session() {
    use Certificate::{Expired, OldProtocolOnly, SelfSigned, WrongHost};
    for kind in [Expired, SelfSigned, WrongHost, OldProtocolOnly] {
        for (script, encryption) in [
            (Script::accepting().starttls(kind), Encryption::StartTls),
            (Script::accepting().implicit_tls(kind), Encryption::Tls),
        ] {
            let relay = start(script).await;
            let failure = refused_session(&secure(&relay, encryption)).await;
            assert_eq!((failure.stage, failure.code), (Stage::Tls, FailureClass::TransportError), "{kind:?}");
            assert!(failure.alarm, "{kind:?}: {failure:?}");
            let recorded = relay.wait_closed(0).await;
            assert!(recorded.encrypted.is_empty(), "{kind:?}: nothing was said");
            assert!(!recorded.text().contains("AUTH") && relay.messages().is_empty());
        }
    }
}

#[tokio::test]
async fn an_authority_nobody_knows_is_not_trusted() {
    let relay = start(Script::accepting().starttls(Certificate::Valid)).await;
    let tls = tls_client_config(None).expect("a configuration");
    let failure = refused_session(&ConnectSettings { tls, ..secure(&relay, Encryption::StartTls) }).await;
    assert_eq!((failure.stage, failure.alarm), (Stage::Tls, true));
}

#[tokio::test]
async fn starttls_stripped_or_refused_sends_nothing_in_clear() {
    let refusals = ["454 4.7.0 not now", "502 5.5.1 what", "250 2.0.0 ok"];
    let mut scripts = vec![Script::accepting()];
    scripts.extend(refusals.map(|reply| {
        Script::accepting().starttls(Certificate::Valid).on(Step::StartTls, Action::reply(reply))
    }));
    for script in scripts {
        let relay = start(script).await;
        let failure = refused_session(&secure(&relay, Encryption::StartTls)).await;
        assert_eq!((failure.stage, failure.code), (Stage::Tls, FailureClass::TransportError));
        assert!(failure.alarm);
        let text = relay.wait_closed(0).await.text();
        assert!(!text.contains("AUTH") && !text.contains("MAIL"), "{text}");
    }
}

#[tokio::test]
async fn plaintext_after_220_is_an_attack() {
    let injected = Action::Raw(b"220 2.0.0 go on\r\n250-evil.example\r\n250 AUTH PLAIN\r\n".to_vec());
    let relay = start(Script::accepting().starttls(Certificate::Valid).on(Step::StartTls, injected)).await;
    let failure = refused_session(&secure(&relay, Encryption::StartTls)).await;
    assert_eq!((failure.stage, failure.alarm), (Stage::Tls, true));
    assert!(failure.message.contains("plaintext after"), "{}", failure.message);
    assert_eq!(relay.wait_closed(0).await.text(), "EHLO client.example\r\nSTARTTLS\r\n");
}

#[tokio::test]
async fn a_handshake_that_never_comes_has_an_end() {
    let relay = start(
        Script::accepting()
            .starttls(Certificate::Valid)
            .on(Step::StartTls, Action::Raw(b"220 2.0.0 go on\r\n".to_vec())),
    )
    .await;
    let mut settings = secure(&relay, Encryption::StartTls);
    settings.timeouts.connect = Duration::from_millis(300);
    let failure = refused_session(&settings).await;
    assert_eq!((failure.stage, failure.code), (Stage::Tls, FailureClass::TransportError));
}

#[test]
fn bad_roots_are_said_to_be_bad() {
    let bad = b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n";
    assert!(tls_client_config(Some(bad)).is_err());
}
